// The server's files, one folder at a time.

import {
	actionButton, address, app, askName, box, button, choose, chooseFolder, commandButton, commands, drawDrops, empty, entryRow,
	failureBox, failureOf, format, go, h, icon, iconButton, isConnected, loading, menuButton, name, note, now, openDialog, pages, r,
	retryButton, RowList, run, safe, safeLines, search, start, store, t, take, update,
} from "./kit.js";
import { showTransfers } from "./transfers.js";

/** Sorting more by language would hold up the page. */
const SORT_NAMES_UP_TO = 20_000;
const TEXT_LIMIT = 256 * 1024;
const PICTURE_LIMIT = 16 * 1024 * 1024;
const PICTURES = /\.(png|jpe?g|gif|webp)$/i;
const TEXTS = /\.(txt|md|log|csv|tsv|json|toml|ya?ml|xml|html?|css|m?[jt]s|rs|py|go|[ch]|[ch]pp|java|sh|sql|ini|conf|tex|diff|patch|svg)$|^(readme|license|makefile)$/i;

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
let failure = /** @type {Failure?} */ (null);
let partialNote = /** @type {string?} */ (null);
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
		for await (const reply of pages({ do: "list", folder })) {
			if (request !== requests) return;
			for (const entry of reply.entries) found.push(entry);
			partialNote = reply.partial_note ?? null;
			if (!isRefresh || !reply.more) entries = found.slice();
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

/** @type {F.getFiles} */
async function get(list, to) {
	const paths = list.map(({ path }) => path);
	if (!(await run({ do: "get", paths, on_conflict: "ask", ...(to === undefined ? {} : { folder: to }) }))) return;
	selected.clear();
	note(t("get_started", { n: list.length }), "good", showTransfers);
}

/** To the usual folder, to a chosen one, and where it is allowed the removal. @type {F.actionsFor} */
const actionsFor = (list) => [
	{ text: t("get"), icon: "download", act: () => get(list), command: commands.get(list, now().settings.folder) },
	{ text: t("get_to"), icon: "folder", act: () => chooseFolder(t("get_to"), now().settings.folder, (to) => get(list, to),
		(to) => commands.get(list, to)) },
	canChange() && {
		text: t("delete"), icon: "trash", isDanger: true, command: commands.remove(list),
		ask: [h("p", list.length === 1 ? r("delete_one", { name: list[0]?.name ?? "" }) : t("delete_many", { n: list.length })),
			list.some(({ kind }) => kind === "folder") && h("p", t("delete_hint"))],
		act: async () => {
			const reply = await run({ do: "remove", paths: list.map(({ path }) => path) });
			if (!reply) return;
			selected.clear();
			if (reply.failed.length > 0) note(t("delete_failed", { n: reply.failed.length, why: safe(reply.failed[0].text) }), "bad");
			else note(t("deleted", { n: reply.removed }), "good");
		},
	}];

const makeFolder = () => askName(t("new_folder"), "", (text) => app.source.request({ do: "make_folder", path: within(text) }),
	(text) => commands.makeFolder(within(text)));
/** @param {Entry} entry */
const rename = (entry) => askName(t("rename"), entry.name,
	async (text) => text !== entry.name && app.source.request({ do: "rename", from: entry.path, to: within(text) }),
	(text) => commands.rename(entry.path, within(text)));

/** @type {F.upload} */
async function upload(kind) {
	const to = folder;
	const chosen = await choose({
		kind, title: t(`upload_${kind}`), explanation: t("choose_hint"),
			action: ({ paths }) => (kind === "files" ? t("upload_n", { n: paths.length }) : t("use_folder")),
			command: (all) => commands.put(to, all),
	});
	if (chosen && (await run({ do: "put", paths: chosen.paths, to, on_conflict: "ask" }))) note(t("uploading"), "good", showTransfers);
}

/** Whether the page offers to look at it: a button that would only fail is not shown. @param {Entry} entry */
const canPreview = ({ kind, name, size }) => kind === "file" && (PICTURES.test(name) ? size <= PICTURE_LIMIT : TEXTS.test(name));

/** @type {F.preview} */
function preview(entry, get) {
	const abort = new AbortController();
	let picture = "";
	let text = "";
	let failure = /** @type {Failure?} */ (null);
	let isCut = false;
	const cancel = () => {
		abort.abort();
		URL.revokeObjectURL(picture);
		end();
	};
	const end = openDialog(entry.name, () => [
		h(".framed.scroller", { tabindex: 0, role: "group", "aria-label": t("content") },
			failure ? failureBox(failure) : picture ? h("img", { src: picture, alt: safe(entry.name) }) : text ? h("pre", { dir: "auto" }, text)
				: loading()),
		isCut && h("p.muted", t("preview_cut", { shown: format.bytes(TEXT_LIMIT), size: format.bytes(entry.size) })),
		h(".actions.end", h("span.muted.grow", format.bytes(entry.size)), get.command && commandButton(get.command),
			actionButton({ ...get, act: () => { cancel(); return get.act?.(); } }), button(t("close"), cancel, { class: "primary" }))],
	{ kind: "wide", cancel });
	app.source.preview(entry.path, abort.signal).then(async (blob) => {
		if (blob.type.startsWith("image/")) picture = URL.createObjectURL(blob);
		else text = safeLines(await blob.text()) || t("file_empty");
		isCut = !picture && entry.size > TEXT_LIMIT;
	}).catch((thrown) => { failure = failureOf(thrown); }).finally(update);
}

/** @type {F.open} */
function open(entry) {
	if (entry.kind === "folder") go("files", entry.path);
	else if (canPreview(entry)) preview(entry, actionsFor([entry])[0]);
	else return get([entry]);
}

/** @type {F.select} */
const select = (entry, to) => (to ? selected.set(entry.path, entry) : selected.delete(entry.path));
const selectAll = () => shown().forEach((entry) => select(entry, true));

const rows = new RowList({
	label: t("files"), isGrid: true, isSeveral: true, rowHeight: 48, onKey: (event, index) => {
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
		const remove = actionsFor(selected.size > 0 ? [...selected.values()] : [entry])[2];
		if (event.key === "Delete" && remove) return start(remove)() ?? true;
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
	h(".actions.between", drawPath(),
		isChangeable && h(".actions", button(t("upload_files"), () => upload("files"), { icon: "upload", class: "primary" }),
		button(t("upload_folder"), () => upload("folder"), { icon: "folder" }), button(t("new_folder"), makeFolder))),
	h("p.ways.muted", isChangeable ? [h("span", icon("folder"), h("span", t("way_choose"))),
		h("span", icon("download"), h("span", t("way_drop")))] : h("span", icon("lock"), h("span", t("read_only")))),
	drawDrops((target) => "folder" in target),
	partialNote && box("warning", h("p", safe(partialNote))),
	failure && failureBox(failure, retryButton(() => load(false))),
	drawList());
}

function drawPath() {
	const parts = folder ? folder.split("/") : [];
	return h("nav.path", { "aria-label": t("folder_path") }, h("h1.unseen", { id: "title", tabindex: -1 }, name(parts.at(-1) ?? t("files"))),
		h("ol", [t("all_files"), ...parts].map((part, at) => h("li", at > 0 && icon("chevron", "small"),
			h("a", { href: address("files", parts.slice(0, at).join("/")), "aria-current": at === parts.length ? "page" : null }, name(part))))));
}

function drawList() {
	const list = shown();
	if (entries.length === 0) return isLoading ? loading() : !failure && isConnected()
		&& empty("folder", t("folder_empty"), t(canChange() ? "empty_upload" : "empty_read"));
	const isAll = list.length > 0 && list.every((entry) => selected.has(entry.path));
	const heading = (/** @type {Column} */ column, /** @type {string} */ kind) =>
		h(kind, { role: "columnheader", "aria-sort": sort.by === column ? (sort.isDown ? "descending" : "ascending") : null },
		h("button.sort", { onclick: () => { sort = { by: column, isDown: sort.by === column ? !sort.isDown : column !== "name" }; } },
			t(column), sort.by === column && icon("chevron", sort.isDown ? "small down" : "small up")));
	return [
		drawBar(list),
		list.length === 0 ? empty("folder", t("no_match"))
			: rows.draw(list, ({ path }) => path, drawRow, h(".file-row.head", { role: "row", "aria-rowindex": 1 },
				h(".tick", { role: "columnheader" }, h("input", { type: "checkbox", "aria-label": t("select_all"), checked: isAll,
					indeterminate: !isAll && selected.size > 0, onchange: () => (isAll ? selected.clear() : selectAll()) })),
				heading("name", ".file-name"), heading("size", ".size"), heading("modified", ".modified"),
				h(".tools", { role: "columnheader" }, h("span.unseen", t("actions"))))),
	];
}

/** @type {F.drawBar} */
function drawBar(list) {
	const chosen = [...selected.values()];
	const bytes = chosen.reduce((sum, entry) => sum + entry.size, 0);
	if (chosen.length === 0) return h(".toolbar",
		h("span.grow.muted", t("n_entries", { n: list.length }),
			isLoading && ` · ${t("loading")}`), search(t("filter_names"), filter, (value) => { filter = value; }));
	const actions = actionsFor(chosen);
	const title = t("n_selected", { n: chosen.length });
	return h(".toolbar.selection",
		h("span.grow.strong", title, bytes > 0 && h("span.muted", ` · ${format.bytes(bytes)}`)),
		h(".actions", actions.map((action, at) => action && actionButton(action, at === 0 ? "small primary" : "small")),
			menuButton(title, () => actions)));
}

/** @type {F.drawRow} */
function drawRow(entry, props, index) {
	const isChosen = selected.has(entry.path);
	const { tabindex } = props;
	const [download, downloadTo, remove] = actionsFor([entry]);
	const act = (/** @type {MouseEvent} */ event) => {
		const [from, end] = event.shiftKey ? [Math.min(anchor, index), Math.max(anchor, index)] : [index, index];
		for (const each of shown().slice(from, end + 1)) select(each, !isChosen);
		anchor = index;
	};
	return entryRow(entry, props, { isChosen, act, open: () => open(entry) }, null,
		[iconButton(t("get_name", { name: entry.name }), "download", () => get([entry]), { tabindex, class: "wide-only" }),
			menuButton(entry.name, () => [
				entry.kind === "folder" && { text: t("open"), icon: "folder", act: () => open(entry), command: commands.list(entry.path) },
				canPreview(entry) && { text: t("preview"), icon: "file", act: () => open(entry) }, download, downloadTo,
				canChange() && { text: t("rename"), icon: "rename", act: () => rename(entry),
					command: commands.rename(entry.path, within(t("new_sample"))) },
				remove], { tabindex })]);
}

export const files = { draw };
