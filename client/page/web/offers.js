// Offers between people in both directions, and the system's notifications.

import {
	actionButton, bar, box, button, chooseFolder, commands, empty, format, go, h, icon, menuButton, name, now, r,
	run, safe, store, t, viewHead, when,
} from "./kit.js";
import { drawNames } from "./transfers.js";

/** By number. @type {Map<number, string>} */
const folders = new Map();

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
/** @type {F.newest} */
const newest = (left, right) => (left.at < right.at ? 1 : -1);
/** @type {F.isOpen} */
const isOpen = ({ state }) => ["open", "waiting", "accepted"].includes(state);

function draw() {
	const { incoming, outgoing } = now();
	const mine = outgoing.filter(isOpen).sort(newest);
	const past = [...incoming, ...outgoing].filter((offer) => !isOpen(offer)).sort(newest);
	return h(".view",
		viewHead("offers"),
		hasNotifications && Notification.permission === "default" && incoming.length > 0 && box("offers", h("p", t("notify_ask")),
			button(t("notify_on"), () => Notification.requestPermission(), { class: "small" })),
		incoming.length + outgoing.length === 0 && empty("offers", t("no_offers"), t("offers_hint")),
		h("ul.cards", { "aria-label": t("offers_in") },
			incoming.filter(isOpen).sort(newest).map((offer) => h("li", { key: offer.number }, drawIncoming(offer)))),
		mine.length > 0 && h("section", h("h2", t("my_offers")),
			h("ul.cards", mine.map((offer) => h("li", { key: offer.number }, drawOutgoing(offer))))),
		past.length > 0 && h("section", h("h2", t("offers_past")),
			h("ul.lines", past.slice(0, 200).map(drawPast))));
}

/** @type {F.drawHead} */
const drawHead = (offer, iconName, title, tools) => [
	h(".row.wraps", icon(iconName, "direction"), h(".grow", h("p", title),
		h("p.numbers", offer.bytes !== null && h("span.strong", format.bytes(offer.bytes)),
			offer.files !== null && h("span", t("n_files", { n: offer.files })), offer.folders !== null && offer.folders > 0
			&& h("span", t("n_folders", { n: offer.folders })), when(offer.at))), tools),
	h("ul.offered", offer.names.map((each) => h("li.tag", icon(each.kind, each.kind), name(each.name))),
		offer.more_names > 0 && h("li.muted", t("and_more", { n: offer.more_names })))];

/** @type {F.drawIncoming} */
function drawIncoming(offer) {
	const { from, number, verified } = offer;
	const isNew = offer.state === "open";
	const transfer = store.transfers.get(offer.transfer ?? "");
	const folder = folders.get(number) ?? now().settings.folder;
	const accept = () => run({ do: "accept", offer: number, folder });
	/** @type {Action[]} */
	const actions = [
		{ text: t("accept"), icon: "check", act: accept, command: commands.accept(number, folder), kind: "primary" },
		{ text: t("decline"), icon: "close", act: () => run({ do: "decline", offer: number }), command: commands.decline(number) }];
	if (verified) actions.push({ text: t("always_accept"), icon: "shield", command: commands.alwaysAccept(from, folder),
		act: async () => (await accept()) && run({ do: "always_accept", name: from, folder }) });
	return h("article.card", { "aria-label": t("offer_from", { name: from }) },
		drawHead(offer, "receive", [r("offer_from", { name: from }), verified && h("span.tag.good", icon("shield", "small"), t("verified"))],
			menuButton(from, () => [{ text: t("write_to", { name: from }), icon: "people", act: () => go("people", from) },
				...actions])),
		isNew ? [
			!verified && h("p.muted", r("unverified", { name: name(from) })),
			h(".row", icon("folder"), h("span.grow", r("stored_in", { folder })),
				button(t("to_folder"), () => chooseFolder(t("to_folder"), folder, (chosen) => folders.set(number, chosen),
				(chosen) => commands.accept(number, chosen)), { class: "small" })),
			h(".actions", actions.map((action) => actionButton(action))),
		] : [
			transfer && bar(t("progress_of", { name: from }), transfer.verified, transfer.received, transfer.bytes),
			h("p.muted", t(`state_${offer.state}`), offer.folder && [" · ", r("stored_in", { folder: name(offer.folder) })]),
			h("a.button.small", { href: "#transfers" }, t("transfers")),
		]);
}

/** @type {F.drawOutgoing} */
function drawOutgoing(offer) {
	const { to, number, sent, bytes, state, why } = offer;
	const withdraw = /** @type {Action} */ ({ text: t("withdraw"), icon: "close", act: () => run({ do: "withdraw", offer: number }),
		command: commands.withdraw(number), ask: h("p", r("withdraw_text", { name: to })) });
	return h("article.card", { "aria-label": t("offer_to", { name: to }) },
		drawHead(offer, "send", r("offer_to", { name: to }), actionButton(withdraw, "small")),
		state === "accepted" && bar(t("progress_of", { name: to }), sent, sent, bytes),
			h("p.muted", t(state === "waiting" ? "waits_here" : `state_${state}`), why && ` · ${safe(why)}`));
}

/** @type {F.drawPast} */
function drawPast(offer) {
	const { names, more_names, bytes, at, why, state } = offer;
	const isMine = "to" in offer;
	return h("li", icon(isMine ? "send" : "receive", "direction"),
		h(".grow", h("p", drawNames(names.slice(0, 1).map((each) => each.name), names.length - 1 + more_names)),
			h("p.muted", isMine ? r("to_name", { name: name(offer.to) }) : r("from_name", { name: name(offer.from) }),
				bytes !== null && ` · ${format.bytes(bytes)}`, " · ", when(at), why && ` · ${safe(why)}`)),
		h(`span.tag ${state === "stored" || state === "delivered" ? "good" : state === "failed" ? "bad" : ""}`, t(`state_${state}`)));
}

export const offers = { draw };
