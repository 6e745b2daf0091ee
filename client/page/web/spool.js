// Dropped or pasted content: walks folders in slices and hands files to the client, which then sends them.

import { app, bar, failureBox, failureOf, format, h, icon, iconButton, name, note, r, retryButton, run, safe, t, update } from "./kit.js";

/** A slice of the walk ends after this, so that the page stays responsive. */
const SLICE_MS = 8;
const PARALLEL = 6;
const WALKED_AT_ONCE = 64;

/** @type {Drop[]} */
let drops = [];
const isUnfinished = (/** @type {Drop} */ drop) => ["reading", "copying", "starting"].includes(drop.state);
addEventListener("beforeunload", (event) => drops.some(isUnfinished) && event.preventDefault());

/** @type {F.take} */
export function take(data, target) {
	const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
	/** @type {Drop} */
	const drop = { drop: id, target, state: "reading", copied: 0, copiedBytes: 0, unreadable: [], failure: null, found: [],
		abort: new AbortController() };
	/** @type {FileSystemEntry[]} */
	const entries = [];
	for (const item of data?.items ?? []) {
		const entry = item.kind === "file" ? item.webkitGetAsEntry() : null;
		const file = item.kind === "file" && !entry ? item.getAsFile() : null;
		if (entry) entries.push(entry);
		else if (file) drop.found.push({ path: file.name, file });
	}
	if (entries.length + drop.found.length === 0) return;
	drops = [drop, ...drops];
	void work(drop, entries);
}

/** @type {F.work} */
async function work(drop, entries) {
	try {
		await walk(drop, entries);
		drop.state = "copying";
		let next = 0;
		const worker = async () => {
			for (let item = drop.found[next++]; item; item = drop.found[next++]) await handOver(drop, item);
		};
		await Promise.all(Array.from({ length: PARALLEL }, worker));
		if (drop.copied === 0) throw new Error(drop.unreadable[0]?.why ?? t("drop_none"));
		drop.state = "starting";
		const { target } = drop;
		await app.source.request("folder" in target ? { do: "put_spooled", drop: drop.drop, to: target.folder, on_conflict: "ask" }
			: { do: "send_spooled", drop: drop.drop, name: target.person });
		drop.state = "done";
		if (drop.unreadable.length === 0) drops = drops.filter((other) => other !== drop);
		note("folder" in target ? t("drop_uploads", { n: drop.copied }) : t("drop_offers", { n: drop.copied, name: target.person }), "good");
	} catch (thrown) {
		if (drop.state === "cancelled") return;
		drop.state = "failed";
		drop.failure = failureOf(thrown);
		drop.abort.abort();
		note(t("drop_failed"), "bad");
	}
	update();
}

/** @type {F.walk} */
async function walk(drop, entries) {
	const waiting = entries;
	const visit = async (/** @type {FileSystemEntry} */ entry) => {
		const path = entry.fullPath.slice(1);
		try {
			if (entry.isDirectory) for (const child of await children(/** @type {FileSystemDirectoryEntry} */ (entry))) waiting.push(child);
			else drop.found.push({ path, file: await fileOf(/** @type {FileSystemFileEntry} */ (entry)) });
		} catch (thrown) {
			drop.unreadable.push({ path, why: failureOf(thrown).text });
		}
	};
	let sliceEnd = performance.now() + SLICE_MS;
	while (waiting.length > 0) {
		await Promise.all(waiting.splice(-WALKED_AT_ONCE).map(visit));
		if (performance.now() > sliceEnd) {
			update();
			await new Promise((resolve) => setTimeout(resolve));
			sliceEnd = performance.now() + SLICE_MS;
		}
		drop.abort.signal.throwIfAborted();
	}
}

/** @type {F.children} */
async function children(folder) {
	const reader = folder.createReader();
	/** @type {FileSystemEntry[]} */
	const all = [];
	for (;;) {
		// A reader answers with about a hundred at a time, and with none at the end.
		const some = /** @type {FileSystemEntry[]} */ (await new Promise((resolve, reject) => reader.readEntries(resolve, reject)));
		if (some.length === 0) return all;
		all.push(...some);
	}
}
/** @type {F.fileOf} */
const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

/** @type {F.handOver} */
async function handOver(drop, { path, file }) {
	let counted = 0;
	const onProgress = (/** @type {number} */ bytes) => {
		drop.copiedBytes += Math.min(bytes, file.size) - counted;
		counted = Math.min(bytes, file.size);
		update();
	};
	try {
		await app.source.spool(drop.drop, path, file, onProgress, drop.abort.signal);
		onProgress(file.size);
		drop.copied += 1;
	} catch (thrown) {
		onProgress(0);
		if (failureOf(thrown).code !== "interrupted" || drop.abort.signal.aborted) throw thrown;
		// A file that the browser cannot read any more does not stop the others. A connection that is lost does.
		const why = await file.slice(0, 1).arrayBuffer().then(() => "", (unread) => failureOf(unread).text);
		if (!why) throw thrown;
		drop.unreadable.push({ path, why });
	}
}

/** @type {F.discard} */
const discard = (drop) => run({ do: "discard_spooled", drop: drop.drop });

/** @type {F.end} */
function end(drop) {
	const { state } = drop;
	drop.state = "cancelled";
	drop.abort.abort();
	drops = drops.filter((other) => other !== drop);
	if (state !== "done") return discard(drop);
}

/** @type {F.retry} */
async function retry(drop) {
	await discard(drop);
	Object.assign(drop, { state: "copying", copied: 0, copiedBytes: 0, unreadable: [], failure: null, abort: new AbortController() });
	void work(drop, []);
}

/** @type {F.drawDrops} */
export function drawDrops(isWanted) {
	const shown = drops.filter((drop) => isWanted(drop.target));
	return shown.length > 0 && h("ul.cards", { "aria-label": t("drops") },
		shown.map((drop) => h("li.card", { key: drop.drop }, drawDrop(drop))));
}

/** @param {Drop} drop */
function drawDrop(drop) {
	const isActive = isUnfinished(drop);
	const n = drop.found.length;
	const bytes = drop.found.reduce((sum, { file }) => sum + file.size, 0);
	const target = "folder" in drop.target ? name(drop.target.folder || t("all_files")) : name(drop.target.person);
	return [
		h(".row", icon("receive", "direction"),
			h("p.grow.strong", r(drop.state === "reading" ? "drop_reading" : drop.state === "done" ? "drop_partly" : "drop_copying",
			{ n, target })),
			iconButton(isActive ? t("cancel") : t("close"), "close", () => end(drop))),
		drop.state !== "done" && bar(t("drop_bar"), drop.copiedBytes, drop.copiedBytes, drop.state === "reading" ? null : bytes,
			isActive ? "" : "bad"),
		h("p.numbers", h("span",
			t("drop_numbers", { done: drop.copied, n, bytes: format.bytes(drop.copiedBytes), total: format.bytes(bytes) })),
			isActive && h("span.muted", t("drop_open"))),
		drop.failure && failureBox(drop.failure, retryButton(() => retry(drop))),
		drop.unreadable.length > 0 && h("details", h("summary", t("drop_unread", { n: drop.unreadable.length })),
			h("ul", drop.unreadable.slice(0, 200).map(({ path, why }) => h("li", name(path), " ", h("span.muted", safe(why)))))),
	];
}
