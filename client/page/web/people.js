// The list of people, beside the conversation with one of them.

import {
	address, app, choose, chooseFolder, commands, empty, format, go, h, icon, menuButton, note, now, r, RowList, run, safe, search,
	strongName, t, when,
} from "./kit.js";
import { drawConversation } from "./conversation.js";

let filter = "";
const rows = new RowList({ label: t("people"), rowHeight: 68 });

export const unreadCount = () => now().conversations.reduce((sum, { unread }) => sum + unread, 0);
/** @type {F.titleOf} */
export const titleOf = (who) => (who === "server" ? t("the_server") : safe(who));
/** @type {F.personOf} */
export const personOf = (who) => now().people.filter((person) => person.name === who).sort((left, right) =>
	Number(right.here) - Number(left.here) || right.number - left.number)[0];
/** @type {F.canSendTo} */
export const canSendTo = (person) => person?.here === true && person.reachable && !person.blocked && person.key !== "changed";

/** @param {string} who */
export async function sendFiles(who) {
	const chosen = await choose({ kind: "both", title: t("send_to", { name: who }), explanation: t("choose_hint"),
		action: ({ paths }) => t("offer_n", { n: paths.length }), command: ({ paths }) => commands.send(who, paths) });
	if (chosen && (await run({ do: "send", name: who, paths: chosen.paths }))) note(t("offer_made", { name: who }), "good",
		{ text: t("look"), act: () => go("offers") });
}

/** @param {Person} person */
async function alwaysAccept({ name: who, always_accept: before }) {
	if (before !== null) return run({ do: "always_accept", name: who, folder: null });
	await chooseFolder(t("always_on"), now().settings.folder,
		(folder) => run({ do: "always_accept", name: who, folder }),
		(folder) => commands.alwaysAccept(who, folder), t("always_text"));
}

/** @type {F.verify} */
async function verify(who) {
	note(t("verify_asks", { name: who }));
	const reply = await run({ do: "verify", name: who });
	if (reply) note(t(reply.verified ? "verify_yes" : "verify_no", { name: who }), reply.verified ? "good" : "bad");
}

/** @type {F.clearAction} */
export const clearAction = (who) => ({
	text: t(who ? "clear_history" : "clear_all"), icon: "trash", isDanger: true, ask: h("p", t("clear_text")),
	act: () => run({ do: "clear_history", ...(who ? { with: who } : {}) }),
});

/** @type {F.personMenu} */
export const personMenu = (who, person) => menuButton(titleOf(who), () => {
	/** @type {F.contact} */
	const contact = (what, wish) => ({ text: t(what), icon: what === "block" ? "close" : "trash", isDanger: true,
		command: commands.about(`contacts ${what}`, who), act: () => run(wish),
		ask: h("p", r(`${what}_text`, { name: who })) });
	return [
		canSendTo(person) && { text: t("verify"), icon: "shield", act: () => verify(who), command: commands.about("verify", who) },
		person?.key === "verified" && { text: person.always_accept === null ? t("always_on") : t("always_off"), icon: "download",
			act: () => alwaysAccept(person), command: commands.alwaysAccept(who, now().settings.folder) },
		clearAction(who),
		person?.blocked === true && { text: t("unblock"), icon: "check", act: () => run({ do: "block", name: who, blocked: false }),
			command: commands.about("contacts unblock", who) },
		person?.blocked === false && contact("block", { do: "block", name: who, blocked: true }),
		person !== undefined && person.key !== null && person.key !== "new" && contact("forget", { do: "forget", name: who }),
		{ text: t("write"), command: commands.say(who, t("sample_text")) },
		...(person ? [{ text: t("send_files"), command: commands.send(who, [t("sample_file")]) },
			{ text: t("path"), command: commands.about("path", who) }] : [{ text: t("people"), command: commands.status() }])];
});

function draw() {
	const who = app.route.rest;
	const heading = who ? h("h2.h1", t("people")) : h("h1", { id: "title", tabindex: -1 }, t("people"));
	return h(`.view.people ${who ? "has-conversation" : ""}`,
		h(".people-side.scroller", heading, drawList()),
		h(".conversation-side", who ? drawConversation(who) : empty("people", t("person_none"), t("person_hint"))));
}

function drawList() {
	const { people, conversations } = now();
	const names = new Set(people.filter((person) => !person.is_self).map((person) => person.name));
	for (const { with: other, last } of conversations) if (last && other !== "server") names.add(other);
	const wanted = filter.toLowerCase();
	/** @type {Row[]} */
	const list = [...names].map((who) => ({ who, person: personOf(who) })).sort((left, right) =>
		Number(right.person?.here ?? false) - Number(left.person?.here ?? false) || (left.person?.number ?? 0) - (right.person?.number ?? 0));
	const shown = [{ who: "server", person: undefined },
		...list].filter(({ who }) => !wanted || (who !== "server" && who.toLowerCase().includes(wanted)));
	const self = people.find((person) => person.is_self && person.here);
	return [
		list.length > 8 && search(t("filter_people"), filter, (value) => { filter = value; }),
		h("p.muted", t("n_here", { n: list.filter(({ person }) => person?.here).length }),
			self && ` · ${t("you_are", { number: self.number })}`),
		h(".person-list", rows.draw(shown, ({ who }) => who, drawRow)),
		list.length === 0 && h("p.muted", t("nobody_else")),
	];
}

/** @type {F.drawRowPeople} */
function drawRow({ who, person }, props) {
	const unread = now().conversations.find((each) => each.with === who)?.unread ?? 0;
	return h(".person-item", props, h("a.person",
		{ href: address("people", who), "aria-current": app.route.rest === who ? "true" : null },
		avatar(who, person),
		h("span.grow", h("span.person-line", strongName(titleOf(who)), person && h("span.muted", ` #${format.number(person.number)}`),
			keyTag(person)), h("span.person-line.muted", who === "server" ? t("server_hint") : presence(person))),
		unread > 0 && h("span.badge", format.number(unread), h("span.unseen", ` ${t("unread")}`))));
}

/** @type {F.avatar} */
export const avatar = (who, person) => (who === "server" ? h("span.avatar.server", icon("server"))
	: h("span.avatar", { "aria-hidden": "true" }, safe([...who][0]?.toUpperCase() ?? ""), person?.here && h("span.dot")));

/** @type {F.keyTag} */
export function keyTag(person) {
	if (person?.blocked) return h("span.tag.bad", t("blocked"));
	if (person?.key === "verified") return h("span.tag.good", icon("shield", "small"), t("verified"));
	return person?.key === "changed" && h("span.tag.bad", icon("warning", "small"), t("key_changed"));
}

/** @type {F.presence} */
export function presence(person) {
	if (!person) return t("not_here");
	if (!person.here) return [t("left_at"), " ", when(person.until)];
	return [t("here_since"), " ", when(person.since), !person.reachable ? ` · ${t("unreachable")}`
		: person.path && ` · ${t(`path_${person.path}`)}`];
}

export const people = { draw };
