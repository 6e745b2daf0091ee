// The questions that the client asks, each as a dialog. Escape puts one off: a bar says that it waits.

import { run } from "./app.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { icon } from "./icons.js";
import { button, check, field } from "./parts.js";
import { fingerprint, name, safe, strongName } from "./safe.js";
import { now, store } from "./store.js";
import { r, t } from "./texts.js";

/** Numbers of the questions that were put off. @type {Set<number>} */
const later = new Set();
/** Those that are answered, until the client says that they are settled. @type {Set<number>} */
const answered = new Set();
/** What is typed or ticked for the question that is shown. */
let typed = "";
let isForAll = false;
let shown = -1;

/** @param {Question} question @param {Answer} answer */
const reply = async ({ question }, answer) => {
	answered.add(question);
	if (!(await run({ do: "answer", question, answer }))) answered.delete(question);
};
// After a snapshot, numbers may mean other questions.
store.listeners.push(({ kind }) => {
	if (kind === "fresh") for (const numbers of [later, answered]) numbers.clear();
});
/** @param {Question} question */
const isEntry = (question) => ["name", "password", "trust"].includes(question.kind);

/** The keys of a person or server: the one shown now, and the known ones. @param {string | undefined} presented @param {string[]} known */
export const drawKeys = (presented, known) => h("dl.keys", presented && [h("dt", { key: "new" }, t("key_presented")), h("dd", { key: "new key" }, fingerprint(presented))], known.map((key) => [h("dt", { key: `term ${key}` }, t("key_known")), h("dd", { key }, fingerprint(key))]));

/** The title, the text, and the answers: the last one is the main one. @param {Question} question @returns {[string, Loose, [string, Answer, string?][]]} */
function parts(question) {
	switch (question.kind) {
		case "name":
		case "password": {
			const { connection } = now();
			const isPassword = question.kind === "password";
			return [t(`q_${question.kind}`), [h("p", isPassword ? r("q_password_text", { name: name(connection.name), server: name(connection.server) }) : t("your_name_hint")),
				field(isPassword ? t("password") : t("your_name"), { type: isPassword ? "password" : "text", autocomplete: isPassword ? "current-password" : "username", value: typed, required: true, autofocus: true, oninput: ({ target }) => { typed = target.value; } })], []];
		}
		case "trust":
			return [t("q_trust"), [h("p", r("q_trust_text", { server: strongName(question.server) })), fingerprint(question.fingerprint), h("p.muted", question.not_remembered ? t("q_trust_not_remembered", { why: safe(question.not_remembered) }) : t("q_trust_remembered"))],
				[[t("q_trust_yes"), { trust: true }]]];
		case "replace":
			return [t("q_replace"), h("p", r(question.on_server ? "q_replace_server" : "q_replace_local", { path: strongName(question.path) })), [[t("skip"), { replace: false }], [t("replace"), { replace: true }, "danger"]]];
		case "conflict":
			return [t("q_conflict"), [h("p", r("q_conflict_text", { path: strongName(question.path) })), check(t("q_conflict_all"), isForAll, (isOn) => { isForAll = isOn; })],
				[[t("skip"), { decision: "skip", for_all: isForAll }], [t("replace"), { decision: "replace", for_all: isForAll }, "danger"], [t("keep_both"), { decision: "keep_both", for_all: isForAll }]]];
		case "other_machine":
			return [t("q_machine"), [h("p", r("q_machine_text", { name: strongName(question.name) })), drawKeys(question.presented, question.known)], [[t("q_machine_no"), { confirm: false }], [t("q_machine_yes"), { confirm: true }]]];
		case "compare_digits":
			return [t("q_digits", { name: safe(question.name) }), [h("p", r("q_digits_text", { name: strongName(question.name) })), h("p.digits", { dir: "ltr" }, safe(question.digits)), h("p.muted", t("q_digits_why"))], [[t("q_digits_no"), { confirm: false }], [t("q_digits_yes"), { confirm: true }]]];
		case "more_than_offered":
			return [t("q_more"), h("p", r("q_more_text", { name: strongName(question.from), offered: format.bytes(question.offered), found: format.bytes(question.found) })), [[t("q_more_no"), { confirm: false }], [t("q_more_yes"), { confirm: true }]]];
		case "connect_directly":
			return [t("q_direct", { name: safe(question.name) }), [h("p", r("q_direct_text", { name: strongName(question.name) })), fingerprint(question.key)], [[t("q_direct_no"), { confirm: false }], [t("q_direct_yes"), { confirm: true }]]];
	}
}

export function drawQuestion() {
	const question = now().questions.find((each) => !later.has(each.question) && !answered.has(each.question));
	if (!question || store.link.state !== "live") return null;
	if (question.question !== shown) [shown, typed, isForAll] = [question.question, "", false];
	const [title, body, answers] = parts(question);
	const putOff = () => (question.kind === "trust" ? reply(question, { trust: false }) : isEntry(question) ? run({ do: "disconnect" }) : later.add(question.question));
	const submit = (/** @type {Event} */ event) => {
		event.preventDefault();
		const text = typed;
		typed = "";
		return text && reply(question, question.kind === "password" ? { password: text } : { name: text.trim() });
	};
	return h("dialog.dialog", {
		key: `question ${question.question}`, "aria-labelledby": "question", mount: (dialog) => dialog.showModal(), unmount: (dialog) => dialog.close(), oncancel: (event) => { event.preventDefault(); return putOff(); },
	}, h(".dialog-head", h("h2", { id: "question" }, title)), h(answers.length === 0 ? "form.dialog-body" : ".dialog-body", { onsubmit: submit }, body,
		h(".dialog-actions", button(t(question.kind === "trust" ? "q_trust_no" : isEntry(question) ? "cancel" : "decide_later"), putOff, { class: "quiet" }),
			answers.map(([text, answer, kind = ""], at) => button(text, () => reply(question, answer), { key: text, class: `${kind} ${at === answers.length - 1 ? "primary" : ""}` })),
			answers.length === 0 && h("button.button.primary", { key: "submit", type: "submit", disabled: !typed }, t("continue")))));
}

/** Says that questions wait that were put off. */
export function drawWaiting() {
	const count = now().questions.filter((question) => later.has(question.question)).length;
	return count > 0 && h(".strip", { key: "questions" }, icon("warning"), h("span.grow", t("questions_wait", { n: count })), button(t("answer_now"), () => later.clear(), { class: "small" }));
}
