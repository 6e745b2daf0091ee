// Settings of this computer's client, and the way out.

import {
	actionButton, button, chooseFolder, commandButton, commands, facts, fingerprint, h, name, now, run, safe, t, viewHead,
} from "./kit.js";
import { clearAction } from "./people.js";
import { runningCount } from "./transfers.js";

/** Signs out. Asks first while something is transferred. @returns {Action} */
export const disconnectAction = () => ({
	text: t("disconnect"), icon: "close", act: () => run({ do: "disconnect" }),
		ask: runningCount() > 0 && h("p", t("leave_text", { n: runningCount() })),
});

/** @type {F.setting} */
const setting = (title, text, control, tag = "") => h(`${tag}.setting`,
	h("span.grow", h("span.strong", title), h("span.muted.block", text)), control);

function draw() {
	const { settings, connection, version } = now();
	const toggle = (/** @type {"history" | "announce" | "wait_for_slot"} */ key, text = "") =>
		setting(t(`settings_${key}`), text, h("input", { type: "checkbox", role: "switch", checked: settings[key],
			onchange: ({ target }) => run({ do: "settings", change: { [key]: target.checked } }) }), "label");
	return h(".view",
		viewHead("settings"),
		h("section.card.lines",
			setting(t("settings_folder"), name(settings.folder), h(".actions",
				button(t("to_folder"), () => chooseFolder(t("settings_folder"), settings.folder,
					(folder) => run({ do: "settings", change: { folder } })), { class: "small" }),
				button(t("show"), () => run({ do: "show_in_folder", path: settings.folder }), { class: "small" }))),
			toggle("announce"), toggle("wait_for_slot", t("wait_text")), toggle("history", t("messages_hint")),
			setting(t("clear_all"), t("clear_text"), actionButton(clearAction(), "small"))),
		h("section.card", h("h2", t("connection")), facts([
			[t("server"), name(connection.server)], [t("your_name"), [name(connection.name), h("span.muted", ` #${connection.number}`)]],
			[t("key_server"), connection.fingerprint && fingerprint(connection.fingerprint)]]),
		h(".actions", actionButton(disconnectAction()), commandButton(commands.status()))),
		h("p.muted", t("keyboard")),
		h("p.muted", t("about", { version: safe(version) })));
}

export const settings = { draw };
