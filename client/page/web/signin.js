// The sign-in, and for each way it can fail what to do.

import {
	app, button, choose, commandButton, commands, failureBox, field, h, icon, iconButton, instead, name, noteFailure, now, r,
	run, safe, spinner, strongName, t, when,
} from "./kit.js";
import { drawKeys } from "./questions.js";

let form = { server: "", name: "", certificate: "" };
let isFilled = false;

const trimmed = () => ({ server: form.server.trim(), name: form.name.trim(), certificate: form.certificate.trim() });
const isReady = () => form.server.trim() !== "" && form.name.trim() !== "";

function connect() {
	const { server, name, certificate } = trimmed();
	const wish = /** @type {Wish} */ ({ do: "connect", server, name, ...(certificate ? { certificate } : {}) });
	// The connection's state says too why it failed, and stays.
	return app.source.request(wish).catch((thrown) => now().connection.failure || noteFailure(thrown));
}

const disconnect = () => run({ do: "disconnect" });

export function drawSignIn() {
	const { connection, recent } = now();
	if (!isFilled) form = { server: connection.server ?? recent[0]?.server ?? "", name: connection.name ?? recent[0]?.name ?? "",
		certificate: recent[0]?.certificate ?? "" };
	isFilled = true;
	const { state, failure } = connection;
	const server = name(connection.server);
	const card = state === "signed_out" ? drawForm()
		: failure?.code === "busy" ? h(".stack.centre", spinner(), h("h2", t("slot_wait")),
			h("p", r("slot_text", { server })), h("p.muted", safe(failure.text)), h(".actions", button(t("cancel"), disconnect)))
			: h(".stack.centre", spinner(),
				h("p", r("connecting", { server })), h(".actions", button(t("cancel"), disconnect)));
	return h("main.alone.scroller", { id: "main" }, h(".sign-in.card", h(".row", h("span.mark", icon("arrow")), h("h1", t("app_name"))),
		card));
}

function drawForm() {
	const { connection, recent } = now();
	const input = (/** @type {keyof typeof form} */ key, /** @type {Props} */ props = {}) =>
		({ value: form[key], oninput: (/** @type {{target: any}} */ { target }) => { form[key] = target.value; }, ...props });
	const chooseCertificate = async () => {
		const chosen = await choose({ kind: "file", title: t("cert_choose"), action: t("choose"), explanation: t("cert_hint") });
		if (chosen?.paths[0]) form.certificate = chosen.paths[0];
	};
	return h(".stack", connection.failure && drawFailure(connection.failure),
		h("form.stack", { onsubmit: instead(() => isReady() && connect()) },
			field(t("server"), input("server", { placeholder: "files.example.org:4433", required: true, name: "server", autocomplete: "on" })),
			field(t("your_name"), input("name", { required: true, maxlength: 32, name: "name", autocomplete: "username" }), t("name_hint")),
			h("details", h("summary", t("cert_has")), h(".row", h(".grow", field(t("cert"), input("certificate"), t("cert_hint"))),
				iconButton(t("cert_choose"), "folder", chooseCertificate))),
			h(".actions", h("button.button.primary", { type: "submit" }, h("span", t("connect"))),
				isReady() && commandButton(commands.connect(trimmed())))),
		recent.length > 0 && h("section", h("h2", t("recent")),
			h("ul", recent.map(({ server, name: as, certificate, used }) => h("li", h("button.person", { onclick: () => {
				form = { server, name: as ?? form.name, certificate: certificate ?? "" };
				return form.name && connect();
			} }, icon("server"), h("span.grow", strongName(server), as && h("span.muted.block", r("as_name", { name: name(as) }))),
			h("span.muted", when(used))))))));
}

/** @type {F.drawFailure} */
function drawFailure(failure) {
	const waitForSlot = async () => {
		await run({ do: "settings", change: { wait_for_slot: true } });
		await connect();
	};
	const hasRetry = ["busy", "connection", "interrupted", "expired"].includes(failure.code);
	return [
		failureBox(failure, [failure.code === "busy" && button(t("settings_wait_for_slot"), waitForSlot,
			{ icon: "retry", class: "primary" }), hasRetry && button(t("try_again"), connect, { icon: "retry" })]),
		failure.code === "untrusted" && [drawKeys(failure.presented, failure.known ?? []),
			failure.remembered_in && h("p", r("key_file", { file: h("code", { dir: "ltr" }, safe(failure.remembered_in)) }))]];
}
