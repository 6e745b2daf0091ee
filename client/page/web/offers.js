// Offers of files between people, in both directions, and the system's notifications; the first offer brings the button that turns them on.

import {
	actionButton, bar, box, button, check, chooseFolder, commandButton, commands, empty, format, go, h, icon, menuButton, name, now, r,
	run, safe, store, t, viewHead, when,
} from "./kit.js";
import { drawNames } from "./transfers.js";

/** By number. @type {Map<number, string>} */
const folders = new Map();
/** Offers whose sender is to be accepted from now on. @type {Set<number>} */
const always = new Set();

export const openCount = () => now().incoming.filter((offer) => offer.state === "open").length;
const hasNotifications = "Notification" in globalThis;

/** @type {F.notify} */
export function notify(title, body, act) {
	if (!hasNotifications || Notification.permission !== "granted" || !document.hidden) return;
	new Notification(title, { body, icon: "icon.svg" }).onclick = () => {
		focus();
		act();
	};
}
/** The button that asks for the permission, while it can be asked for and there has been an offer. */
export const notifyButton = () => hasNotifications && Notification.permission === "default" && now().incoming.length > 0
	&& button(t("notify_on"), () => Notification.requestPermission(), { icon: "bell", class: "small" });

/** @type {F.folderOf} */
const folderOf = (offer) => folders.get(offer.number) ?? now().settings.folder;

/** @type {F.acceptOffers} */
async function accept(offer) {
	const folder = folderOf(offer);
	if ((await run({ do: "accept", offer: offer.number, folder })) && always.has(offer.number)) await run({ do: "always_accept",
		name: offer.from, folder });
}

/** @type {F.newest} */
const newest = (left, right) => (left.at < right.at ? 1 : -1);
/** @type {F.isOpen} */
const isOpen = ({ state }) => ["open", "waiting", "accepted"].includes(state);
/** @type {F.isPast} */
const isPast = (offer) => !isOpen(offer);

function draw() {
	const { incoming, outgoing } = now();
	const mine = outgoing.filter(isOpen).sort(newest);
	const past = [...incoming.filter(isPast).map((offer) =>
		({ at: offer.at, draw: () => drawPast(offer, offer.from, t(`state_${offer.state}`)) })),
		...outgoing.filter(isPast).map((offer) =>
		({ at: offer.at, draw: () => drawPast(offer, offer.to, t(`state_${offer.state}`)) }))].sort(newest);
	const ask = notifyButton();
	return h(".view.offers",
		viewHead("offers"),
		ask && box("bell", h("p", t("notify_ask")), ask),
		incoming.length + outgoing.length === 0 && empty("offers", t("no_offers"), t("offers_hint"),
			h("a.button", { href: "#people" }, icon("people"), h("span", t("go_to_people")))),
		h("ul.cards", { key: "incoming", "aria-label": t("offers_in") },
			incoming.filter(isOpen).sort(newest).map((offer) => h("li", { key: offer.number }, drawIncoming(offer)))),
		mine.length > 0 && h("section", { key: "mine" }, h("h2", t("my_offers")),
			h("ul.cards", mine.map((offer) => h("li", { key: offer.number }, drawOutgoing(offer))))),
		past.length > 0 && h("section", { key: "past" }, h("h2", t("offers_past")),
			h("ul.lines", past.slice(0, 200).map((offer) => offer.draw()))));
}

/** @type {F.drawHead} */
const drawHead = (offer, iconName, title, tools) => [
	h(".card-head", { key: "head" }, icon(iconName, "direction"), h(".grow", h("p", title),
		h("p.numbers", offer.bytes !== null && h("span.strong", format.bytes(offer.bytes)),
			offer.files !== null && h("span", t("n_files", { n: offer.files })), offer.folders !== null && offer.folders > 0
			&& h("span", t("n_folders", { n: offer.folders })), when(offer.at, format.ago))), tools),
	h("ul.offered", { key: "names" }, offer.names.map((each, at) => h("li", { key: at }, icon(each.kind, each.kind), name(each.name))),
		offer.more_names > 0 && h("li.muted", { key: "more" }, t("and_more", { n: offer.more_names })))];

/** @type {F.drawIncoming} */
function drawIncoming(offer) {
	const { from, number, verified } = offer;
	const isNew = offer.state === "open";
	const transfer = store.transfers.get(offer.transfer ?? "");
	const folder = folderOf(offer);
	/** @type {Action[]} */
	const actions = [
		{ text: t("accept"), icon: "check", act: () => accept(offer), command: commands.accept(number, folder), kind: "primary" },
		{ text: t("decline"), icon: "close", act: () => run({ do: "decline", offer: number }), command: commands.decline(number) }];
	return h(`article.card ${isNew ? "fresh" : ""}`, { "aria-label": t("offer_from", { name: from }) },
		drawHead(offer, "receive", [r("offer_from", { name: from }), verified && h("span.tag.good", icon("shield", "small"), t("verified"))],
			menuButton(from, () => [{ text: t("write_to", { name: from }), icon: "people", act: () => go("people", from) }], {}, () => actions)),
		isNew ? [
			!verified && h("p.hint", { key: "hint" }, r("unverified", { name: name(from) })),
			h(".row", { key: "folder" }, icon("folder"), h("span.grow", r("stored_in", { folder })),
				button(t("to_folder"), () => chooseFolder(t("receive_to"), "receive_here", folder, (chosen) => folders.set(number, chosen),
				(chosen) => commands.accept(number, chosen)), { class: "small" })),
			verified && check(r("always_accept", { name: name(from) }), always.has(number),
				(isOn) => (isOn ? always.add(number) : always.delete(number)), { key: "always" }),
			h(".actions", { key: "actions" }, actions.map((action) => actionButton(action)), commandButton(commands.accept(number, folder))),
		] : [
			transfer && bar(t("progress_of", { name: from }), transfer.verified, transfer.received, transfer.bytes),
			h("p.muted", { key: "state" }, t(`state_${offer.state}`), offer.folder && [" · ", r("stored_in", { folder: name(offer.folder) })]),
			h("a.button.small", { key: "show", href: "#transfers" }, t("to_transfers")),
		]);
}

/** @type {F.drawOutgoing} */
function drawOutgoing(offer) {
	const { to, number, sent, bytes, state, why } = offer;
	const withdraw = /** @type {Action} */ ({ text: t("withdraw"), icon: "close", act: () => run({ do: "withdraw", offer: number }),
		command: commands.withdraw(number), ask: { title: t("withdraw"), text: h("p", r("withdraw_text", { name: to })) } });
	return h("article.card", { "aria-label": t("offer_to", { name: to }) },
		drawHead(offer, "send", r("offer_to", { name: to }), actionButton(withdraw, "small")),
		state === "accepted" && bar(t("progress_of", { name: to }), sent, sent, bytes),
			h("p.muted", { key: "state" }, t(state === "waiting" ? "waits_here" : `state_${state}`), why && ` · ${safe(why)}`));
}

/** @type {F.drawPast} */
function drawPast(offer, other, state) {
	const isMine = "to" in offer;
	return h("li", { key: `${isMine} ${offer.number}` }, icon(isMine ? "send" : "receive", "direction"),
		h(".grow", h("p", drawNames(offer.names.slice(0, 1).map((each) => each.name), offer.names.length - 1 + offer.more_names)),
			h("p.muted", r(isMine ? "to_name" : "from_name", { name: name(other) }), offer.bytes !== null && ` · ${format.bytes(offer.bytes)}`,
			" · ", when(offer.at), offer.why && ` · ${safe(offer.why)}`)),
		h(`span.tag ${offer.state === "stored" || offer.state === "delivered" ? "good" : offer.state === "failed" ? "bad" : ""}`, state));
}

export const offers = { draw };
