// "Choose on this computer": a dialog over the home folder. What is chosen is a path, which the client reads.

import {
	button, commandButton, empty, entryRow, failureBox, failureOf, h, icon, iconButton, loading, name, openDialog, pages, retryButton,
	RowList, search, t, update, updateNow,
} from "./kit.js";

/** A folder of this computer, and what to do with it. @type {F.chooseFolder} */
export async function chooseFolder(title, start, act, command, explanation = t("folder_hint")) {
	const chosen = await choose({ kind: "folder", title, action: t("use_folder"), explanation, start,
		command: command && (({ paths }) => command(paths[0] ?? "")) });
	if (chosen?.paths[0] !== undefined) await act(chosen.paths[0]);
}

/** @type {F.choose} */
export function choose({ kind, title, explanation, action, start = "", command }) {
	let folder = "";
	let filter = "";
	let parent = /** @type {string?} */ (null);
	/** @type {LocalEntry[]} */
	let entries = [];
	let isLoading = true;
	let failure = /** @type {Failure?} */ (null);
	/** @type {Map<string, LocalEntry>} */
	const chosen = new Map();
	let requests = 0;
	const isSeveral = kind === "files" || kind === "both";
	/** @type {(chosen: Chosen | null) => void} */
	let finish = () => {};

	/** @param {string} wanted @param {string} [focusOn] */
	const load = async (wanted, focusOn) => {
		const request = ++requests;
		/** @type {LocalEntry[]} */
		let found = [];
		[isLoading, failure, filter] = [true, null, ""];
		update();
		try {
			for await (const reply of pages({ do: "list_local", folder: wanted })) {
				if (request !== requests) return;
				({ folder, parent } = reply);
				entries = found = [...found, ...reply.entries];
				update();
			}
		} catch (thrown) {
			// The folder of the settings may be gone.
			if (wanted && !folder) return load("");
			failure = failureOf(thrown);
		}
		isLoading = false;
		updateNow();
		if (!failure && !document.activeElement?.closest("input")) rows.focusRow(shown().findIndex((entry) => entry.name === focusOn));
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
		hasFolder: kind === "folder" || [...chosen.values()].some((entry) => entry.kind === "folder") });

	const rows = new RowList({
		label: t("in_folder"), isGrid: true, isSeveral, rowHeight: 48, onKey: (event, index) => {
			const entry = shown()[index];
			if (event.key === "Backspace" || event.key === "ArrowLeft") return up() || true;
			if (!entry || event.target.role !== "row") return false;
			if (event.key === " ") return toggle(entry) ?? true;
			return (event.key === "Enter" || event.key === "ArrowRight") && (open(entry) ?? true);
		},
	});
	/** @param {LocalEntry} entry @param {Props} props */
	const drawRow = (entry, props) => entryRow(entry, props,
		{ kind: "local", isChosen: chosen.has(entry.path), isOff: !canChoose(entry),
			act: () => toggle(entry), open: () => open(entry) },
		!entry.readable && h("span.tag", t("not_readable")));
	const draw = () => {
		const list = shown();
		const now = result();
		return [h("p.row.muted", icon("folder"), h("span", explanation)),
			h(".row.wraps", iconButton(t("folder_above"), "upload", up, { disabled: parent === null }),
				h("span.grow", name(folder)), search(t("filter_names"), filter, (value) => { filter = value; })),
			failure && failureBox(failure, retryButton(() => load(folder || start))),
			h(".framed.scroller.chooser-list", isLoading && entries.length === 0 ? loading()
				: list.length > 0 ? rows.draw(list, ({ path }) => path, drawRow)
					: !failure && empty("folder", t(filter ? "no_match" : kind === "folder" ? "no_folders" : "folder_empty"))),
			h(".actions.end", command && now.paths.length > 0 && commandButton(command(now)), button(t("cancel"), () => finish(null)),
				button(typeof action === "string" ? action : action(now), () => finish(result()),
					{ class: "primary", disabled: now.paths.length === 0 || isLoading }))];
	};
	return new Promise((resolve) => {
		finish = (value) => {
			end();
			resolve(value);
		};
		const end = openDialog(title, draw, { kind: "wide", cancel: () => finish(null) });
		void load(start);
	});
}
