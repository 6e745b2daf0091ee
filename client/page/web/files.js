// The server's files: one folder at a time, sorted and filtered here; get, upload, new folder, rename, delete, preview.

import {
	actionButton, address, app, askText, box, button, choose, chooseFolder, commands, drawDrops, empty, entryRow, failureBox, failureOf,
	format, go, h, icon, iconButton, isConnected, loading, menuButton, name, note, now, r, retryButton, RowList, run, safe, search,
	start, store, t, take, update,
} from "./kit.js";
import { canPreview, preview } from "./preview.js";
import { showTransfers } from "./transfers.js";

const PAGE = 1000;
/** Above this, names stay in the server's order: sorting them by language would hold up the page. */
const SORT_NAMES_UP_TO = 20_000;

let folder = "";
/** @type {Entry[]} */
let entries = [];
let isLoading = false;
/** Server, sign-in and folder that `entries` are of. */
let loaded = "";
let isStale = false;
let requests = 0;
let filter = "";
/** @type {{by: Column, isDown: boolean}} */
let sort = { by: "name", isDown: false };
/** @type {Map<string, Entry>} */
const selected = new Map();
let anchor = 0;
/** @type {Failure | null} */
let failure = null;
/** @type {string | null} */
let partialNote = null;
let isDropTarget = false;
let sorted = { of: entries, key: "", list: entries };

store.listeners.push((happening) => {
	if (happening.kind === "folder" && happening.folder === folder) void load(true);
	if (happening.kind === "fresh") isStale = true;
});

const canChange = () => now().connection.upload;
/** @type {F.within} */
const within = (child) => (folder ? `${folder}/${child}` : child);
const place = () => `${now().connection.server} ${now().connection.number} ${folder}`;
export const currentFolder = () => folder;

/** Loads the folder, page by page. @param {boolean} isRefresh keeps what is shown until the new list is there */
async function load(isRefresh) {
	const request = ++requests;
	[loaded, isStale, isLoading, failure] = [place(), false, true, null];
	if (!isRefresh) {
		[entries, filter, partialNote] = [[], "", null];
		selected.clear();
	}
	/** @type {Entry[]} */
	const found = [];
	try {
		for (let more = true; more;) {
			const reply = await app.source.request({ do: "list", folder, limit: PAGE, ...(found.length > 0 ? { after: found.at(-1)?.name } : {}) });
			if (request !== requests) return;
			for (const entry of reply.entries) found.push(entry);
			more = reply.more;
			partialNote = reply.partial_note ?? null;
			if (!isRefresh || !more) entries = found.slice();
			update();
		}
		const paths = new Set(found.map((entry) => entry.path));
		for (const path of selected.keys()) if (!paths.has(path)) selected.delete(path);
	} catch (thrown) {
		if (request !== requests) return;
		failure = failureOf(thrown);
	}
	isLoading = false;
	update();
}

/** @type {Record<Column, (left: Entry, right: Entry) => number>} */
const ORDERS = { name: (left, right) => format.compareNames(left.name, right.name), size: (left, right) => left.size - right.size,
	modified: (left, right) => (left.modified < right.modified ? -1 : 1) };

function shown() {
	const key = `${filter} ${sort.by} ${sort.isDown}`;
	if (sorted.of === entries && sorted.key === key) return sorted.list;
	const list = entries.filter((entry) => entry.name.toLowerCase().includes(filter.toLowerCase()));
	const order = sort.by === "name" && list.length > SORT_NAMES_UP_TO ? () => 0 : ORDERS[sort.by];
	list.sort((left, right) => Number(right.kind === "folder") - Number(left.kind === "folder") || (sort.isDown ? -1 : 1) * order(left,
		right));
	sorted = { of: entries, key, list };
	return list;
}

/** @type {F.pathsOf} */
const pathsOf = (list) => list.map((entry) => entry.path);
/** @type {F.hasFolder} */
const hasFolder = (list) => list.some((entry) => entry.kind === "folder");

/** @type {F.getFiles} */
async function get(list, to) {
	const reply = await run({ do: "get", paths: pathsOf(list), on_conflict: "ask", ...(to === undefined ? {} : { folder: to }) });
	if (!reply) return;
	selected.clear();
	note(t("get_started", { n: list.length }), "good", showTransfers);
}

/** @type {F.getAction} */
const getAction = (list) => ({ text: t("get"), icon: "download", act: () => get(list),
	command: commands.get(pathsOf(list), now().settings.folder, hasFolder(list)) });
/** @type {F.getToAction} */
const getToAction = (list) => ({
	text: t("get_to"), icon: "folder", act: () => chooseFolder(t("get_to"), "get_here", now().settings.folder, (to) => get(list, to),
		(to) => commands.get(pathsOf(list), to, hasFolder(list))),
});
/** @type {F.removeAction} */
const removeAction = (list) => ({
	text: t("delete"), icon: "trash", isDanger: true, command: commands.remove(pathsOf(list)),
	ask: { title: t("delete_title", { n: list.length }),
		text: [h("p", list.length === 1 ? r("delete_one", { name: list[0]?.name ?? "" }) : t("delete_many", { n: list.length })),
		hasFolder(list) && h("p", t("delete_hint")), h("p", t("final"))] },
	act: async () => {
		const reply = await run({ do: "remove", paths: pathsOf(list) });
		if (!reply) return;
		selected.clear();
		if (reply.failed.length > 0) note(t("delete_failed", { n: reply.failed.length, why: safe(reply.failed[0].text) }), "bad");
		else note(t("deleted", { n: reply.removed }), "good");
	},
});

const nameProblem = (/** @type {string} */ text) => (/[/\\\0-\x1f]/.test(text) || /^\.\.?$/.test(text) ? t("bad_name") : "");
const makeFolder = () => askText({ title: t("new_folder"), label: t("folder_name"), value: "", action: t("create"), problem: nameProblem,
	act: (text) => app.source.request({ do: "make_folder", path: within(text) }), command: (text) => commands.makeFolder(within(text)) });
/** @param {Entry} entry */
const rename = (entry) => askText({ title: t("rename"), label: t("new_name"), value: entry.name, action: t("rename"),
	problem: nameProblem, act: async (text) => text !== entry.name
	&& app.source.request({ do: "rename", from: entry.path, to: within(text) }),
	command: (text) => commands.rename(entry.path, within(text)) });

/** @type {F.upload} */
async function upload(kind) {
	const to = folder;
	const chosen = await choose({
		kind, title: t(`upload_${kind}`), explanation: t("choose_hint"), withPolicy: true,
			action: ({ paths }) => (kind === "files" ? t("upload_n", { n: paths.length }) : t("upload_this")),
			command: (all) => commands.put(to, all),
	});
	if (chosen && (await run({ do: "put", paths: chosen.paths, to, on_conflict: chosen.policy }))) note(t("uploading"), "good", showTransfers);
}

/** @type {F.open} */
function open(entry) {
	if (entry.kind === "folder") go("files", entry.path);
	else if (canPreview(entry)) preview(entry, getAction([entry]));
	else return get([entry]);
}

/** @type {F.select} */
const select = (entry, to) => (to ? selected.set(entry.path, entry) : selected.delete(entry.path));
const selectAll = () => shown().forEach((entry) => select(entry, true));

const rows = new RowList({
	label: t("files"), isGrid: true, rowHeight: 48, headRows: 1, onKey: (event, index) => {
		const list = shown();
		const entry = list[index];
		const isCommand = event.ctrlKey || event.metaKey;
		if (isCommand && event.key === "a") return selectAll() ?? true;
		if (!entry || isCommand || event.altKey) return false;
		const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
		if (event.shiftKey && step) {
			for (const each of [entry, list[index + step]]) if (each) select(each, true);
			return false;
		}
		if (event.key === "Escape" && selected.size > 0) return selected.clear() ?? true;
		if (event.key === "Backspace" && folder) return go("files", folder.split("/").slice(0, -1).join("/")) ?? true;
		if (event.key === "Delete" && canChange()) return start(removeAction(selected.size > 0 ? [...selected.values()] : [entry]))() ?? true;
		if (event.key === "F2" && canChange()) return rename(entry) ?? true;
		if (event.target.role !== "row") return false;
		if (event.key === " ") return select(entry, !selected.has(entry.path)) !== undefined;
		if (event.key === "Enter") void open(entry);
		return event.key === "Enter";
	},
});

/** @type {F.onDrag} */
function onDrag(event, isOver) {
	if (!canChange() || !event.dataTransfer?.types.includes("Files")) return;
	event.preventDefault();
	const isInside = event.currentTarget instanceof Node && event.relatedTarget instanceof Node
		&& event.currentTarget.contains(event.relatedTarget);
	if (isOver || !isInside) isDropTarget = isOver;
}

/** @type {F.paste} */
export function paste(event) {
	if (!canChange() || !event.clipboardData?.types.includes("Files")) return;
	event.preventDefault();
	take(event.clipboardData, { folder });
}

const title = () => (folder ? safe(folder.split("/").at(-1) ?? "") : t("files"));

function draw() {
	folder = app.route.rest;
	if (isConnected() && (isStale || loaded !== place())) void load(loaded === place());
	const isChangeable = canChange();
	return h(`.view.files ${isDropTarget ? "drop-target" : ""}`, {
		ondragover: (event) => onDrag(event, true), ondragleave: (event) => onDrag(event, false), ondrop: (event) => {
			isDropTarget = false;
			if (canChange()) take(event.dataTransfer, { folder });
		},
	},
	h(".view-head", { key: "head" }, drawPath(),
		isChangeable && h(".actions", button(t("upload_files"), () => upload("files"), { icon: "upload", class: "primary" }),
		button(t("upload_folder"), () => upload("folder"), { icon: "folder" }), button(t("new_folder"), makeFolder, { icon: "plus" }))),
	h("p.ways", { key: "ways" }, isChangeable ? [h("span", icon("computer"), h("span", t("way_choose"))),
		h("span", icon("receive"), h("span", t("way_drop")))] : h("span", icon("lock"), h("span", t("read_only")))),
	drawDrops((target) => "folder" in target),
	partialNote && box("warning", h("p", safe(partialNote))),
	failure && failureBox(failure, retryButton(() => load(false))),
	drawList());
}

function drawPath() {
	const parts = folder ? folder.split("/") : [];
	return h("nav.path", { "aria-label": t("folder_path") }, h("h1.unseen", { id: "title", tabindex: -1 }, title()),
		h("ol", [t("all_files"), ...parts].map((part, at) => h("li", { key: at }, at > 0 && icon("chevron", "small"),
			h("a", { href: address("files", parts.slice(0, at).join("/")), "aria-current": at === parts.length ? "page" : null }, name(part))))));
}

function drawList() {
	const list = shown();
	if (entries.length === 0) return isLoading ? loading(t("loading_files")) : !failure && isConnected()
		&& empty("folder", t("folder_empty"), t(canChange() ? "empty_upload" : "empty_read"));
	const isAll = list.length > 0 && list.every((entry) => selected.has(entry.path));
	const heading = (/** @type {Column} */ column, /** @type {string} */ kind) =>
		h(kind, { role: "columnheader", "aria-sort": sort.by === column ? (sort.isDown ? "descending" : "ascending") : null },
		h("button.sort", { onclick: () => { sort = { by: column, isDown: sort.by === column ? !sort.isDown : column !== "name" }; } },
			t(column), sort.by === column && icon("up", sort.isDown ? "small down" : "small")));
	return [
		drawBar(list),
		list.length === 0 ? empty("search", t("no_match"), "", button(t("clear_filter"), () => { filter = ""; }))
			: h(".table", { key: "grid", role: "grid", "aria-label": t("files"), "aria-rowcount": list.length + 1, "aria-multiselectable": "true" },
				h("", { role: "rowgroup" }, h(".file-row.head", { role: "row", "aria-rowindex": 1 },
					h(".tick", { role: "columnheader" }, h("input",
						{ type: "checkbox", "aria-label": t("select_all"), checked: isAll, indeterminate: !isAll && selected.size > 0,
						onchange: () => (isAll ? selected.clear() : selectAll()) })),
					heading("name", ".file-name"), heading("size", ".size"), heading("modified", ".modified"),
						h(".tools", { role: "columnheader" }, h("span.unseen", t("actions"))))),
				rows.draw(list, ({ path }) => path, drawRow)),
	];
}

/** @type {F.drawBar} */
function drawBar(list) {
	const chosen = [...selected.values()];
	const bytes = chosen.reduce((sum, entry) => sum + entry.size, 0);
	if (chosen.length === 0) return h(".toolbar", { key: "bar" },
		h("span.grow.muted", filter ? t("n_of_entries", { n: entries.length, shown: list.length }) : t("n_entries", { n: entries.length }),
		isLoading && ` · ${t("loading")}`), search(t("filter_names"), filter, (value) => { filter = value; }));
	return h(".toolbar.selection", { key: "selection" },
		h("span.grow.strong", t("n_selected", { n: chosen.length }), bytes > 0 && h("span.muted", ` · ${format.bytes(bytes)}`)),
		h(".actions", actionButton(getAction(chosen), "small primary"), actionButton(getToAction(chosen), "small"),
			canChange() && actionButton(removeAction(chosen), "small"),
			menuButton(t("n_selected", { n: chosen.length }), () => [{ text: t("select_none"), icon: "close", act: () => selected.clear() }], {},
				() => [getAction(chosen), ...(canChange() ? [removeAction(chosen)] : [])])));
}

/** @type {F.drawRow} */
function drawRow(entry, props, index) {
	const isChosen = selected.has(entry.path);
	const { tabindex } = props;
	const act = (/** @type {MouseEvent} */ event) => {
		const [from, end] = event.shiftKey ? [Math.min(anchor, index), Math.max(anchor, index)] : [index, index];
		for (const each of shown().slice(from, end + 1)) select(each, !isChosen);
		anchor = index;
	};
	return entryRow(entry, props, { isChosen, act, open: () => open(entry) }, null,
		[iconButton(t("get_name", { name: entry.name }), "download", () => get([entry]), { tabindex, class: "wide-only" }),
			menuButton(entry.name, () => [
				entry.kind === "folder" && { text: t("open"), icon: "folder", act: () => open(entry), command: commands.list(entry.path) },
				canPreview(entry) && { text: t("preview"), icon: "eye", act: () => open(entry) }, getAction([entry]), getToAction([entry]),
				canChange() && { text: t("rename"), icon: "rename", act: () => rename(entry),
					command: commands.rename(entry.path, within(t("new_sample"))) }, canChange() && removeAction([entry])], { tabindex })]);
}

/** @type {View} */
export const files = { title, draw };
