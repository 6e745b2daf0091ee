// The page's state: one snapshot, kept current by events. Views read it; only `apply` changes it.

export const PLOT_MS = 120_000;

class Store {
	/** @type {Link} */
	link = { state: "connecting", retryAt: 0 };
	/** @type {Snapshot | null} */
	now = null;
	/** @type {Map<string, Transfer>} */
	transfers = new Map();
	/** By peer. @type {Map<string, Conversed>} */
	histories = new Map();
	/** @type {Map<string, Sample[]>} */
	rates = new Map();
	/** @type {((happening: Happening) => void)[]} */
	listeners = [];
	#number = 0;
	#run = "";

	/** @param {Happening} happening */
	#tell(happening) {
		for (const listener of this.listeners) listener(happening);
	}

	/** False if an event before it is missing: a snapshot is needed then. @param {PageEvent} event */
	apply(event) {
		if (event.kind === "snapshot") {
			this.#fresh(event.run, event.snapshot);
			this.#number = event.event;
			return true;
		}
		if (!this.now || event.event !== this.#number + 1) return false;
		this.#number = event.event;
		/** @type {any} */ (this.#handlers)[event.kind]?.(event, this.now);
		return true;
	}

	/** @param {string} run @param {Snapshot} snapshot */
	#fresh(run, snapshot) {
		if (run !== this.#run) this.rates.clear();
		this.#run = run;
		this.now = snapshot;
		// What was loaded may have gaps now. The views load it again.
		this.histories.clear();
		this.transfers = new Map(snapshot.transfers.map((transfer) => [transfer.transfer, transfer]));
		for (const transfer of snapshot.transfers) this.#sample(transfer);
		this.#tell({ kind: "fresh" });
	}

	/** @type {Handlers} */
	#handlers = {
		connection: ({ connection }, now) => { now.connection = connection; },
		people: ({ people }, now) => this.#people(people, now),
		message: ({ message }) => this.#message(message),
		conversation: ({ conversation }, now) => replace(now.conversations, conversation, "with"),
		history_cleared: ({ with: peer }, now) => {
			if (peer === null) this.histories.clear();
			else this.histories.delete(peer);
			for (const conversation of now.conversations)
				if (peer === null || conversation.with === peer) Object.assign(conversation, { unread: 0, last: null });
		},
		incoming_offer: ({ offer }, now) => {
			const isNew = !now.incoming.some(({ number }) => number === offer.number);
			replace(now.incoming, offer, "number");
			if (isNew && offer.state === "open") this.#tell({ kind: "offer", offer });
		},
		outgoing_offer: ({ offer }, now) => replace(now.outgoing, offer, "number"),
		transfers: ({ transfers, gone }) => {
			for (const transfer of transfers) this.#transfer(transfer);
			for (const transfer of gone) for (const map of [this.transfers, this.rates]) map.delete(transfer);
		},
		question: ({ question }, now) => replace(now.questions, question, "question"),
		question_settled: ({ question }, now) => { now.questions = now.questions.filter((other) => other.question !== question); },
		notice: (event) => this.#tell(event),
		folder_changed: ({ folder }) => this.#tell({ kind: "folder", folder }),
		settings: ({ settings }, now) => { now.settings = settings; },
	};

	/** @param {Person[]} people @param {Snapshot} now */
	#people(people, now) {
		const before = new Map(now.people.map((person) => [person.number, person.here]));
		now.people = people;
		// The first list after the sign-in is no news.
		if (before.size > 0) for (const { number, name, here, is_self } of people)
			if (!is_self && here !== (before.get(number) ?? false)) this.#tell({ kind: here ? "joined" : "left", name });
	}

	/** @param {Message} message */
	#message(message) {
		const messages = this.histories.get(message.with)?.messages;
		if (messages) insert(messages, [message]);
		if (!message.mine) this.#tell({ kind: "message", message });
	}

	/** @param {Transfer} transfer */
	#transfer(transfer) {
		const before = this.transfers.get(transfer.transfer);
		this.transfers.set(transfer.transfer, transfer);
		this.#sample(transfer);
		if (before && isActive(before) && !isActive(transfer)) this.#tell({ kind: "ended", transfer });
	}

	/** @param {Transfer} transfer */
	#sample(transfer) {
		if (!isActive(transfer)) return;
		const samples = this.rates.get(transfer.transfer) ?? [];
		const at = Date.now();
		samples.push({ at, rate: transfer.state === "running" ? (transfer.rate ?? 0) : 0 });
		const first = samples.findIndex((sample) => sample.at >= at - PLOT_MS);
		if (first > 0) samples.splice(0, first);
		this.rates.set(transfer.transfer, samples);
	}

	/** @param {string} peer @param {{messages: Message[], more: boolean}} page older ones, oldest first */
	addOlder(peer, page) {
		const history = this.histories.get(peer) ?? { messages: [], more: false, loaded: false };
		insert(history.messages, page.messages);
		this.histories.set(peer, { ...history, more: page.more, loaded: true });
	}
}

/** @param {Message[]} into @param {Message[]} messages */
function insert(into, messages) {
	for (const message of messages) replace(into, message, "number");
	into.sort((left, right) => left.number - right.number);
}

/** @type {F.isActive} */
export const isActive = (transfer) => !["done", "failed", "cancelled", "unfinished"].includes(transfer.state);
/** @type {F.hasFailures} */
export const hasFailures = (transfer) => transfer.state === "failed" || transfer.files_failed > 0;

/** @template T @param {T[]} list @param {T} item @param {keyof T} key */
function replace(list, item, key) {
	const at = list.findIndex((other) => other[key] === item[key]);
	if (at >= 0) list[at] = item;
	else list.push(item);
}

export const store = new Store();
/** The snapshot. Views are drawn only once there is one. */
export const now = () => /** @type {Snapshot} */ (store.now);
