// The conversation with one person, or with the server.

import { app, isConnected, note, run, update, updateNow } from "./app.js";
import * as commands from "./commands.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { icon } from "./icons.js";
import { box, button, commandButton, empty, facts, failureBox, iconButton, loading, when } from "./parts.js";
import { avatar, canSendTo, keyTag, personMenu, personOf, presence, sendFiles, titleOf } from "./people.js";
import { RowList } from "./rows.js";
import { name, safe, safeLines } from "./safe.js";
import { failureOf } from "./source.js";
import { drawDrops, take } from "./spool.js";
import { now, store } from "./store.js";
import { failureTitle, r, t } from "./texts.js";

const PAGE = 100;

/** What is typed, by peer. @type {Map<string, string>} */
const drafts = new Map();
/** Why messages could not be loaded, by peer. @type {Map<string, Failure>} */
const failures = new Map();
/** Peers whose messages are being loaded. @type {Set<string>} */
const pending = new Set();
/** @type {HTMLElement | null} */
let log = null;
let isAtEnd = true;
/** @type {{who: string, detail: PathDetail} | null} */
let path = null;
const rows = new RowList({ label: t("messages"), rowHeight: 64, isVariable: true });

store.listeners.push((happening) => happening.kind === "fresh" && failures.clear());
document.addEventListener("visibilitychange", update);

/** Loads the latest messages, or those before. @param {string} who */
async function load(who) {
	if (pending.has(who)) return;
	pending.add(who);
	const first = store.histories.get(who)?.messages[0];
	const height = log?.scrollHeight ?? 0;
	try {
		store.addOlder(who, await app.source.request({ do: "messages", with: who, limit: PAGE, ...(first ? { before: first.number } : {}) }));
		updateNow();
		// What was being read stays where it is.
		if (first && log) log.scrollTop += log.scrollHeight - height;
	} catch (thrown) {
		failures.set(who, failureOf(thrown));
		update();
	}
	pending.delete(who);
}

/** @param {string} text */
const overLimit = (text) => new TextEncoder().encode(text).length - now().connection.message_limit;

/** @param {string} who */
async function say(who) {
	const text = drafts.get(who)?.trim() ?? "";
	if (!text || overLimit(text) > 0 || !isConnected()) return;
	drafts.delete(who);
	isAtEnd = true;
	try {
		await app.source.request({ do: "say", to: who, text });
	} catch (thrown) {
		// The text comes back to be sent again, unless the next one is being typed.
		if (!drafts.get(who)) drafts.set(who, text);
		note(failureTitle(failureOf(thrown)), "bad");
	}
}

/** @param {string} who */
async function showPath(who) {
	const reply = path?.who === who ? null : await run({ do: "path", name: who });
	path = reply ? { who, detail: reply.path } : null;
}

/** @param {string} who */
export function drawConversation(who) {
	const history = store.histories.get(who);
	const failure = failures.get(who);
	const isLive = store.link.state === "live";
	if (!history?.loaded && !failure && isLive) void load(who);
	const conversation = now().conversations.find((each) => each.with === who);
	if (conversation?.unread && history?.loaded && !document.hidden && isAtEnd && isLive) {
		conversation.unread = 0;
		void run({ do: "mark_read", with: who });
	}
	const messages = history?.messages ?? [];
	const person = personOf(who);
	return h("section.conversation", {
		key: who, "aria-labelledby": "title",
		ondragover: (event) => canSendTo(person) && event.dataTransfer?.types.includes("Files") && event.preventDefault(),
		ondrop: (event) => canSendTo(person) && take(event.dataTransfer, { person: who }),
	},
	h("header.conversation-head", { key: "head" }, h("a.icon-button.back", { href: "#people", "aria-label": t("back_to_people") }, icon("back")), avatar(who, person),
		h(".grow", h("h1", { id: "title", tabindex: -1 }, name(titleOf(who))), h("p.muted", keyTag(person), " ", who === "server" ? name(now().connection.server) : presence(person))),
		canSendTo(person) && button(t("send_files"), () => sendFiles(who), { key: "send", icon: "send", class: "small primary" }),
		canSendTo(person) && iconButton(t("show_path"), "path", () => showPath(who), { key: "path", "aria-expanded": String(path?.who === who) }), personMenu(who, person)),
	path?.who === who && drawPath(path.detail),
	drawDrops((target) => target.person === who),
	h(".log.scroller", {
		key: "log", tabindex: 0, role: "group", "aria-label": t("messages"),
		mount: (element) => {
			log = element;
			isAtEnd = true;
			// The log stays at its end when its content or its size changes.
			new ResizeObserver(toEnd).observe(element);
			new MutationObserver(toEnd).observe(element, { childList: true, subtree: true });
			toEnd();
		},
		unmount: () => { log = null; },
		onscroll: () => { isAtEnd = log !== null && log.scrollHeight - log.scrollTop - log.clientHeight < 40; },
	},
	failure ? failureBox(failure, button(t("try_again"), () => failures.delete(who))) : !history?.loaded && loading(),
	history?.more && h(".actions.centre", { key: "older" }, button(t("older_messages"), () => load(who), { class: "small" })),
	history?.loaded && messages.length === 0 && empty("people", t("no_messages"), now().settings.history ? t("no_messages_text") : t("history_is_off")),
	messages.length > 0 && h("", { key: "messages" }, rows.draw(messages.length, (index) => String(messages[index]?.number), (index, props) => drawMessage(messages, index, who, props)))),
	drawComposer(who, person));
}

function toEnd() {
	if (isAtEnd && log) log.scrollTop = log.scrollHeight;
}

/** @param {PathDetail} detail */
const drawPath = (detail) => facts([
	[t("path"), t(`path_${detail.path}`)], [t("why"), detail.why && safe(detail.why)], [t("path_before"), detail.before && safe(detail.before)], [t("address"), detail.address && h("code", { dir: "ltr" }, safe(detail.address))],
	[t("round_trip"), detail.round_trip_ms !== null && t("milliseconds", { n: Math.round(detail.round_trip_ms) })], [t("bytes_direct"), format.bytes(detail.direct_bytes)], [t("bytes_relayed"), format.bytes(detail.relayed_bytes)]], "path-detail");

/** @param {Message[]} messages @param {number} index @param {string} who @param {Props} props */
function drawMessage(messages, index, who, props) {
	const message = /** @type {Message} */ (messages[index]);
	const { mine, state, answer, at, text, why } = message;
	const before = messages[index - 1];
	const writeAgain = () => {
		drafts.set(who, text);
		document.getElementById("composer")?.focus();
	};
	return h(".message-item", props, (!before || format.day(before.at) !== format.day(at)) && h("p.day", { key: "day" }, format.day(at)),
		h(`.message ${mine ? "mine" : "theirs"} ${state === "not_delivered" ? "bad" : ""}`, { key: "message" }, h("span.unseen", mine ? t("you_wrote") : r("they_wrote", { name: name(titleOf(who)) })),
			h("p.text", { dir: "auto" }, safeLines(text)), answer !== null && h("p.answer", { dir: "auto" }, icon("server", "small"), h("span", safeLines(answer))),
			h("p.stamp", when(at, format.clock), state && h("span", ` · ${t(`message_${state}`)}`), why && ` · ${safe(why)} `, state === "not_delivered" && h("button.link", { type: "button", onclick: writeAgain }, t("write_again")))));
}

/** @param {string} who @param {Person | undefined} person */
function drawComposer(who, person) {
	const text = drafts.get(who) ?? "";
	const over = overLimit(text);
	const problem = who === "server" ? null : person?.key === "changed" ? t("key_changed_text") : person?.blocked ? t("blocked_text") : !person?.here ? t("not_here_text") : !person.reachable ? safe(person.path_why ?? t("not_reachable_text")) : null;
	if (problem) return h("", { key: "problem" }, box("warning", h("p", problem)));
	return h("form.composer", { key: "composer", onsubmit: (event) => { event.preventDefault(); return say(who); } },
		h("textarea", {
			id: "composer", rows: 1, value: text, dir: "auto", "aria-label": t("message_to", { name: titleOf(who) }), placeholder: t("write_message"), "aria-describedby": "composer-hint", oninput: ({ target }) => { drafts.set(who, target.value); },
			onkeydown: (event) => {
				if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
				event.preventDefault();
				return say(who);
			},
		}),
		h("button.button.primary", { key: "say", type: "submit", disabled: !text.trim() || over > 0 || !isConnected() }, icon("send"), h("span", t("say"))),
		h("p.whole", { id: "composer-hint" }, over > 0 ? h("span.problem", t("message_too_long", { n: over })) : h("span.hint", t("composer_hint"), canSendTo(person) && ` ${t("composer_hint_files")}`), text.trim() && commandButton(commands.say(who, text.trim()), { class: "small quiet" })));
}
