// The frame around the views: navigation, connection, dialogs, notes; and what is shown without a connection.

import {
	actionButton, address, app, button, closeNote, commandLine, drawMenu, empty, failureTitle, format, h, icon, iconButton, instead,
	isConnected, name, now, r, readRoute, render, safe, spinner, store, strongName, t, update,
} from "./kit.js";
import { currentFolder, files, paste } from "./files.js";
import { offers, openCount } from "./offers.js";
import { people, unreadCount } from "./people.js";
import { drawWaiting, questionDialog } from "./questions.js";
import { disconnectAction, settings } from "./settings.js";
import { drawSignIn } from "./signin.js";
import { runningCount, transfers } from "./transfers.js";

const VIEWS = { files, transfers, people, offers, settings };

let place = "";

const hasViews = () => ["connected", "reconnecting"].includes(store.now?.connection.state ?? "") && !isRefused();
const isRefused = () => store.link.state === "refused" || store.link.state === "no_code";
const viewName = () => /** @type {keyof typeof VIEWS} */ (app.route.view in VIEWS ? app.route.view : "files");
const view = () => VIEWS[viewName()];

export function startShell() {
	app.draw = draw;
	addEventListener("hashchange", readRoute);
	readRoute();
	// Times such as "again in 3 s" move on.
	setInterval(() => store.link.state === "lost" && !document.hidden && update(), 1000);
	// A file that is dropped beside its target would replace the page.
	for (const kind of ["dragover", "drop"]) addEventListener(kind, instead(() => {}));
	addEventListener("paste", (event) => view() === files && isConnected() && app.dialogs.length === 0 && paste(event));
}

function draw() {
	const { link } = store;
	const state = store.now?.connection.state;
	const body = link.state === "refused" || link.state === "no_code" ? drawAlone("lock", link.state, commandLine("quiver gui"))
		: state === undefined ? (link.state === "lost" ? drawAlone("warning", "link_none", commandLine("quiver gui"),
			button(t("try_now"), () => app.source.retryNow())) : h("main.alone", h("p.loading", spinner(), t("link_trying"))))
			: hasViews() ? drawViews() : state === "stopping" ? drawAlone("warning", "stopping")
				: h(".shell-alone", drawLink(), drawSignIn());
	render(/** @type {Element} */ (document.getElementById("app")),
		[body, state && !isRefused() && [questionDialog()].map(drawDialog), app.dialogs.map(drawDialog), drawMenu(), drawNotes()]);
	const open = hasViews() ? openCount() + unreadCount() + now().questions.length : 0;
	const title = hasViews() ? `${safe(app.route.rest.split("/").at(-1) ?? "") || t(viewName())} – ` : "";
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
const drawAlone = (iconName, text, ...more) => h("main.alone", h("h1.unseen", t("app_name")),
	empty(iconName, t(text), t(`${text}_text`), ...more));

function drawViews() {
	const { connection } = now();
	const entry = (/** @type {keyof typeof VIEWS} */ key, count = 0, counted = "", rest = "") => h("li", { key },
		h("a", { href: address(key, rest), "aria-current": viewName() === key ? "page" : null },
			icon(key === "files" ? "folder" : key), h("span", t(key)), count > 0 && h("span.badge", format.number(count), h("span.unseen", ` ${counted}`))));
	return h(".shell",
		h("header.top", h("span.mark", icon("arrow")),
			h(".grow", strongName(connection.server), h("span.muted.block", r("as_name", { name: name(connection.name) }))),
			h(`span.state ${isConnected() ? "good" : "bad"}`, h("span.dot"),
				h("span", isConnected() ? t("connected") : store.link.state === "live" ? t("reconnecting") : t("cut_off"))),
				h(".leave", actionButton(disconnectAction(), "small quiet"))),
		h("nav.nav", { "aria-label": t("views") },
			h("ul", entry("files", 0, "", currentFolder()), entry("transfers", runningCount(), t("state_running")),
			entry("people", unreadCount(), t("unread")), entry("offers", openCount(), t("open")), entry("settings"))),
		h(`main.content ${view() === people ? "" : "scroller"}`, { id: "main" },
			h(".strips", drawLink(), drawWaiting(),
				connection.state === "reconnecting" && h(".strip.warn", spinner(),
					h("span.grow", r("server_lost", { server: name(connection.server) }), connection.failure && ` ${failureTitle(connection.failure)}`)),
				connection.state === "connected" && !connection.listening && view() === people && h(".strip", icon("warning"),
					h("span.grow", t("unheard"), ` ${safe(connection.not_listening_why ?? "")}`))),
			h(".place", { key: app.route.view }, view().draw())));
}

function drawLink() {
	const { state, retryAt } = store.link;
	if (state === "live") return null;
	const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
	return h(".strip.warn", spinner(),
		h("span.grow", seconds > 0 ? t("link_lost", { time: format.duration(seconds) })
		: t("link_trying")),
		state === "lost" && button(t("try_now"), () => app.source.retryNow(), { class: "small" }));
}

/** @type {F.drawDialog} */
const drawDialog = (dialog) => dialog && h(`dialog.dialog ${dialog.kind ?? ""}`,
	{ key: dialog.key, "aria-labelledby": dialog.key, mount: (element) => element.showModal(), unmount: (element) => element.close(),
		oncancel: instead(dialog.cancel) },
	h(".dialog-head", h("h2.grow", { id: dialog.key }, name(dialog.label)), iconButton(t("close"), "close", dialog.cancel)),
	h(dialog.submit ? "form.stack" : ".stack", { onsubmit: instead(dialog.submit) }, dialog.draw()));

const drawNotes = () => h(".notes",
	app.notes.map(({ key, kind, text, action }) => h(`.note ${kind}`, { key },
	icon(kind === "bad" ? "warning" : "check"), h("p.grow", text),
	action && button(action.text, () => { closeNote(key); return action.act?.(); }, { class: "small" }),
		iconButton(t("close"), "close", () => closeNote(key)))));
