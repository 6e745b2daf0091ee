// Starts the page, and says what happens outside of the view.

import { announce, app, go, note, now, safe, store, t, update } from "./kit.js";
import { notify } from "./offers.js";
import { titleOf } from "./people.js";
import { startShell } from "./shell.js";
import { forgetSecret, SocketSource, tabSecret } from "./source.js";
import { showTransfers } from "./transfers.js";

store.listeners.push((happening) => {
	switch (happening.kind) {
		case "notice":
			return note(safe(happening.text));
		case "joined":
		case "left":
			return now().settings.announce && note(t(happening.kind, { name: happening.name }));
		case "offer": {
			const show = () => go("offers");
			const text = t("offer_from", { name: happening.offer.from });
			notify(text, happening.offer.names.map((each) => safe(each.name)).join(", ").slice(0, 200), show);
			return note(text, "", { text: t("look"), act: show });
		}
		case "message": {
			const { with: from, text } = happening.message;
			const show = () => go("people", from);
			notify(titleOf(from), safe(text).slice(0, 200), show);
			return (app.route.view !== "people" || app.route.rest !== from) && note(t("message_from", { name: titleOf(from) }), "",
				{ text: t("read"), act: show });
		}
		case "ended": {
			const { state, files_failed, names } = happening.transfer;
			const isGood = state === "done" && files_failed === 0;
			return state !== "cancelled" && note(t(isGood ? "done" : "failed", { name: names[0] ?? "" }), isGood ? "good" : "bad",
				isGood ? null : showTransfers);
		}
	}
});

// The link of a new page, opened in this tab.
addEventListener("hashchange", () => location.hash.startsWith("#code=") && location.reload());

// The first drawing does not wait for the secret.
const exchange = tabSecret();
startShell();
const secret = await exchange;
app.source = new SocketSource(secret ?? "");
if (secret === null) store.link = { state: "no_code", retryAt: 0 };
update();
if (secret !== null) app.source.start(
	(event) => {
		if (!store.apply(event)) app.source.resync();
		update();
	},
	(link) => {
		if (link.state === "refused") forgetSecret();
		if (link.state === "lost" && store.link.state === "live") announce(t("cut_off"));
		if (link.state === "live" && store.link.state === "lost") announce(t("connected"));
		store.link = link;
		update();
	});
