// The frame around the views: navigation, the state of the connection, dialogs, menu, notes; and what is shown instead while there is none.

import { address, app, closeNote, go, isConnected, readRoute, update } from "./app.js";
import { h, render } from "./dom.js";
import { currentFolder, files, paste } from "./files.js";
import * as format from "./format.js";
import { icon } from "./icons.js";
import { offers, openCount } from "./offers.js";
import { actionButton, button, commandLine, drawMenu, empty, iconButton } from "./parts.js";
import { people, unreadCount } from "./people.js";
import { drawQuestion, drawWaiting } from "./questions.js";
import { name, safe, strongName } from "./safe.js";
import { disconnectAction, settings } from "./settings.js";
import { drawSignIn } from "./signin.js";
import { now, store } from "./store.js";
import { failureTitle, r, t } from "./texts.js";
import { runningCount, transfers } from "./transfers.js";

const VIEWS = /** @type {Record<string, View>} */ ({ files, transfers, people, offers, settings });

/** The place whose heading has had the focus. */
let place = "";

const hasViews = () => ["connected", "reconnecting"].includes(store.now?.connection.state ?? "") && !isRefused();
const isRefused = () => store.link.state === "refused" || store.link.state === "no_code";
const view = () => VIEWS[app.route.view] ?? files;

export function startShell() {
	app.draw = draw;
	addEventListener("hashchange", readRoute);
	readRoute();
	// Times such as "2 minutes ago" and "again in 3 s" move on.
	setInterval(() => !document.hidden && (store.link.state !== "live" || new Date().getSeconds() === 0) && update(), 1000);
	// A file that is dropped beside its target would replace the page.
	for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
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
		: state === undefined ? (link.state === "lost" ? drawAlone("warning", "link_none", commandLine("quiver gui"), button(t("try_now"), () => app.source.retryNow())) : h("main.alone", { key: "start" }, h("p.loading", h("span.spinner"), t("link_trying"))))
			: hasViews() ? drawViews() : state === "stopping" ? drawAlone("leave", "stopping") : h(".shell-alone", { key: "sign-in" }, drawLink(), drawSignIn());
	render(/** @type {Element} */ (document.getElementById("app")), [body, state && !isRefused() && drawQuestion(), app.dialogs.map(drawDialog), drawMenu(), drawNotes()]);
	const open = hasViews() ? openCount() + unreadCount() + now().questions.length : 0;
	document.title = `${open > 0 ? `(${format.number(open)}) ` : ""}${hasViews() ? `${view().title()} – ` : ""}${t("app_name")}`;
	moveFocus();
}

/** Moves the focus to the heading when another place is shown, but not at the start. */
function moveFocus() {
	const before = place;
	place = hasViews() ? location.hash || "#files" : "none";
	if (place === before || before === "" || place === "none") return;
	document.getElementById("main")?.scrollTo(0, 0);
	if (app.dialogs.length === 0) document.getElementById("title")?.focus({ preventScroll: true });
}

/** @param {IconName} iconName @param {"refused" | "no_code" | "link_none" | "stopping"} text @param {...Loose} more */
const drawAlone = (iconName, text, ...more) => h("main.alone", { key: text }, h("h1.unseen", t("app_name")), empty(iconName, t(text), t(`${text}_text`), ...more));

function drawViews() {
	const { connection } = now();
	const entry = (/** @type {"files" | "transfers" | "people" | "offers" | "settings"} */ key, count = 0, counted = "", rest = "") => h("li", { key }, h("a", { href: address(key, rest), "aria-current": view() === VIEWS[key] ? "page" : null }, icon(key), h("span", t(key)), count > 0 && h("span.badge", format.number(count), h("span.unseen", ` ${counted}`))));
	return h(".shell", { key: "shell" },
		h("a.skip", { href: "#main", onclick: (event) => { event.preventDefault(); document.getElementById("title")?.focus(); } }, t("skip_link")),
		h("header.top", h("span.mark", { "aria-hidden": "true" }, icon("arrow")), h(".grow", strongName(connection.server), h("span.muted.block", r("as_name", { name: name(connection.name) }))),
			h(`span.state ${isConnected() ? "good" : "bad"}`, h("span.dot"), h("span", isConnected() ? t("connected") : store.link.state === "live" ? t("reconnecting") : t("cut_off"))), h(".leave", actionButton(disconnectAction(), "small quiet"))),
		h("nav.nav", { "aria-label": t("views") }, h("ul", entry("files", 0, "", currentFolder()), entry("transfers", runningCount(), t("running")), entry("people", unreadCount(), t("unread")), entry("offers", openCount(), t("open_offers")), entry("settings"))),
		h(`main.content ${view() === people ? "" : "scroller"}`, { id: "main" },
			h(".strips", { key: "strips" }, drawLink(), drawWaiting(),
				connection.state === "reconnecting" && h(".strip.warn", { key: "server" }, h("span.spinner"), h("span.grow", r("server_lost", { server: name(connection.server) }), connection.failure && ` ${failureTitle(connection.failure)}`)),
				connection.state === "connected" && !connection.listening && view() === people && h(".strip", { key: "listening" }, icon("warning"), h("span.grow", t("not_listening"), ` ${safe(connection.not_listening_why ?? "")}`))),
			h(".place", { key: app.route.view }, view().draw())));
}

/** Says that the page does not show the present, and what it does about that. */
function drawLink() {
	const { state, retryAt, tries } = store.link;
	if (state === "live") return null;
	const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
	return h(".strip.warn", { key: "link" }, h("span.spinner"), h("span.grow", state === "behind" ? t("link_behind") : seconds > 0 ? t("link_lost", { time: format.duration(seconds) }) : t("link_trying"), tries > 3 && ` ${t("link_none_text")} quiver gui`), state === "lost" && button(t("try_now"), () => app.source.retryNow(), { class: "small" }));
}

/** @param {Dialog} dialog */
function drawDialog(dialog) {
	const cancel = () => {
		dialog.onCancel();
		app.dialogs = app.dialogs.filter((other) => other !== dialog);
	};
	const id = `dialog-${dialog.key}`;
	return h(`dialog.dialog ${dialog.kind}`, { key: id, "aria-labelledby": id, mount: (element) => element.showModal(), unmount: (element) => element.close(), oncancel: (event) => { event.preventDefault(); cancel(); } },
		h(".dialog-head", h("h2.grow", { id }, name(dialog.label)), iconButton(t("close"), "close", cancel)), dialog.draw());
}

const drawNotes = () => h(".notes", { key: "notes" }, app.notes.map(({ key, kind, text, action }) => h(`.note ${kind}`, { key }, icon(kind === "bad" ? "warning" : kind === "good" ? "check" : "bell"), h("p.grow", text),
	action && button(action.text, () => { closeNote(key); return action.act(); }, { class: "small" }), iconButton(t("dismiss"), "close", () => closeNote(key)))));
