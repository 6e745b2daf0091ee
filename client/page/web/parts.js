// Small parts that all views use: buttons, the menu, bars, boxes, fields, and the page's own questions.

import { app, copy, failureAdvice, failureOf, failureTitle, format, h, icon, name, openDialog, safe, t, update } from "./kit.js";

/** @type {F.button} */
export function button(text, act, { icon: iconName, class: kind = "", ...props } = {}) {
	return h(`button.button ${kind}`, { onclick: act, ...props }, iconName && icon(iconName), h("span", text));
}

/** @type {F.iconButton} */
export const iconButton = (text, iconName, onclick, { class: kind = "", ...props } = {}) =>
	h(`button.icon-button ${kind}`, { title: text, "aria-label": text, onclick, ...props }, icon(iconName));

/** @type {F.start} */
export const start = (action) => () => (action.ask ? confirm(action) : action.act());

/** @type {F.actionButton} */
export const actionButton = (action, kind = action.kind) => button(action.text, start(action),
	{ key: action.text, icon: action.icon, class: `${kind} ${action.isDanger ? "danger" : ""}` });

/** @type {F.menuButton} */
export function menuButton(of, actions, props = {}, others = () => []) {
	const label = t("actions_of", { name: of });
	return iconButton(label, "more", ({ currentTarget }) => {
		const list = actions().filter((action) => action !== false);
		const commands = [...others(), ...list].filter((action) => action.command);
		if (commands.length > 0) list.push({ text: t("as_command"), icon: "command",
			act: () => (commands.length === 1 ? copy(commands[0]?.command ?? "") : showCommands(commands)) });
		app.menu = { anchor: currentTarget, label, actions: list };
	}, { "aria-haspopup": "menu", ...props });
}

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
	}, menu.actions.map((action) => h(`button${action.isDanger ? ".danger" : ""}`,
		{ key: action.text, role: "menuitem", onclick: () => { close(); return start(action)(); } }, icon(action.icon ?? "arrow"),
		h("span", action.text))));
}

/** @type {F.empty} */
export const empty = (iconName, title, text, ...actions) => h(".empty", { key: "empty" }, icon(iconName, "large"), h("h2", title),
	text && h("p", text), actions.length > 0 && h(".actions", actions));

export const spinner = () => h("span.spinner");

/** @type {F.loading} */
export const loading = (text = t("loading")) => h("p.loading", { key: "loading" }, spinner(), text);

/** @type {F.viewHead} */
export const viewHead = (title, ...more) => h(".view-head", h("h1", { id: "title", tabindex: -1 }, t(title)), more);

/** @type {F.retryButton} */
export const retryButton = (act) => button(t("try_again"), act, { key: "again", icon: "retry", class: "small" });

/** @type {F.instead} */
export const instead = (act) => (event) => {
	event.preventDefault();
	return act();
};

/** @type {F.box} */
export const box = (iconName, content, ...actions) => h(".box", { key: iconName }, icon(iconName),
	h(".grow", content, actions.length > 0 && h(".actions", actions)));

/** @type {F.failureBox} */
export function failureBox(failure, ...actions) {
	const advice = failureAdvice(failure);
	return h(".bad", { key: "failure" }, box("warning",
		[h("p.strong", failureTitle(failure)), advice && h("p", advice), failureDetail(failure)], ...actions));
}
/** @type {F.failureDetail} */
export const failureDetail = (failure) => failure.text && safe(failure.text) !== failureTitle(failure) && h("p.muted", safe(failure.text));

/** @type {F.when} */
export const when = (at, shown = format.time) => at && h("time", { datetime: at, title: format.fullTime(at) }, shown(at));

/** @type {F.facts} */
export const facts = (rows, kind = "") => h(`dl.facts ${kind}`, { key: "facts" },
	rows.filter((row) => row && row[1]).map((row) => row && h("", { key: row[0] }, h("dt", row[0]), h("dd", row[1]))));

/** @type {F.commandButton} */
export const commandButton = (command, props = {}) => button(t("as_command"), () => copy(command),
	{ key: "command", icon: "command", class: "quiet", title: command, ...props });

/** @type {F.showCommands} */
function showCommands(actions) {
	openDialog(t("terminal"), () => h(".dialog-body", h("p.muted", t("terminal_hint")),
		h("ul.commands", actions.map(({ text, command = "" }) => h("li", { key: text },
			h(".grow", h("span.strong", text), commandLine(command)), iconButton(`${t("copy")}: ${text}`, "command", () => copy(command)))))));
}
/** @type {F.commandLine} */
export const commandLine = (command) => h("code.command-line", { dir: "ltr", tabindex: 0 }, safe(command));

/** @type {F.confirm} */
function confirm({ ask, text, act, command, isDanger }) {
	const end = openDialog(ask?.title ?? text, () => h(".dialog-body", h("", ask?.text),
		h(".dialog-actions", command && commandButton(command), button(t("cancel"), () => end()),
			button(text, () => { end(); return act(); }, { class: isDanger ? "primary danger" : "primary", autofocus: true }))));
}

/** @type {F.entryRow} */
export const entryRow = (entry, props, { kind = "", type = "checkbox", isChosen, isOff, act, open }, more, tools) => {
	const { tabindex } = props;
	const cells = {
		tick: !isOff && h("input", { type, tabindex, checked: isChosen, "aria-label": t("select_name", { name: entry.name }), onclick: act }),
		"file-name": [icon(entry.kind, entry.kind),
			h("button.name-button", { tabindex, disabled: "readable" in entry && !entry.readable, onclick: open }, name(entry.name)), more],
		size: entry.kind === "file" && format.bytes(entry.size), modified: when(entry.modified), tools,
	};
	return h(`.file-row ${kind} ${isChosen ? "chosen" : ""}`, { ...props, "aria-selected": isOff ? null : String(isChosen) },
		Object.entries(cells).map(([cell, content]) => content !== undefined && h(`.${cell}`, { key: cell, role: "gridcell" }, content)));
};

/** @type {F.field} */
export const field = (label, props, hint, ...more) =>
	h("label.field", { key: label }, h("span", label),
		h("input", { type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false", dir: "auto", ...props }),
		hint && h("span.hint", hint), more);

/** @type {F.search} */
export const search = (label, value, change) =>
	h("label.search", { key: "search" }, icon("search"),
		h("input", { type: "search", value, "aria-label": label, placeholder: t("filter"), oninput: ({ target }) => change(target.value) }));

/** @type {F.check} */
export const check = (label, checked, change, props = {}) => h("label.check", props,
	h("input", { type: "checkbox", checked, onchange: ({ target }) => change(target.checked) }), h("span", label));

/** @type {F.askText} */
export function askText({ title, label, value, action, act, command, problem }) {
	/** @type {Failure | null} */
	let failure = null;
	const submit = instead(() => value.trim() && !problem(value) && act(value.trim()).then(end, (thrown) => { failure = failureOf(thrown); }));
	const end = openDialog(title, () => h("form.dialog-body", { onsubmit: submit },
		field(label, {
			value, oninput: ({ target }) => { value = target.value; }, "aria-invalid": problem(value) ? "true" : null,
			mount: (input) => { input.focus(); input.setSelectionRange(0, value.lastIndexOf(".") > 0 ? value.lastIndexOf(".") : value.length); },
		}, problem(value)),
		failure && failureBox(failure),
		h(".dialog-actions", value.trim() && commandButton(command(value.trim())), button(t("cancel"), () => end()),
			h("button.button.primary", { type: "submit", disabled: !value.trim() || problem(value) !== "" }, action))));
	update();
}

/** @type {F.bar} */
export function bar(label, verified, received, total, kind = "") {
	const part = (/** @type {number} */ value) => (total ? Math.min(100, (100 * value) / total) : 0);
	return h(".progress", { key: "bar" },
		h(`.bar ${kind}`, { role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": total === null
			? null : Math.floor(part(verified)) },
			h(".bar-received", { style: { width: `${part(received)}%` } }), h(".bar-verified", { style: { width: `${part(verified)}%` } })),
		h("span.percent", format.percent(verified, total)));
}
