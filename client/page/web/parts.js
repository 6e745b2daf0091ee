// Parts that several views use: buttons, the menu, bars, boxes, fields, and the page's own questions.

import { app, copy, failureAdvice, failureOf, failureTitle, format, h, icon, name, openDialog, safe, t } from "./kit.js";

/** @type {F.button} */
export function button(text, act, { icon: iconName, class: kind = "", ...props } = {}) {
	return h(`button.button ${kind}`, { onclick: act, ...props }, iconName && icon(iconName), h("span", text));
}

/** @type {F.iconButton} */
export const iconButton = (text, iconName, onclick, { class: kind = "", ...props } = {}) =>
	h(`button.icon-button ${kind}`, { title: text, "aria-label": text, onclick, ...props }, icon(iconName));

/** @type {F.start} */
export const start = (action) => () => (action.ask ? confirm(action) : action.act?.());

/** @type {F.actionButton} */
export const actionButton = (action, kind = action.kind) => button(action.text, start(action),
	{ icon: action.icon, class: `${kind} ${action.isDanger ? "danger" : ""}` });

/** @type {F.menuButton} */
export function menuButton(of, actions, props = {}) {
	const label = t("actions_of", { name: of });
	return iconButton(label, "more", ({ currentTarget }) => {
		const all = actions().filter((action) => action !== false);
		const list = all.filter((action) => action.act);
		const commands = all.filter((action) => action.command);
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
		role: "menu", popover: "auto", "aria-label": menu.label,
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
		{ role: "menuitem", onclick: () => { close(); return start(action)(); } }, icon(action.icon ?? "arrow"),
		h("span", action.text))));
}

/** @type {F.empty} */
export const empty = (iconName, title, text, ...actions) => h(".empty", icon(iconName, "large"), h("h2", title),
	text && h("p", text), actions.length > 0 && h(".actions", actions));

export const spinner = () => h("span.spinner");

export const loading = () => h("p.loading", spinner(), t("loading"));

/** @type {F.viewHead} */
export const viewHead = (title, ...more) => h(".actions.between", h("h1", { id: "title", tabindex: -1 }, t(title)), more);

/** @type {F.retryButton} */
export const retryButton = (act) => button(t("try_again"), act, { icon: "retry", class: "small" });

/** @type {F.instead} */
export const instead = (act) => (event) => {
	event.preventDefault();
	return act?.();
};

/** @type {F.box} */
export const box = (iconName, content, actions, kind = "") => h(`.box ${kind}`, icon(iconName),
	h(".grow", content, actions && h(".actions", actions)));

/** @type {F.failureBox} */
export const failureBox = (failure, actions) => box("warning",
	[h("p.strong", failureTitle(failure)), h("p", failureAdvice(failure)), failureDetail(failure)], actions, "bad");
/** @type {F.failureDetail} */
export const failureDetail = (failure) => failure.text && safe(failure.text) !== failureTitle(failure) && h("p.muted", safe(failure.text));

/** @type {F.when} */
export const when = (at) => at && h("time", { datetime: at, title: format.fullTime(at) }, format.time(at));

/** @type {F.facts} */
export const facts = (rows) => h("dl.facts",
	rows.map(([term, fact]) => fact && h("", h("dt", term), h("dd", fact))));

/** @type {F.commandButton} */
export const commandButton = (command, props = {}) => button(t("as_command"), () => copy(command),
	{ icon: "command", class: "quiet", title: command, ...props });

/** @type {F.showCommands} */
function showCommands(actions) {
	openDialog(t("terminal"), () => h("ul.lines", actions.map(({ text, command = "" }) => h("li",
		h(".grow", h("span.strong", text), commandLine(command)), iconButton(`${t("copy")}: ${text}`, "command", () => copy(command))))));
}
/** @type {F.commandLine} */
export const commandLine = (command) => h("code.command-line", { dir: "ltr", tabindex: 0 }, safe(command));

/** @type {F.confirm} */
function confirm({ ask, text, act, command, isDanger }) {
	const end = openDialog(text, () => [ask,
		h(".actions.end", command && commandButton(command), button(t("cancel"), () => end()),
			button(text, () => { end(); return act?.(); }, { class: isDanger ? "primary danger" : "primary", autofocus: true }))]);
}

/** @type {F.entryRow} */
export const entryRow = (entry, props, { kind = "", isChosen, isOff, act, open }, more, tools) => {
	const { tabindex } = props;
	const cells = {
		tick: !isOff && h("input", { type: "checkbox", tabindex, checked: isChosen, "aria-label": t("select_name", { name: entry.name }), onclick: act }),
		"file-name": [icon(entry.kind, entry.kind),
			h("button.name-button", { tabindex, disabled: "readable" in entry && !entry.readable, onclick: open }, name(entry.name)), more],
		size: entry.kind === "file" && format.bytes(entry.size), modified: when(entry.modified), tools,
	};
	return h(`.file-row ${kind} ${isChosen ? "chosen" : ""}`, { ...props, "aria-selected": isOff ? null : String(isChosen) },
		Object.entries(cells).map(([cell, content]) => content !== undefined && h(`.${cell}`, { role: "gridcell" }, content)));
};

/** @type {F.field} */
export const field = (label, props, hint) =>
	h("label.field", h("span", label),
		h("input", { type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false", dir: "auto", ...props }),
		hint && h("span.muted", hint));

/** @type {F.search} */
export const search = (label, value, change) =>
	h("input.search", { type: "search", value, "aria-label": label, placeholder: label, oninput: ({ target }) => change(target.value) });

/** @type {F.askName} */
export function askName(title, value, act, command) {
	let failure = /** @type {Failure?} */ (null);
	const entered = () => value.trim();
	const problem = () => (/[/\\\0-\x1f]|^\.\.?$/.test(entered()) ? t("bad_name") : "");
	const submit = () => entered() && !problem() && act(entered()).then(end, (thrown) => { failure = failureOf(thrown); });
	const end = openDialog(title, () => [
		field(t("name"), {
			value, required: true, oninput: ({ target }) => { value = target.value; }, "aria-invalid": problem() ? "true" : null,
			mount: (input) => { input.focus(); input.setSelectionRange(0, value.lastIndexOf(".") > 0 ? value.lastIndexOf(".") : value.length); },
		}, problem()),
		failure && failureBox(failure),
		h(".actions.end", entered() && commandButton(command(entered())), button(t("cancel"), () => end()),
			h("button.button.primary", { type: "submit" }, title))], { submit });
}

/** @type {F.bar} */
export function bar(label, verified, received, total, kind = "") {
	const part = (/** @type {number} */ value) => (total ? Math.min(100, (100 * value) / total) : 0);
	return h(".progress",
		h(`.bar ${kind}`, { role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": total === null
			? null : Math.floor(part(received)) },
			h(".bar-received", { style: { width: `${part(received)}%` } }), h(".bar-verified", { style: { width: `${part(verified)}%` } })),
		h("span.percent", format.percent(received, total)));
}
