// What every view uses: the source, the current place, dialogs and menu, notes, the live region.

import { hooks } from "./dom.js";
import { failureOf } from "./source.js";
import { store } from "./store.js";
import { failureTitle, t } from "./texts.js";

const NOTE_MS = 7000;
const ANNOUNCE_MS = 5000;
const PAGE = 1000;

export const app = {
	source: /** @type {Source} */ ({}),
	draw: () => {},
	route: /** @type {Route} */ ({ view: "files", rest: "" }),
	dialogs: /** @type {Dialog[]} */ ([]),
	menu: /** @type {{anchor: HTMLElement, label: string, actions: Action[]} | null} */ (null),
	notes: /** @type {Note[]} */ ([]),
};

let isPlanned = false;
let nextKey = 1;

/** Plans one drawing for everything that changes until then. */
export function update() {
	if (isPlanned) return;
	isPlanned = true;
	// A hidden tab gets no frames, but its title is to be current.
	if (document.hidden) setTimeout(updateNow, 250);
	else requestAnimationFrame(() => isPlanned && updateNow());
}
hooks.changed = update;

export function updateNow() {
	isPlanned = false;
	app.draw();
}

export const isConnected = () => store.link.state === "live" && store.now?.connection.state === "connected";

/** @type {F.address} */
export const address = (view, rest = "") => `#${[view, ...rest.split("/")].filter(Boolean).map(encodeURIComponent).join("/")}`;
/** @type {F.go} */
export const go = (view, rest) => { location.hash = address(view, rest); };

export function readRoute() {
	const [view = "", ...rest] = location.hash.slice(1).split("/");
	try {
		app.route = { view: view || "files", rest: rest.map(decodeURIComponent).join("/") };
	} catch {
		app.route = { view: "files", rest: "" };
	}
	app.menu = null;
	update();
}

/** @type {string[]} */
let unsaid = [];
let lastSaid = -ANNOUNCE_MS;
/** @type {F.announce} */
export function announce(text) {
	if (unsaid.length === 0) {
		setTimeout(() => {
			lastSaid = performance.now();
			const live = document.getElementById("live");
			if (live) live.textContent = unsaid.slice(-4).join(". ");
			unsaid = [];
		}, Math.max(50, lastSaid + ANNOUNCE_MS - performance.now()));
	}
	if (!unsaid.includes(text)) unsaid.push(text);
}

/** @type {F.note} */
export function note(text, kind = "", action = null) {
	const key = nextKey++;
	app.notes = [...app.notes.filter((other) => other.text !== text), { key, text, kind, action }].slice(-4);
	announce(text);
	if (kind !== "bad") setTimeout(() => closeNote(key), NOTE_MS);
	update();
}
/** @param {number} key */
export function closeNote(key) {
	app.notes = app.notes.filter((other) => other.key !== key);
	update();
}

/** @type {F.noteFailure} */
export const noteFailure = (thrown) => note(failureTitle(failureOf(thrown)), "bad");

/** @type {F.run} */
export const run = (wish) => app.source.request(wish).catch(noteFailure).finally(update);

/** @type {F.pages} */
export async function* pages(wish) {
	for (let more = true, after = {}; more;) {
		const reply = await app.source.request(/** @type {Wish} */ ({ ...wish, ...after, limit: PAGE }));
		more = reply.more && reply.entries.length > 0;
		after = { after: reply.entries.at(-1)?.name };
		yield reply;
	}
}

/** @type {F.openDialog} */
export function openDialog(label, draw, options) {
	const key = `dialog-${nextKey++}`;
	const close = () => {
		app.dialogs = app.dialogs.filter((dialog) => dialog.key !== key);
		update();
	};
	app.dialogs.push({ key, label, draw, cancel: close, ...options });
	update();
	return close;
}

/** @type {F.copy} */
export const copy = (text) => navigator.clipboard.writeText(text).then(() => note(t("copied", { text }), "good"),
	() => note(t("copy_failed", { text }), "bad"));
