// The tab's secret, and the WebSocket to the process on this computer, which comes back by itself. Cookies do not know ports,
// so the secret is in sessionStorage. Views know only the type `Source`.

const FIRST_DELAY_MS = 250;
const LAST_DELAY_MS = 5000;
const SECRET_REFUSED = 4401;
const KEY = "quiver-secret";

/** Null where there is neither a secret nor a valid code. @returns {Promise<string | null>} */
export async function tabSecret() {
	const code = new URLSearchParams(location.hash.slice(1)).get("code");
	if (code !== null) {
		// Before anything else: the code is not to stay in the address bar or the history.
		history.replaceState(null, "", location.pathname);
		const answer = await fetch("/session", { method: "POST", headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ code }) }).catch(() => null);
		if (answer?.ok) sessionStorage.setItem(KEY, (await answer.json()).secret);
	}
	return sessionStorage.getItem(KEY);
}

export const forgetSecret = () => sessionStorage.removeItem(KEY);

export class SourceError extends Error {
	/** @param {Failure} failure */
	constructor(failure) {
		super(failure.text);
		this.failure = failure;
	}
}

/** @type {F.error} */
const error = (code, text) => new SourceError({ code, text });

/** @type {F.failureOf} */
export const failureOf = (thrown) => thrown.failure ?? { code: "other", text: thrown.message ?? String(thrown) };

/** @implements {Source} */
export class SocketSource {
	#applied = 0;
	#nextId = 1;
	#tries = 0;
	/** @type {WebSocket | undefined} */
	#socket;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#timer;
	/** @type {Map<number, {resolve: (ok: any) => void, reject: (error: SourceError) => void}>} */
	#waiting = new Map();
	/** @type {(event: PageEvent) => void} */
	#onEvent = () => {};
	/** @type {(state: Link["state"], retryAt?: number) => void} */
	#link = () => {};

	/** @param {string} secret */
	constructor(secret) {
		this.secret = secret;
	}

	/** @type {Source["start"]} */
	start(onEvent, onLink) {
		this.#onEvent = onEvent;
		this.#link = (state, retryAt = 0) => onLink({ state, retryAt });
		this.#link("connecting");
		this.#open();
		// A tab that is shown again does not wait for the timer.
		document.addEventListener("visibilitychange", () => this.retryNow());
	}

	#open() {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		const socket = new WebSocket(`${location.origin.replace("http", "ws")}/socket`, "quiver-page-1");
		this.#socket = socket;
		let isFirst = true;
		socket.onopen = () => socket.send(JSON.stringify({ secret: this.secret, after: this.#applied }));
		socket.onmessage = ({ data }) => {
			if (this.#socket !== socket) return;
			const message = JSON.parse(data);
			if (!("event" in message)) return this.#settle(message);
			if (isFirst) {
				isFirst = false;
				this.#tries = 0;
				this.#link("live");
			}
			this.#applied = message.event;
			this.#onEvent(message);
		};
		socket.onclose = ({ code }) => {
			if (this.#socket === socket) this.#closed(code);
		};
	}

	/** @param {Reply} reply */
	#settle(reply) {
		const waiting = this.#waiting.get(reply.id);
		this.#waiting.delete(reply.id);
		if ("error" in reply) waiting?.reject(new SourceError(reply.error));
		else waiting?.resolve(reply.ok);
	}

	#failWaiting() {
		for (const { reject } of this.#waiting.values()) reject(error("interrupted", ""));
		this.#waiting.clear();
	}

	/** @param {number} code */
	#closed(code) {
		this.#failWaiting();
		if (code === SECRET_REFUSED) return this.#link("refused");
		const delay = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#tries);
		this.#tries += 1;
		this.#timer = setTimeout(() => this.#open(), delay);
		this.#link("lost", Date.now() + delay);
	}

	retryNow() {
		if (this.#timer !== undefined) this.#open();
	}

	resync() {
		const old = this.#socket;
		this.#link("connecting");
		this.#failWaiting();
		this.#open();
		old?.close();
	}

	/** @param {Wish} wish @returns {Promise<any>} */
	request(wish) {
		const socket = this.#socket;
		if (socket?.readyState !== WebSocket.OPEN) return Promise.reject(error("interrupted", ""));
		const id = this.#nextId++;
		return new Promise((resolve, reject) => {
			this.#waiting.set(id, { resolve, reject });
			socket.send(JSON.stringify({ id, ...wish }));
		});
	}

	/** By XMLHttpRequest, because only it reports how much has gone. @type {Source["spool"]} */
	spool(drop, path, content, onProgress, signal) {
		return new Promise((resolve, reject) => {
			const request = new XMLHttpRequest();
			request.open("POST", "/spool");
			const headers = { Secret: this.secret, Drop: drop, Path: encodeURIComponent(path), Size: content.size, Modified: content.lastModified };
			for (const [header, value] of Object.entries(headers)) request.setRequestHeader(`X-Quiver-${header}`, String(value));
			request.upload.onprogress = ({ loaded }) => onProgress(loaded);
			request.onload = () => (request.status === 200 ? resolve() : reject(errorOf(request.status, request.responseText)));
			request.onerror = request.onabort = () => reject(error("interrupted", ""));
			signal.addEventListener("abort", () => request.abort());
			request.send(content);
		});
	}

	/** @param {string} path @param {AbortSignal} signal */
	async preview(path, signal) {
		const answer = await fetch(`/preview?path=${encodeURIComponent(path)}`, { headers: { "X-Quiver-Secret": this.secret }, signal });
		if (answer.ok) return answer.blob();
		throw errorOf(answer.status, await answer.text());
	}
}

/** @type {F.errorOf} */
function errorOf(status, body) {
	try {
		const { code, text = "" } = JSON.parse(body);
		return error(code, text);
	} catch {
		return error("other", `HTTP ${status}`);
	}
}
