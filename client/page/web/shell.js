// The frame around the views: navigation, connection, dialogs, menu, notes; and what stands there while there is none.

import {
	actionButton, address, app, button, closeNote, commandLine, drawMenu, empty, failureTitle, format, go, h, icon, iconButton, instead,
	isConnected, name, now, r, readRoute, render, safe, spinner, store, strongName, t, update,
} from "./kit.js";
import { currentFolder, files, paste } from "./files.js";
import { offers, openCount } from "./offers.js";
import { people, unreadCount } from "./people.js";
import { drawQuestion, drawWaiting } from "./questions.js";
import { disconnectAction, settings } from "./settings.js";
import { drawSignIn } from "./signin.js";
import { runningCount, transfers } from "./transfers.js";

const VIEWS = { files, transfers, people, offers, settings };

let place = "";

const hasViews = () => ["connected", "reconnecting"].includes(store.now?.connection.state ?? "") && !isRefused();
const isRefused = () => store.link.state === "refused" || store.link.state === "no_code";
const viewName = () => /** @type {keyof typeof VIEWS} */ (app.route.view in VIEWS ? app.route.view : "files");
const view = () => /** @type {View} */ (VIEWS[viewName()]);

export function startShell() {
	app.draw = draw;
	addEventListener("hashchange", readRoute);
	readRoute();
	// Times such as "2 minutes ago" and "again in 3 s" move on.
	setInterval(() => !document.hidden && (store.link.state !== "live" || new Date().getSeconds() === 0) && update(), 1000);
	// A file that is dropped beside its target would replace the page.
	for (const kind of ["dragover", "drop"]) addEventListener(kind, instead(() => {}));
	addEventListener("paste", (event) => view() === files && isConnected() && app.dialogs.length === 0 && paste(event));
	addEventListener("keydown", (event) => {
		const target = Object.keys(VIEWS)[Number(event.key) - 1];
		if (!event.altKey || event.ctrlKey || event.metaKey || !target || !hasViews()) return;
		event.preventDefault();
		go(target);
	});
}

function draw() {
	const { link } = store;
	const state = store.now?.connection.state;
	const body = isRefused() ? drawAlone("lock", link.state === "refused" ? "refused" : "no_code", commandLine("quiver gui"))
		: state === undefined ? (link.state === "lost" ? drawAlone("warning", "link_none", commandLine("quiver gui"),
			button(t("try_now"), () => app.source.retryNow())) : h("main.alone", { key: "start" }, h("p.loading", spinner(), t("link_trying"))))
			: hasViews() ? drawViews() : state === "stopping" ? drawAlone("leave", "stopping")
				: h(".shell-alone", { key: "sign-in" }, drawLink(), drawSignIn());
	render(/** @type {Element} */ (document.getElementById("app")),
		[body, state && !isRefused() && drawQuestion(), app.dialogs.map(drawDialog), drawMenu(), drawNotes()]);
	const open = hasViews() ? openCount() + unreadCount() + now().questions.length : 0;
	const title = hasViews() ? `${view().title?.() ?? t(viewName())} – ` : "";
	document.title = `${open > 0 ? `(${format.number(open)}) ` : ""}${title}${t("app_name")}`;
	moveFocus();
}

/** To the heading of another place, but not at the start. */
function moveFocus() {
	const before = place;
	place = hasViews() ? location.hash || "#files" : "none";
	if (place === before || before === "" || place === "none") return;
	document.getElementById("main")?.scrollTo(0, 0);
	if (app.dialogs.length === 0) document.getElementById("title")?.focus({ preventScroll: true });
}

/** @type {F.drawAlone} */
const drawAlone = (iconName, text, ...more) => h("main.alone", { key: text }, h("h1.unseen", t("app_name")),
	empty(iconName, t(text), t(`${text}_text`), ...more));

function drawViews() {
	const { connection } = now();
	const entry = (/** @type {keyof typeof VIEWS} */ key, count = 0, counted = "", rest = "") => h("li", { key },
		h("a", { href: address(key, rest), "aria-current": viewName() === key ? "page" : null }, icon(key), h("span", t(key)),
		count > 0 && h("span.badge", format.number(count), h("span.unseen", ` ${counted}`))));
	return h(".shell", { key: "shell" },
		h("a.skip", { href: "#main", onclick: instead(() => document.getElementById("title")?.focus()) }, t("skip_link")),
		h("header.top", h("span.mark", { "aria-hidden": "true" }, icon("arrow")),
			h(".grow", strongName(connection.server), h("span.muted.block", r("as_name", { name: name(connection.name) }))),
			h(`span.state ${isConnected() ? "good" : "bad"}`, h("span.dot"),
				h("span", isConnected() ? t("connected") : store.link.state === "live" ? t("reconnecting") : t("cut_off"))),
				h(".leave", actionButton(disconnectAction(), "small quiet"))),
		h("nav.nav", { "aria-label": t("views") },
			h("ul", entry("files", 0, "", currentFolder()), entry("transfers", runningCount(), t("state_running")),
			entry("people", unreadCount(), t("unread")), entry("offers", openCount(), t("open")), entry("settings"))),
		h(`main.content ${view() === people ? "" : "scroller"}`, { id: "main" },
			h(".strips", { key: "strips" }, drawLink(), drawWaiting(),
				connection.state === "reconnecting" && h(".strip.warn", { key: "server" }, spinner(),
					h("span.grow", r("server_lost", { server: name(connection.server) }), connection.failure && ` ${failureTitle(connection.failure)}`)),
				connection.state === "connected" && !connection.listening && view() === people && h(".strip", { key: "listening" }, icon("warning"),
					h("span.grow", t("unheard"), ` ${safe(connection.not_listening_why ?? "")}`))),
			h(".place", { key: app.route.view }, view().draw())));
}

function drawLink() {
	const { state, retryAt, tries } = store.link;
	if (state === "live") return null;
	const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
	return h(".strip.warn", { key: "link" }, spinner(),
		h("span.grow", state === "behind" ? t("link_behind") : seconds > 0 ? t("link_lost", { time: format.duration(seconds) })
		: t("link_trying"), tries > 3 && ` ${t("link_none_text")} quiver gui`),
		state === "lost" && button(t("try_now"), () => app.source.retryNow(), { class: "small" }));
}

/** @type {F.drawDialog} */
function drawDialog(dialog) {
	const cancel = () => {
		dialog.onCancel();
		app.dialogs = app.dialogs.filter((other) => other !== dialog);
	};
	const id = `dialog-${dialog.key}`;
	return h(`dialog.dialog ${dialog.kind}`,
		{ key: id, "aria-labelledby": id, mount: (element) => element.showModal(), unmount: (element) => element.close(),
		oncancel: instead(cancel) },
		h(".dialog-head", h("h2.grow", { id }, name(dialog.label)), iconButton(t("close"), "close", cancel)), dialog.draw());
}

const drawNotes = () => h(".notes", { key: "notes" },
	app.notes.map(({ key, kind, text, action }) => h(`.note ${kind}`, { key },
	icon(kind === "bad" ? "warning" : kind === "good" ? "check" : "bell"), h("p.grow", text),
	action && button(action.text, () => { closeNote(key); return action.act(); }, { class: "small" }),
		iconButton(t("dismiss"), "close", () => closeNote(key)))));
