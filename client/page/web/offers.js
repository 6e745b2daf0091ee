// Offers of files between people, in both directions; and the system's notifications about them, for which permission is asked by a button
// that the first offer brings.

import { go, run } from "./app.js";
import { choose } from "./chooser.js";
import * as commands from "./commands.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { icon } from "./icons.js";
import { actionButton, bar, box, button, check, commandButton, empty, menuButton, when } from "./parts.js";
import { name, safe, strongName } from "./safe.js";
import { now, store } from "./store.js";
import { r, t } from "./texts.js";
import { drawNames } from "./transfers.js";

/** Folders chosen for offers, by number. @type {Map<number, string>} */
const folders = new Map();
/** Offers whose sender is to be accepted from now on. @type {Set<number>} */
const always = new Set();

export const openCount = () => now().incoming.filter((offer) => offer.state === "open").length;
const hasNotifications = "Notification" in globalThis;

/** Tells the person, if the tab is in the background and they have allowed it. @param {string} title @param {string} body @param {() => void} act */
export function notify(title, body, act) {
	if (!hasNotifications || Notification.permission !== "granted" || !document.hidden) return;
	new Notification(title, { body, icon: "icon.svg" }).onclick = () => {
		focus();
		act();
	};
}
/** The button that asks for the permission, while it can be asked for and there has been an offer. */
export const notifyButton = () => hasNotifications && Notification.permission === "default" && now().incoming.length > 0 && button(t("notify_on"), () => Notification.requestPermission(), { icon: "bell", class: "small" });

/** @param {IncomingOffer} offer */
const folderOf = (offer) => folders.get(offer.number) ?? now().settings.folder;

/** @param {IncomingOffer} offer */
async function chooseFolder(offer) {
	const chosen = await choose({ kind: "folder", title: t("receive_to"), action: t("receive_here"), explanation: t("choose_folder_explained"), start: folderOf(offer), command: ({ paths }) => commands.accept(offer.number, paths[0] ?? "") });
	if (chosen?.paths[0] !== undefined) folders.set(offer.number, chosen.paths[0]);
}

/** @param {IncomingOffer} offer */
async function accept(offer) {
	const folder = folderOf(offer);
	if ((await run({ do: "accept", offer: offer.number, folder })) && always.has(offer.number)) await run({ do: "always_accept", name: offer.from, folder });
}

/** @param {{at: string}} left @param {{at: string}} right */
const newest = (left, right) => (left.at < right.at ? 1 : -1);
/** @param {{state: string}} offer */
const isOpen = ({ state }) => ["open", "waiting", "accepted"].includes(state);
/** @param {{state: string}} offer */
const isPast = (offer) => !isOpen(offer);

function draw() {
	const { incoming, outgoing } = now();
	const mine = outgoing.filter(isOpen).sort(newest);
	const past = [...incoming.filter(isPast).map((offer) => ({ at: offer.at, draw: () => drawPast(offer, offer.from, t(`incoming_${offer.state}`)) })), ...outgoing.filter(isPast).map((offer) => ({ at: offer.at, draw: () => drawPast(offer, offer.to, t(`outgoing_${offer.state}`)) }))].sort(newest);
	const ask = notifyButton();
	return h(".view.offers",
		h(".view-head", h("h1", { id: "title", tabindex: -1 }, t("offers"))),
		ask && h("", { key: "ask" }, box("bell", h("p", t("notify_ask")), ask)),
		incoming.length + outgoing.length === 0 && h("", { key: "none" }, empty("offers", t("no_offers"), t("no_offers_text"), h("a.button", { href: "#people" }, icon("people"), h("span", t("go_to_people"))))),
		h("ul.cards", { key: "incoming", "aria-label": t("offers_to_me") }, incoming.filter(isOpen).sort(newest).map((offer) => h("li", { key: offer.number }, drawIncoming(offer)))),
		mine.length > 0 && h("section", { key: "mine" }, h("h2", t("offers_from_me")), h("ul.cards", mine.map((offer) => h("li", { key: offer.number }, drawOutgoing(offer))))),
		past.length > 0 && h("section", { key: "past" }, h("h2", t("offers_past")), h("ul.lines", past.slice(0, 200).map((offer) => offer.draw()))));
}

/** @param {IncomingOffer | OutgoingOffer} offer @param {IconName} iconName @param {Loose} title @param {Loose} tools */
const drawHead = (offer, iconName, title, tools) => [
	h(".card-head", { key: "head" }, icon(iconName, "direction"), h(".grow", h("p", title),
		h("p.numbers", offer.bytes !== null && h("span.strong", format.bytes(offer.bytes)), offer.files !== null && h("span", t("n_files", { n: offer.files })), offer.folders !== null && offer.folders > 0 && h("span", t("n_folders", { n: offer.folders })), when(offer.at, format.ago))), tools),
	h("ul.offered", { key: "names" }, offer.names.map((each, at) => h("li", { key: at }, icon(each.kind, each.kind), name(each.name))), offer.more_names > 0 && h("li.muted", { key: "more" }, t("and_more", { n: offer.more_names })))];

/** @param {IncomingOffer} offer */
function drawIncoming(offer) {
	const { from, number, verified } = offer;
	const isNew = offer.state === "open";
	const transfer = store.transfers.get(offer.transfer ?? "");
	const folder = folderOf(offer);
	/** @type {Action} */
	const take = { text: t("accept"), icon: "check", act: () => accept(offer), command: commands.accept(number, folder) };
	/** @type {Action} */
	const decline = { text: t("decline"), icon: "close", act: () => run({ do: "decline", offer: number }), command: commands.decline(number) };
	return h(`article.card ${isNew ? "fresh" : ""}`, { "aria-label": t("offer_from", { name: safe(from) }) },
		drawHead(offer, "receive", [r("offer_from", { name: strongName(from) }), verified && h("span.tag.good", icon("shield", "small"), t("verified"))],
			menuButton(t("actions_of", { name: safe(from) }), () => [{ text: t("write_to", { name: safe(from) }), icon: "people", act: () => go("people", from) }], {}, () => [take, decline])),
		isNew ? [
			!verified && h("p.hint", { key: "hint" }, r("offer_not_verified", { name: name(from) })),
			h(".row", { key: "folder" }, icon("folder"), h("span.grow", r("stored_in", { folder: strongName(folder) })), button(t("change_folder"), () => chooseFolder(offer), { class: "small" })),
			verified && check(r("always_accept", { name: name(from) }), always.has(number), (isOn) => (isOn ? always.add(number) : always.delete(number)), { key: "always" }),
			h(".actions", { key: "actions" }, actionButton(take, "primary"), actionButton(decline), commandButton(commands.accept(number, folder))),
		] : [
			transfer && bar(t("progress_of", { name: safe(from) }), transfer.verified, transfer.received, transfer.bytes),
			h("p.muted", { key: "state" }, t(`incoming_${offer.state}`), offer.folder && [" · ", r("stored_in", { folder: name(offer.folder) })]),
			h("a.button.small", { key: "show", href: "#transfers" }, t("show_transfers")),
		]);
}

/** @param {OutgoingOffer} offer */
function drawOutgoing(offer) {
	const { to, number, sent, bytes, state, why } = offer;
	/** @type {Action} */
	const withdraw = { text: t("withdraw"), icon: "close", act: () => run({ do: "withdraw", offer: number }), command: commands.withdraw(number), ask: { title: t("withdraw"), text: h("p", r("withdraw_text", { name: strongName(to) })) } };
	return h("article.card", { "aria-label": t("offer_to", { name: safe(to) }) }, drawHead(offer, "send", r("offer_to", { name: strongName(to) }), actionButton(withdraw, "small")),
		state === "accepted" && bar(t("progress_of", { name: safe(to) }), sent, sent, bytes), h("p.muted", { key: "state" }, t(`outgoing_${state}`), why && ` · ${safe(why)}`));
}

/** @param {IncomingOffer | OutgoingOffer} offer @param {string} other @param {string} state */
function drawPast(offer, other, state) {
	const isMine = "to" in offer;
	return h("li", { key: `${isMine} ${offer.number}` }, icon(isMine ? "send" : "receive", "direction"),
		h(".grow", h("p", drawNames(offer.names.slice(0, 1).map((each) => each.name), offer.names.length - 1 + offer.more_names)), h("p.muted", r(isMine ? "to_name" : "from_name", { name: name(other) }), offer.bytes !== null && ` · ${format.bytes(offer.bytes)}`, " · ", when(offer.at), offer.why && ` · ${safe(offer.why)}`)),
		h(`span.tag ${offer.state === "stored" || offer.state === "delivered" ? "good" : offer.state === "failed" ? "bad" : ""}`, state));
}

/** @type {View} */
export const offers = { title: () => t("offers"), draw };
