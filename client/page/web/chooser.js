// "Choose on this computer": a dialog over the folders below the home folder, which the client lists. What is chosen is a path, so the client
// reads or writes it by itself, and the tab may close.

import { app, openDialog, run, update, updateNow } from "./app.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { icon } from "./icons.js";
import { button, commandButton, empty, failureBox, iconButton, loading, search, when } from "./parts.js";
import { RowList } from "./rows.js";
import { name, safe } from "./safe.js";
import { failureOf } from "./source.js";
import { t } from "./texts.js";

const PAGE = 500;
const POLICIES = /** @type {OnConflict[]} */ (["ask", "replace", "keep_both", "skip"]);

/** Resolves with what was chosen, or null. @param {ChooserOptions} options @returns {Promise<Chosen | null>} */
export function choose({ kind, title, explanation, action, withPolicy, start = "", command }) {
	let folder = "";
	let filter = "";
	/** @type {string | null} */
	let parent = null;
	/** @type {LocalEntry[]} */
	let entries = [];
	let hasMore = false;
	let isLoading = true;
	/** @type {Failure | null} */
	let failure = null;
	/** @type {Map<string, LocalEntry>} */
	const chosen = new Map();
	/** @type {OnConflict} */
	let policy = "ask";
	let requests = 0;
	const isSeveral = kind === "files" || kind === "both";
	/** @type {(chosen: Chosen | null) => void} */
	let finish = () => {};

	/** @param {string} wanted @param {string} [focusOn] */
	const load = async (wanted, focusOn) => {
		const request = ++requests;
		[isLoading, failure, filter] = [true, null, ""];
		update();
		try {
			const reply = await app.source.request({ do: "list_local", folder: wanted, limit: PAGE });
			if (request !== requests) return;
			({ folder, parent, entries, more: hasMore } = reply);
		} catch (thrown) {
			// The folder of the settings may be gone.
			if (wanted && !folder) return load("");
			failure = failureOf(thrown);
		}
		isLoading = false;
		updateNow();
		if (!failure && !document.activeElement?.closest("input")) rows.focusRow(shown().findIndex((entry) => entry.name === focusOn));
	};
	const loadMore = async () => {
		const reply = await run({ do: "list_local", folder, after: entries.at(-1)?.name, limit: PAGE });
		if (reply?.folder !== folder) return;
		entries = [...entries, ...reply.entries];
		hasMore = reply.more;
	};
	const shown = () => entries.filter((entry) => (kind !== "folder" || entry.kind === "folder") && entry.name.toLowerCase().includes(filter.toLowerCase()))
		.sort((left, right) => Number(right.kind === "folder") - Number(left.kind === "folder"));
	const canChoose = (/** @type {LocalEntry} */ entry) => entry.readable && (kind === "both" || (kind === "folder") === (entry.kind === "folder"));
	const toggle = (/** @type {LocalEntry} */ entry) => {
		if (!canChoose(entry) || chosen.delete(entry.path)) return;
		if (!isSeveral) chosen.clear();
		chosen.set(entry.path, entry);
	};
	const open = (/** @type {LocalEntry} */ entry) => (entry.kind === "folder" && entry.readable ? load(entry.path) : toggle(entry));
	const up = () => parent !== null && load(parent, folder.split("/").at(-1));
	// Where one folder is wanted and none is ticked, it is the one shown.
	const result = () => ({ paths: kind === "folder" && chosen.size === 0 ? [folder] : [...chosen.keys()], hasFolder: kind === "folder" || [...chosen.values()].some((entry) => entry.kind === "folder"), policy });

	const rows = new RowList({
		label: t("folder_content"), isGrid: true, rowHeight: 44, onKey: (event, index) => {
			const entry = shown()[index];
			if (event.key === "Backspace" || event.key === "ArrowLeft") return up() || true;
			if (!entry || event.target.role !== "row") return false;
			if (event.key === " ") return toggle(entry) ?? true;
			return (event.key === "Enter" || event.key === "ArrowRight") && (open(entry) ?? true);
		},
	});
	/** @param {LocalEntry} entry @param {Props} props */
	const drawRow = (entry, props) => {
		const isChosen = chosen.has(entry.path);
		const { tabindex } = props;
		return h(`.file-row.local ${isChosen ? "chosen" : ""}`, { ...props, "aria-selected": canChoose(entry) ? String(isChosen) : null },
			h(".tick", { role: "gridcell" }, canChoose(entry) && h("input", { type: isSeveral ? "checkbox" : "radio", checked: isChosen, tabindex, "aria-label": t("select_name", { name: safe(entry.name) }), onchange: () => toggle(entry) })),
			h(".file-name", { role: "gridcell" }, icon(entry.kind, entry.kind), h("button.name-button", { type: "button", tabindex, disabled: !entry.readable, onclick: () => open(entry) }, name(entry.name)), !entry.readable && h("span.tag", t("not_readable"))),
			h(".size", { role: "gridcell" }, entry.kind === "file" && format.bytes(entry.size)),
			h(".modified", { role: "gridcell" }, when(entry.modified)));
	};
	const draw = () => {
		const list = shown();
		const now = result();
		return h(".dialog-body.chooser", h("p.explain", icon("computer"), h("span", explanation)),
			h(".toolbar", iconButton(t("up"), "up", up, { disabled: parent === null }), h(".place.grow", icon("folder"), name(folder)), search(t("filter_names"), filter, (value) => { filter = value; })),
			failure && failureBox(failure, button(t("try_again"), () => load(folder || start))),
			h(".scroller.chooser-list", isLoading && entries.length === 0 ? loading()
				: list.length === 0 ? !failure && empty("folder", filter ? t("nothing_matches") : kind === "folder" ? t("no_folders_here") : t("folder_empty"))
					: h("", { role: "grid", "aria-label": t("folder_content"), "aria-rowcount": list.length, "aria-multiselectable": String(isSeveral) }, rows.draw(list.length, (index) => list[index]?.path ?? "", (index, props) => drawRow(/** @type {LocalEntry} */ (list[index]), props))),
			hasMore && h(".actions.centre", button(t("show_more"), loadMore))),
			h(".dialog-actions", withPolicy && h("label.inline", h("span", t("if_exists")), h("select", { onchange: ({ target }) => { policy = target.value; } }, POLICIES.map((each) => h("option", { value: each }, t(`policy_${each}`))))),
				command && now.paths.length > 0 && commandButton(command(now)), button(t("cancel"), () => finish(null)),
				button(typeof action === "string" ? action : action(now), () => finish(now), { class: "primary", disabled: now.paths.length === 0 || isLoading })));
	};
	return new Promise((resolve) => {
		const end = openDialog(title, draw, "wide", () => resolve(null));
		finish = (value) => {
			end();
			resolve(value);
		};
		void load(start);
	});
}
