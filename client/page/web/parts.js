// Small parts that all views use: buttons, the menu, bars, boxes, fields, and the page's own questions.

import { app, copy, openDialog, update } from "./app.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { icon } from "./icons.js";
import { safe } from "./safe.js";
import { failureOf } from "./source.js";
import { failureAdvice, failureTitle, t } from "./texts.js";

/** @param {string} text @param {() => unknown} act @param {Props & {icon?: IconName}} [props] */
export function button(text, act, { icon: iconName, class: kind = "", ...props } = {}) {
	return h(`button.button ${kind}`, { type: "button", onclick: act, ...props }, iconName && icon(iconName), h("span", text));
}

/** A button that shows only an icon; its text is its name and its tip. @param {string} text @param {IconName} iconName @param {Props["onclick"]} onclick @param {Props} [props] */
export const iconButton = (text, iconName, onclick, { class: kind = "", ...props } = {}) =>
	h(`button.icon-button ${kind}`, { type: "button", title: text, "aria-label": text, onclick, ...props }, icon(iconName));

/** @param {Action} action */
const start = (action) => () => (action.ask ? confirm(action) : action.act());

/** @param {Action} action @param {string} [kind] */
export const actionButton = (action, kind = "") => button(action.text, start(action), { key: action.text, icon: action.icon, class: `${kind} ${action.isDanger ? "danger" : ""}` });

/** A button that opens a menu. Commands of the actions, and of `others`, are its last entry. @param {string} label @param {() => (Action | false)[]} actions @param {Props} [props] @param {() => Action[]} [others] */
export const menuButton = (label, actions, props = {}, others = () => []) =>
	iconButton(label, "more", ({ currentTarget }) => {
		const list = actions().filter((action) => action !== false);
		const commands = [...others(), ...list].filter((action) => action.command);
		if (commands.length > 0) list.push({ text: t("copy_as_command"), icon: "command", act: () => (commands.length === 1 ? copy(commands[0]?.command ?? "") : showCommands(commands)) });
		app.menu = { anchor: currentTarget, label, actions: list };
	}, { "aria-haspopup": "menu", ...props });

/** The open menu, in the top layer. */
export function drawMenu() {
	const { menu } = app;
	if (!menu) return null;
	const close = () => {
		if (app.menu !== menu) return;
		app.menu = null;
		if (document.activeElement === document.body || document.activeElement?.closest("[role=menu]")) menu.anchor.focus();
	};
	return h(".menu", {
		key: "menu", role: "menu", popover: "auto", "aria-label": menu.label,
		mount: (element) => {
			element.showPopover();
			const { right, top, bottom } = menu.anchor.getBoundingClientRect();
			const { offsetWidth, offsetHeight } = element;
			element.style.setProperty("left", `${Math.max(8, right - offsetWidth)}px`);
			element.style.setProperty("top", `${bottom + offsetHeight + 8 > innerHeight ? Math.max(8, top - offsetHeight - 4) : bottom + 4}px`);
			element.querySelector("button")?.focus();
		},
		ontoggle: (event) => event.newState === "closed" && close(),
		onkeydown: (event) => {
			const items = [...event.currentTarget.querySelectorAll("button")];
			const at = items.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
			const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
			if (event.key === "Tab") close();
			if (to === undefined) return;
			event.preventDefault();
			items.at(to % items.length)?.focus();
		},
	}, menu.actions.map((action) => h(`button${action.isDanger ? ".danger" : ""}`, { key: action.text, type: "button", role: "menuitem", onclick: () => { close(); return start(action)(); } }, icon(action.icon ?? "arrow"), h("span", action.text))));
}

/** @param {IconName} iconName @param {string} title @param {Loose} [text] @param {...Loose} actions */
export const empty = (iconName, title, text, ...actions) => h(".empty", icon(iconName, "large"), h("h2", title), text && h("p", text), actions.length > 0 && h(".actions", actions));

/** @param {string} [text] */
export const loading = (text = t("loading")) => h("p.loading", { key: "loading" }, h("span.spinner"), text);

/** @param {IconName} iconName @param {Loose} content @param {...Loose} actions */
export const box = (iconName, content, ...actions) => h(".box", icon(iconName), h(".grow", content, actions.length > 0 && h(".actions", actions)));

/** A failure in its place: what failed, what to do, the detail. @param {Failure} failure @param {...Loose} actions */
export function failureBox(failure, ...actions) {
	const advice = failureAdvice(failure);
	return h(".bad", { key: "failure" }, box("warning", [h("p.strong", failureTitle(failure)), advice && h("p", advice), failureDetail(failure)], ...actions));
}
/** The text of a failure, where it says more than its title. @param {Failure} failure */
export const failureDetail = (failure) => failure.text && safe(failure.text) !== failureTitle(failure) && h("p.muted", safe(failure.text));

/** A time, with the full date as its tip. @param {string | null} at @param {(at: string) => string} [shown] */
export const when = (at, shown = format.time) => at && h("time", { datetime: at, title: format.fullTime(at) }, shown(at));

/** Terms and what they are. @param {([string, Loose] | false | null)[]} rows @param {string} [kind] */
export const facts = (rows, kind = "") => h(`dl.facts ${kind}`, { key: "facts" }, rows.filter((row) => row && row[1]).map((row) => row && h("", { key: row[0] }, h("dt", row[0]), h("dd", row[1]))));

/** The command that does the same, to be copied. @param {string} command @param {Props} [props] */
export const commandButton = (command, props = {}) => button(t("copy_as_command"), () => copy(command), { key: "command", icon: "command", class: "quiet", title: command, ...props });

/** @param {Action[]} actions */
function showCommands(actions) {
	openDialog(t("commands_title"), () => h(".dialog-body", h("p.muted", t("commands_text")),
		h("ul.commands", actions.map(({ text, command = "" }) => h("li", { key: text }, h(".grow", h("span.strong", text), commandLine(command)), iconButton(`${t("copy")}: ${text}`, "command", () => copy(command)))))));
}
/** @param {string} command */
export const commandLine = (command) => h("code.command-line", { dir: "ltr", tabindex: 0 }, safe(command));

/** Asks before something that cannot be undone. @param {Action} action */
function confirm({ ask, text, act, command, isDanger }) {
	const end = openDialog(ask?.title ?? text, () => h(".dialog-body", h("", ask?.text),
		h(".dialog-actions", command && commandButton(command), button(t("cancel"), () => end()), button(text, () => { end(); return act(); }, { class: isDanger ? "primary danger" : "primary", autofocus: true }))));
}

/** A text field with its label. @param {string} label @param {Props} props @param {string} [hint] @param {...Loose} more */
export const field = (label, props, hint, ...more) =>
	h("label.field", { key: label }, h("span", label), h("input", { type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false", dir: "auto", ...props }), hint && h("span.hint", hint), more);

/** @param {string} label @param {string} value @param {(value: string) => void} change */
export const search = (label, value, change) =>
	h("label.search", { key: "search" }, icon("search"), h("input", { type: "search", value, "aria-label": label, placeholder: t("filter"), oninput: ({ target }) => change(target.value) }));

/** @param {Loose} label @param {boolean} checked @param {(isChecked: boolean) => unknown} change @param {Props} [props] */
export const check = (label, checked, change, props = {}) => h("label.check", props, h("input", { type: "checkbox", checked, onchange: ({ target }) => change(target.checked) }), h("span", label));

/** Asks for a name. `problem` says what is wrong with it. @param {{title: string, label: string, value: string, action: string, act: (value: string) => Promise<unknown>, command: (value: string) => string, problem: (value: string) => string}} question */
export function askText({ title, label, value, action, act, command, problem }) {
	/** @type {Failure | null} */
	let failure = null;
	const submit = (/** @type {Event} */ event) => {
		event.preventDefault();
		if (value.trim() && !problem(value)) return act(value.trim()).then(end, (thrown) => { failure = failureOf(thrown); });
	};
	const end = openDialog(title, () => h("form.dialog-body", { onsubmit: submit },
		field(label, {
			value, oninput: ({ target }) => { value = target.value; }, "aria-invalid": problem(value) ? "true" : null,
			mount: (input) => { input.focus(); input.setSelectionRange(0, value.lastIndexOf(".") > 0 ? value.lastIndexOf(".") : value.length); },
		}, problem(value)),
		failure && failureBox(failure),
		h(".dialog-actions", value.trim() && commandButton(command(value.trim())), button(t("cancel"), () => end()), h("button.button.primary", { type: "submit", disabled: !value.trim() || problem(value) !== "" }, action))));
	update();
}

/** What is verified, over what has arrived. @param {string} label @param {number} verified @param {number} received @param {number | null} total @param {string} [kind] */
export function bar(label, verified, received, total, kind = "") {
	const part = (/** @type {number} */ value) => (total ? Math.min(100, (100 * value) / total) : 0);
	return h(".progress", { key: "bar" },
		h(`.bar ${kind}`, { role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": total === null ? null : Math.floor(part(verified)) },
			h(".bar-received", { style: { width: `${part(received)}%` } }), h(".bar-verified", { style: { width: `${part(verified)}%` } })),
		h("span.percent", format.percent(verified, total)));
}
