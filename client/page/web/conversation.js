// The conversation with one person, or with the server.

import {
	app, box, button, commandButton, commands, drawDrops, empty, failureBox, failureOf, format, h, icon, instead,
	isConnected, loading, name, noteFailure, now, r, retryButton, RowList, run, safe, safeLines, store, t, take, update, updateNow,
	when,
} from "./kit.js";
import { avatar, canSendTo, keyTag, personMenu, personOf, presence, sendFiles, titleOf } from "./people.js";

const PAGE = 100;

/** By peer. @type {Map<string, string>} */
const drafts = new Map();
/** Why their messages could not be loaded. @type {Map<string, Failure>} */
const failures = new Map();
/** @type {Set<string>} */
const isLoading = new Set();
let log = /** @type {HTMLElement?} */ (null);
let isAtEnd = true;
const rows = new RowList({ label: t("messages"), rowHeight: 64 });

store.listeners.push((happening) => happening.kind === "fresh" && failures.clear());
document.addEventListener("visibilitychange", update);

/** @type {F.load} */
async function load(who) {
	if (isLoading.has(who)) return;
	isLoading.add(who);
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
	isLoading.delete(who);
}

/** @type {F.overLimit} */
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
		// The text comes back, unless the next one is being typed.
		if (!drafts.get(who)) drafts.set(who, text);
		noteFailure(thrown);
	}
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
	h("header.row.conversation-head", h("a.icon-button.back", { href: "#people", "aria-label": t("back") }, icon("chevron", "flipped")),
		avatar(who, person),
		h(".grow", h("h1", { id: "title", tabindex: -1 }, name(titleOf(who))),
			h("p.muted", keyTag(person), " ", who === "server" ? name(now().connection.server) : presence(person))),
		canSendTo(person) && button(t("send_files"), () => sendFiles(who), { icon: "send", class: "small primary" }),
		personMenu(who, person)),
	drawDrops((target) => target.person === who),
	h(".log.scroller", {
		tabindex: 0, role: "group", "aria-label": t("messages"),
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
	failure ? failureBox(failure, retryButton(() => failures.delete(who))) : !history?.loaded && loading(),
	history?.more && h(".actions.centre", button(t("older"), () => load(who), { class: "small" })),
	history?.loaded && messages.length === 0 && empty("people", t("no_messages"), now().settings.history ? t("messages_hint")
		: t("history_off")),
	messages.length > 0 && h("",
		rows.draw(messages, ({ number }) => String(number), (message, props, index) => drawMessage(message, messages[index - 1], props)))),
	drawComposer(who, person));
}

function toEnd() {
	if (isAtEnd && log) log.scrollTop = log.scrollHeight;
}

/** @type {F.drawMessage} */
function drawMessage({ with: who, mine, state, answer, at, text, why }, before, props) {
	const writeAgain = () => {
		drafts.set(who, text);
		document.getElementById("composer")?.focus();
	};
	return h(".message-item", props, (!before || format.day(before.at) !== format.day(at)) && h("p.day", format.day(at)),
		h(`.message ${mine ? "mine" : ""} ${state === "not_delivered" ? "bad" : ""}`,
			h("span.unseen", mine ? t("you_wrote") : r("they_wrote", { name: name(titleOf(who)) })),
			h("p.text", { dir: "auto" }, safeLines(text)),
				answer !== null && h("p.row.answer", { dir: "auto" }, icon("server", "small"), h("span", safeLines(answer))),
			h("p.stamp", when(at), state && h("span", ` · ${t(`state_${state}`)}`), why && ` · ${safe(why)} `,
				state === "not_delivered" && h("button.link", { onclick: writeAgain }, t("write_again")))));
}

/** @type {F.drawComposer} */
function drawComposer(who, person) {
	const text = drafts.get(who) ?? "";
	const over = overLimit(text);
	const problem = who === "server" ? null : person?.key === "changed" ? t("changed_text") : person?.blocked ? t("blocked_text")
		: !person?.here ? t("away_text") : !person.reachable ? safe(person.path_why ?? t("unheard_text")) : null;
	if (problem) return box("warning", h("p", problem));
	return h("form.composer", { onsubmit: instead(() => say(who)) },
		h("textarea", {
			id: "composer", rows: 1, value: text, dir: "auto", "aria-label": t("message_to", { name: titleOf(who) }), placeholder: t("write"),
				"aria-describedby": "composer-hint", oninput: ({ target }) => { drafts.set(who, target.value); },
			onkeydown: (event) => {
				if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
				event.preventDefault();
				return say(who);
			},
		}),
		h("button.button.primary", { type: "submit", disabled: !text.trim() || over > 0 || !isConnected() }, icon("send"),
			h("span", t("say"))),
		h("p.row.whole", { id: "composer-hint" }, over > 0 ? h("span.problem", t("too_long", { n: over }))
			: h("span.muted.grow", t("write_hint"), canSendTo(person) && ` ${t("write_files")}`),
			text.trim() && commandButton(commands.say(who, text.trim()), { class: "small quiet" })));
}
