// Settings of this computer's client, what it is, and the way out.

import {
	actionButton, button, chooseFolder, commandButton, commands, facts, fingerprint, h, name, now, run, safe, t, viewHead,
} from "./kit.js";
import { notifyButton } from "./offers.js";
import { clearAction } from "./people.js";
import { runningCount } from "./transfers.js";

/** Signs out. Asks first while something is transferred. @returns {Action} */
export const disconnectAction = () => ({
	text: t("disconnect"), icon: "leave", act: () => run({ do: "disconnect" }),
		...(runningCount() > 0 ? { ask: { title: t("disconnect"), text: h("p", t("leave_text", { n: runningCount() })) } } : {}),
});

/** @type {F.setting} */
const setting = (title, text, ...control) => [h("span.grow", h("span.strong", title), h("span.muted.block", text)), ...control];

function draw() {
	const { settings, connection, version, home } = now();
	const toggle = (/** @type {"history" | "announce" | "wait_for_slot"} */ key) => h("label.setting", { key },
		setting(t(`settings_${key}`), t(`settings_${key}_text`),
		h("input.switch", { type: "checkbox", role: "switch", checked: settings[key],
		onchange: ({ target }) => run({ do: "settings", change: { [key]: target.checked } }) })));
	const notify = notifyButton();
	return h(".view.settings",
		viewHead("settings"),
		h("section.card",
			h(".setting", setting(t("settings_folder"), name(settings.folder),
				h(".actions", button(t("to_folder"), () => chooseFolder(t("settings_folder"), "use_folder", settings.folder,
				(folder) => run({ do: "settings", change: { folder } })), { class: "small" }),
				button(t("show_in_folder"), () => run({ do: "show_in_folder", path: settings.folder }), { class: "small" })))),
			toggle("announce"), toggle("wait_for_slot"), toggle("history"),
			h(".setting", setting(t("clear_all"), t("clear_all_text"), actionButton(clearAction(), "small"))),
			notify && h(".setting", { key: "notify" }, setting(t("notify"), t("notify_ask"), notify))),
		h("section.card", h("h2", t("connection")), facts([
			[t("server"), name(connection.server)], [t("your_name"), [name(connection.name), h("span.muted", ` #${connection.number}`)]],
				[t("key_server"), connection.fingerprint && fingerprint(connection.fingerprint)],
			[t("uploads"), t(connection.upload ? "can_upload" : "read_only")],
				[t("reachable"), connection.listening ? t("heard") : safe(connection.not_listening_why ?? t("unheard"))]]),
		h(".actions", actionButton(disconnectAction()), commandButton(commands.status()))),
		h("section.card", h("h2", t("keyboard")),
			facts(/** @type {const} */ (["views", "rows", "select", "open", "change", "parent"]).map((key) => [t(`keys_${key}`),
			t(`keys_${key}_text`)]))),
		h("p.muted", t("about", { version: safe(version), home: safe(home) })));
}

export const settings = { draw };
