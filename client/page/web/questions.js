// The questions that the client asks, each as a dialog. One that is put off waits in a bar.

import { button, facts, field, fingerprint, format, h, icon, name, now, r, run, safe, store, t } from "./kit.js";

/** Put off. @type {Set<number>} */
const later = new Set();
/** Until the client says that they are settled. @type {Set<number>} */
const answered = new Set();
let typed = "";
let isForAll = false;
let shown = -1;

/** @type {F.reply} */
const reply = async ({ question }, chosen) => {
	// The form may have changed since.
	const answer = "decision" in chosen ? { ...chosen, for_all: isForAll } : chosen;
	answered.add(question);
	if (!(await run({ do: "answer", question, answer }))) answered.delete(question);
};
// After a snapshot, numbers may mean other questions.
store.listeners.push(({ kind }) => {
	if (kind === "fresh") for (const numbers of [later, answered]) numbers.clear();
});
/** @type {F.isEntry} */
const isEntry = (question) => ["name", "password", "trust"].includes(question.kind);

/** @type {F.drawKeys} */
export const drawKeys = (presented, known) =>
	facts([[t("key_now"), presented && fingerprint(presented)],
		...known.map((key) => /** @type {[string, Loose]} */ ([t("key_known"), fingerprint(key)]))]);

/** @type {F.confirmKey} */
const confirm = (key) => [[t(`q_${key}_no`), { confirm: false }], [t(`q_${key}_yes`), { confirm: true }]];
/** @type {F.decide} */
const decide = (decision, kind) => [t(decision), { decision, for_all: isForAll }, kind];

/** @type {F.parts} */
function parts(question) {
	switch (question.kind) {
		case "name":
		case "password": {
			const { connection } = now();
			const isPassword = question.kind === "password";
			return [t(isPassword ? "password" : "q_name"),
				[h("p", isPassword ? r("q_pass_text", { name: name(connection.name), server: name(connection.server) }) : t("name_hint")),
				field(isPassword ? t("password") : t("your_name"),
					{ type: isPassword ? "password" : "text", autocomplete: isPassword ? "current-password" : "username", value: typed, required: true,
					autofocus: true, oninput: ({ target }) => { typed = target.value; } })], []];
		}
		case "trust":
			return [t("q_trust"), [h("p", r("q_trust_text", { server: question.server })), fingerprint(question.fingerprint),
				h("p.muted", question.not_remembered ? t("q_trust_lost", { why: safe(question.not_remembered) }) : t("q_trust_kept"))],
				[[t("q_trust_yes"), { trust: true }]]];
		case "replace":
			return [t("q_replace"), h("p", r("q_conflict_text", { path: question.path })),
				[[t("skip"), { replace: false }], [t("replace"), { replace: true }, "danger"]]];
		case "conflict":
			return [t("q_conflict"), [h("p", r("q_conflict_text", { path: question.path })),
				h("label.check", h("input", { type: "checkbox", checked: isForAll, onchange: ({ target }) => { isForAll = target.checked; } }),
					h("span", t("q_conflict_all")))],
				[decide("skip"), decide("replace", "danger"), decide("keep_both")]];
		case "other_machine":
			return [t("q_machine"), [h("p", r("q_machine_text", { name: question.name })), drawKeys(question.presented, question.known)],
				confirm("machine")];
		case "compare_digits":
			return [t("q_digits", { name: question.name }),
				[h("p", r("q_digits_text", { name: question.name })), h("p.digits", { dir: "ltr" }, safe(question.digits)),
				h("p.muted", t("q_digits_why"))], confirm("digits")];
		case "more_than_offered":
			return [t("q_more"), h("p", r("q_more_text",
				{ name: question.from, offered: [format.bytes(question.offered)], found: [format.bytes(question.found)] })), confirm("more")];
		case "connect_directly":
			return [t("q_direct", { name: question.name }), [h("p", r("q_direct_text", { name: question.name })), fingerprint(question.key)],
				confirm("direct")];
	}
}

/** The first question that waits, as a dialog. @returns {Dialog | null} */
export function questionDialog() {
	const question = now().questions.find((each) => !later.has(each.question) && !answered.has(each.question));
	if (!question || store.link.state !== "live") return null;
	if (question.question !== shown) [shown, typed, isForAll] = [question.question, "", false];
	const [title, body, answers] = parts(question);
	const putOff = () => (question.kind === "trust" ? reply(question, { trust: false }) : isEntry(question) ? run({ do: "disconnect" })
		: later.add(question.question));
	const submit = answers.length > 0 ? undefined : () => {
		const text = typed;
		typed = "";
		return text && reply(question, question.kind === "password" ? { password: text } : { name: text.trim() });
	};
	const draw = () => [body,
		h(".actions.end", button(t(question.kind === "trust" ? "q_trust_no" : isEntry(question) ? "cancel" : "decide_later"), putOff,
			{ class: "quiet" }),
			answers.map(([text, answer, kind = ""], at) => button(text, () => reply(question, answer),
				{ class: `${kind} ${at === answers.length - 1 ? "primary" : ""}` })),
			submit && h("button.button.primary", { type: "submit" }, t("continue")))];
	return { key: `question-${question.question}`, label: title, draw, cancel: putOff, submit };
}

export function drawWaiting() {
	const count = now().questions.filter((question) => later.has(question.question)).length;
	return count > 0 && h(".strip", icon("warning"), h("span.grow", t("q_wait", { n: count })),
		button(t("answer_now"), () => later.clear(), { class: "small" }));
}
