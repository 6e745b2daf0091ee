// People and the server on one side, the conversation with one of them on the other; on a phone one after the other.

import { address, app, go, note, run } from "./app.js";
import { choose } from "./chooser.js";
import * as commands from "./commands.js";
import { drawConversation } from "./conversation.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { icon } from "./icons.js";
import { empty, menuButton, search, when } from "./parts.js";
import { RowList } from "./rows.js";
import { safe, strongName } from "./safe.js";
import { now } from "./store.js";
import { r, t } from "./texts.js";

/** @typedef {{who: string, person: Person | undefined}} Row */

let filter = "";
const rows = new RowList({ label: t("people"), rowHeight: 68 });

export const unreadCount = () => now().conversations.reduce((sum, { unread }) => sum + unread, 0);
/** The name of someone, or of the server. @param {string} who */
export const titleOf = (who) => (who === "server" ? t("the_server") : safe(who));
/** The one of this name who is here, else the last who was. @param {string} who */
export const personOf = (who) => now().people.filter((person) => person.name === who).sort((left, right) => Number(right.here) - Number(left.here) || right.number - left.number)[0];
/** @param {Person | undefined} person */
export const canSendTo = (person) => person?.here === true && person.reachable && !person.blocked && person.key !== "changed";

/** @param {string} who */
export async function sendFiles(who) {
	const chosen = await choose({ kind: "both", title: t("send_to", { name: safe(who) }), explanation: t("choose_explained"), action: ({ paths }) => t("offer_n", { n: paths.length }), command: ({ paths }) => commands.send(who, paths) });
	if (chosen && (await run({ do: "send", name: who, paths: chosen.paths }))) note(t("offer_made", { name: safe(who) }), "good", { text: t("show_offers"), act: () => go("offers") });
}

/** @param {Person} person */
async function alwaysAccept({ name: who, always_accept: before }) {
	if (before !== null) return run({ do: "always_accept", name: who, folder: null });
	const chosen = await choose({ kind: "folder", title: t("always_accept_title", { name: safe(who) }), action: t("receive_here"), explanation: t("always_accept_text"), start: now().settings.folder, command: ({ paths }) => commands.alwaysAccept(who, paths[0] ?? "") });
	if (chosen) await run({ do: "always_accept", name: who, folder: chosen.paths[0] ?? "" });
}

/** @param {string} who */
async function verify(who) {
	note(t("verify_started", { name: safe(who) }));
	const reply = await run({ do: "verify", name: who });
	if (reply) note(t(reply.verified ? "verify_yes" : "verify_no", { name: safe(who) }), reply.verified ? "good" : "bad");
}

/** Clears a conversation, or all. @param {string} [who] @returns {Action} */
export const clearAction = (who) => ({
	text: t(who === undefined ? "clear_all" : "clear_history"), icon: "trash", isDanger: true, act: () => run({ do: "clear_history", ...(who === undefined ? {} : { with: who }) }),
	ask: { title: t(who === undefined ? "clear_all" : "clear_history"), text: [h("p", who === undefined ? t("clear_all_text") : r("clear_history_text", { name: strongName(titleOf(who)) })), h("p", t("cannot_be_undone"))] },
});

/** What can be done with a person, or with the server. @param {string} who @param {Person | undefined} person */
export const personMenu = (who, person) => menuButton(t("actions_of", { name: titleOf(who) }), () => {
	const contact = (/** @type {"block" | "forget"} */ what, /** @type {Wish} */ wish) => /** @type {Action} */ ({ text: t(what), icon: what === "block" ? "close" : "trash", isDanger: true, command: commands.about(`contacts ${what}`, who), act: () => run(wish), ask: { title: t(`${what}_title`, { name: safe(who) }), text: h("p", t(`${what}_text`)) } });
	return [
		canSendTo(person) && { text: t("verify"), icon: "shield", act: () => verify(who), command: commands.about("verify", who) },
		person?.key === "verified" && { text: person.always_accept === null ? t("always_accept_menu") : t("always_accept_end"), icon: "receive", act: () => alwaysAccept(person), command: commands.alwaysAccept(who, now().settings.folder) },
		clearAction(who),
		person?.blocked === true && { text: t("unblock"), icon: "check", act: () => run({ do: "block", name: who, blocked: false }), command: commands.about("contacts unblock", who) },
		person?.blocked === false && contact("block", { do: "block", name: who, blocked: true }),
		person !== undefined && person.key !== null && person.key !== "new" && contact("forget", { do: "forget", name: who })];
}, { key: "menu" }, () => {
	/** @type {Action[]} */
	const others = [{ text: t("write_message"), act: () => {}, command: commands.say(who, t("example_message")) }];
	if (person) others.push({ text: t("send_files"), act: () => {}, command: commands.send(who, [t("example_file")]) }, { text: t("path"), act: () => {}, command: commands.about("path", who) });
	else others.push({ text: t("people"), act: () => {}, command: commands.status() });
	return others;
});

function draw() {
	const who = app.route.rest;
	const heading = who ? h("h2.h1", { key: "title" }, t("people")) : h("h1", { key: "title", id: "title", tabindex: -1 }, t("people"));
	return h(`.view.people ${who ? "has-conversation" : ""}`,
		h(".people-side.scroller", { key: "people" }, h(".view-head", heading), drawList(who)),
		h(".conversation-side", { key: "conversation" }, who ? drawConversation(who) : empty("people", t("choose_person"), t("choose_person_text"))));
}

/** @param {string} current */
function drawList(current) {
	const { people, conversations } = now();
	const names = new Set(people.filter((person) => !person.is_self).map((person) => person.name));
	for (const { with: other, last } of conversations) if (last && other !== "server") names.add(other);
	const wanted = filter.toLowerCase();
	/** @type {Row[]} */
	const list = [...names].map((who) => ({ who, person: personOf(who) })).sort((left, right) => Number(right.person?.here ?? false) - Number(left.person?.here ?? false) || (left.person?.number ?? 0) - (right.person?.number ?? 0));
	const shown = [{ who: "server", person: undefined }, ...list].filter(({ who }) => !wanted || (who !== "server" && who.toLowerCase().includes(wanted)));
	const self = people.find((person) => person.is_self && person.here);
	return [
		list.length > 8 && search(t("filter_people"), filter, (value) => { filter = value; }),
		h("p.muted.people-count", { key: "count" }, t("n_here", { n: list.filter(({ person }) => person?.here).length }), self && ` · ${t("you_are", { number: self.number })}`),
		h("", { key: "rows" }, rows.draw(shown.length, (index) => shown[index]?.who ?? "", (index, props) => drawRow(/** @type {Row} */ (shown[index]), current, props))),
		list.length === 0 && h("p.muted.people-count", { key: "alone" }, t("nobody_else")),
	];
}

/** @param {Row} row @param {string} current @param {Props} props */
function drawRow({ who, person }, current, props) {
	const unread = now().conversations.find((each) => each.with === who)?.unread ?? 0;
	return h(".person-item", props, h(`a.person ${person && !person.here ? "away" : ""}`, { href: address("people", who), "aria-current": current === who ? "true" : null },
		avatar(who, person),
		h("span.grow", h("span.person-line", strongName(titleOf(who)), person && h("span.muted", ` #${format.number(person.number)}`), keyTag(person)), h("span.person-line.muted", who === "server" ? t("the_server_text") : presence(person))),
		unread > 0 && h("span.badge", format.number(unread), h("span.unseen", ` ${t("unread")}`))));
}

/** @param {string} who @param {Person | undefined} person */
export const avatar = (who, person) => (who === "server" ? h("span.avatar.server", icon("server")) : h(`span.avatar.tone-${[...who].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 6} ${person?.here ? "here" : ""}`, { "aria-hidden": "true" }, safe([...who][0]?.toUpperCase() ?? "")));

/** @param {Person | undefined} person */
export function keyTag(person) {
	if (person?.blocked) return h("span.tag.bad", t("blocked"));
	if (person?.key === "verified") return h("span.tag.good", icon("shield", "small"), t("verified"));
	return person?.key === "changed" && h("span.tag.bad", icon("warning", "small"), t("key_changed"));
}

/** Since when someone is here, and how to reach them. @param {Person | undefined} person */
export function presence(person) {
	if (!person) return t("not_here");
	if (!person.here) return [t("left_at"), " ", when(person.until)];
	return [t("here_since"), " ", when(person.since), !person.reachable ? ` · ${t("not_reachable")}` : person.path && ` · ${t(`path_${person.path}`)}`];
}

/** @type {View} */
export const people = { title: () => (app.route.rest ? titleOf(app.route.rest) : t("people")), draw };
