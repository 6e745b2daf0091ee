// Settings of this computer's client, what it is, and the way out.

import { run } from "./app.js";
import { choose } from "./chooser.js";
import * as commands from "./commands.js";
import { h } from "./dom.js";
import { actionButton, button, commandButton, facts } from "./parts.js";
import { notifyButton } from "./offers.js";
import { clearAction } from "./people.js";
import { fingerprint, name, safe } from "./safe.js";
import { now } from "./store.js";
import { t } from "./texts.js";
import { runningCount } from "./transfers.js";

async function chooseFolder() {
	const chosen = await choose({ kind: "folder", title: t("settings_folder"), action: t("choose_this_folder"), explanation: t("choose_folder_explained"), start: now().settings.folder });
	if (chosen) await run({ do: "settings", change: { folder: chosen.paths[0] ?? "" } });
}

/** Signs out. Asks first while something is transferred. @returns {Action} */
export const disconnectAction = () => ({
	text: t("disconnect"), icon: "leave", act: () => run({ do: "disconnect" }), ...(runningCount() > 0 ? { ask: { title: t("disconnect"), text: h("p", t("disconnect_text", { n: runningCount() })) } } : {}),
});

/** @param {string} title @param {Loose} text @param {...Loose} control */
const setting = (title, text, ...control) => [h("span.grow", h("span.strong", title), h("span.muted.block", text)), ...control];

function draw() {
	const { settings, connection, version, home } = now();
	const toggle = (/** @type {"history" | "announce" | "wait_for_slot"} */ key) => h("label.setting", { key }, setting(t(`settings_${key}`), t(`settings_${key}_text`), h("input.switch", { type: "checkbox", role: "switch", checked: settings[key], onchange: ({ target }) => run({ do: "settings", change: { [key]: target.checked } }) })));
	const notify = notifyButton();
	return h(".view.settings",
		h(".view-head", h("h1", { id: "title", tabindex: -1 }, t("settings"))),
		h("section.card",
			h(".setting", setting(t("settings_folder"), name(settings.folder), h(".actions", button(t("change_folder"), chooseFolder, { class: "small" }), button(t("show_in_folder"), () => run({ do: "show_in_folder", path: settings.folder }), { class: "small" })))),
			toggle("announce"), toggle("wait_for_slot"), toggle("history"),
			h(".setting", setting(t("clear_all"), t("clear_all_hint"), actionButton(clearAction(), "small"))),
			notify && h(".setting", { key: "notify" }, setting(t("notifications"), t("notify_ask"), notify))),
		h("section.card", h("h2", t("connection")), facts([
			[t("server"), name(connection.server)], [t("your_name"), [name(connection.name), h("span.muted", ` #${connection.number}`)]], [t("server_fingerprint"), connection.fingerprint && fingerprint(connection.fingerprint)],
			[t("uploads"), t(connection.upload ? "uploads_yes" : "read_only")], [t("reachable"), connection.listening ? t("reachable_yes") : safe(connection.not_listening_why ?? t("not_listening"))]]),
		h(".actions", actionButton(disconnectAction()), commandButton(commands.status()))),
		h("section.card", h("h2", t("keyboard")), facts(/** @type {const} */ (["views", "rows", "select", "open", "change", "parent"]).map((key) => [t(`keys_${key}`), t(`keys_${key}_text`)]))),
		h("p.muted", t("about", { version: safe(version), home: safe(home) })));
}

/** @type {View} */
export const settings = { title: () => t("settings"), draw };
