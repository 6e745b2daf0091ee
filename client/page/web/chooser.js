// "Choose on this computer": a dialog over the home folder. What is chosen is a path: the client reads it, and the tab may close.

import {
	app, button, commandButton, empty, entryRow, failureBox, failureOf, h, icon, iconButton, loading, name, openDialog, retryButton,
	RowList, run, search, t, update, updateNow,
} from "./kit.js";

const PAGE = 500;
const POLICIES = /** @type {OnConflict[]} */ (["ask", "replace", "keep_both", "skip"]);

/** A folder of this computer, and what to do with it. @type {F.chooseFolder} */
export async function chooseFolder(title, action, start, act, command, explanation = t("folder_hint")) {
	const chosen = await choose({ kind: "folder", title, action: t(action), explanation, start,
		command: command && (({ paths }) => command(paths[0] ?? "")) });
	if (chosen?.paths[0] !== undefined) await act(chosen.paths[0]);
}

/** @type {F.choose} */
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
	const shown = () => entries.filter((entry) => (kind !== "folder" || entry.kind === "folder")
		&& entry.name.toLowerCase().includes(filter.toLowerCase()))
		.sort((left, right) => Number(right.kind === "folder") - Number(left.kind === "folder"));
	const canChoose = (/** @type {LocalEntry} */ entry) => entry.readable
		&& (kind === "both" || (kind === "folder") === (entry.kind === "folder"));
	const toggle = (/** @type {LocalEntry} */ entry) => {
		if (!canChoose(entry) || chosen.delete(entry.path)) return;
		if (!isSeveral) chosen.clear();
		chosen.set(entry.path, entry);
	};
	const open = (/** @type {LocalEntry} */ entry) => (entry.kind === "folder" && entry.readable ? load(entry.path) : toggle(entry));
	const up = () => parent !== null && load(parent, folder.split("/").at(-1));
	// Where one folder is wanted and none is ticked, it is the one shown.
	const result = () => ({ paths: kind === "folder" && chosen.size === 0 ? [folder] : [...chosen.keys()],
		hasFolder: kind === "folder" || [...chosen.values()].some((entry) => entry.kind === "folder"), policy });

	const rows = new RowList({
		label: t("in_folder"), isGrid: true, rowHeight: 44, onKey: (event, index) => {
			const entry = shown()[index];
			if (event.key === "Backspace" || event.key === "ArrowLeft") return up() || true;
			if (!entry || event.target.role !== "row") return false;
			if (event.key === " ") return toggle(entry) ?? true;
			return (event.key === "Enter" || event.key === "ArrowRight") && (open(entry) ?? true);
		},
	});
	/** @param {LocalEntry} entry @param {Props} props */
	const drawRow = (entry, props) => entryRow(entry, props,
		{ kind: "local", type: isSeveral ? "checkbox" : "radio", isChosen: chosen.has(entry.path), isOff: !canChoose(entry),
		act: () => toggle(entry), open: () => open(entry) },
		!entry.readable && h("span.tag", t("not_readable")));
	const draw = () => {
		const list = shown();
		const now = result();
		return h(".dialog-body.chooser", h("p.explain", icon("computer"), h("span", explanation)),
			h(".toolbar", iconButton(t("keys_parent_text"), "up", up, { disabled: parent === null }),
				h(".place.grow", icon("folder"), name(folder)), search(t("filter_names"), filter, (value) => { filter = value; })),
			failure && failureBox(failure, retryButton(() => load(folder || start))),
			h(".scroller.chooser-list", isLoading && entries.length === 0 ? loading()
				: list.length === 0 ? !failure && empty("folder", filter ? t("no_match") : kind === "folder" ? t("no_folders") : t("folder_empty"))
					: h("", { role: "grid", "aria-label": t("in_folder"), "aria-rowcount": list.length, "aria-multiselectable": String(isSeveral) },
						rows.draw(list, ({ path }) => path, drawRow)),
			hasMore && h(".actions.centre", button(t("show_more"), loadMore))),
			h(".dialog-actions", withPolicy && h("label.inline", h("span", t("if_exists")),
				h("select", { onchange: ({ target }) => { policy = target.value; } },
				POLICIES.map((each) => h("option", { value: each }, t(`policy_${each}`))))),
				command && now.paths.length > 0 && commandButton(command(now)), button(t("cancel"), () => finish(null)),
				button(typeof action === "string" ? action : action(now), () => finish(now),
					{ class: "primary", disabled: now.paths.length === 0 || isLoading })));
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
