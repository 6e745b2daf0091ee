// All transfers of this computer, both directions, in one list: counters, rate, path, bottleneck, files, plot, and what can be done.

import { go, run, update } from "./app.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { icon } from "./icons.js";
import { actionButton, bar, button, commandButton, commandLine, empty, facts, failureDetail, loading, iconButton, menuButton, when } from "./parts.js";
import { plot } from "./plot.js";
import { RowList } from "./rows.js";
import { name, safe, strongName } from "./safe.js";
import { drawDrops } from "./spool.js";
import { hasFailures, isActive, store } from "./store.js";
import { failureTitle, r, t } from "./texts.js";

/** @typedef {"all" | "active" | "failed" | "unfinished" | "done"} Filter */

const PAGE = 100;
/** @type {Record<Filter, (transfer: Transfer) => boolean>} */
const TESTS = { all: () => true, active: isActive, failed: hasFailures, unfinished: ({ state }) => state === "unfinished", done: (transfer) => transfer.state === "done" && !hasFailures(transfer) };
const FILTERS = /** @type {Filter[]} */ (Object.keys(TESTS));
const ORDER = { running: 0, reconnecting: 0, planning: 0, waiting: 1, paused: 1, failed: 2, unfinished: 3, done: 4, cancelled: 4 };
const COUNTERS = /** @type {const} */ (["sent", "received", "verified"]);

/** @type {Filter} */
let filter = "all";
/** Those whose details are shown, with a page of their files. `before`: where the earlier pages begin. @type {Map<string, {files: TransferFile[], more: boolean, after: number, before: number[], ended: number}>} */
const details = new Map();
const rows = new RowList({ label: t("transfers"), rowHeight: 132, isVariable: true });

export const runningCount = () => [...store.transfers.values()].filter(isActive).length;
/** @param {Transfer} transfer */
const ended = (transfer) => transfer.files_done + transfer.files_failed;

/** @param {Transfer} transfer @param {number} after @param {number[]} before */
async function loadFiles(transfer, after, before) {
	const reply = await run({ do: "transfer_files", transfer: transfer.transfer, after, limit: PAGE });
	if (reply && details.has(transfer.transfer)) details.set(transfer.transfer, { ...reply, after, before, ended: ended(transfer) });
	update();
}

/** @param {Transfer} transfer */
function toggle(transfer) {
	if (details.delete(transfer.transfer)) return;
	details.set(transfer.transfer, { files: [], more: false, after: 0, before: [], ended: -1 });
	void loadFiles(transfer, 0, []);
}

/** Names of what is transferred: the first, and how many more. @param {string[]} names @param {number} [more] */
export const drawNames = ([first = "", ...rest], more = 0) => [strongName(first), rest.length + more > 0 && h("span.muted", ` ${t("and_more", { n: rest.length + more })}`)];

function draw() {
	const all = [...store.transfers.values()].sort((left, right) => ORDER[left.state] - ORDER[right.state] || (left.started < right.started ? 1 : -1));
	if (!all.some(TESTS[filter])) filter = "all";
	const shown = all.filter(TESTS[filter]);
	const retryable = all.filter((transfer) => hasFailures(transfer) && transfer.can.includes("retry"));
	const over = all.filter(({ state, can }) => (state === "done" || state === "cancelled") && can.includes("remove"));
	const drops = drawDrops(() => true);
	return h(".view.transfers",
		h(".view-head", h("h1", { id: "title", tabindex: -1 }, t("transfers")), h(".actions",
			filter === "failed" && retryable.length > 0 && button(t("retry_failed", { n: retryable.length }), () => retryable.map(({ transfer }) => run({ do: "retry", transfer })), { key: "retry", icon: "retry", class: "primary" }),
			over.length > 0 && button(t("remove_finished"), () => over.map(({ transfer }) => run({ do: "remove_transfer", transfer })), { key: "remove", icon: "check" }))),
		all.length > 0 && h(".filters", { key: "filters", role: "group", "aria-label": t("filter") }, FILTERS.map((each) => {
			const count = all.filter(TESTS[each]).length;
			return (each === "all" || count > 0) && h(`button.filter.${each}`, { key: each, type: "button", "aria-pressed": String(filter === each), onclick: () => { filter = each; } }, t(`filter_${each}`), h("span.count", format.number(count)));
		})),
		drops,
		shown.length > 0 ? h("", { key: "list" }, rows.draw(shown.length, (index) => shown[index]?.transfer ?? "", (index, props) => drawRow(/** @type {Transfer} */ (shown[index]), props))) : !drops && empty("transfers", t("no_transfers"), t("no_transfers_text")));
}

/** @param {Transfer} transfer @param {Props} props */
function drawRow(transfer, props) {
	const title = safe(transfer.names[0] ?? "");
	const { state, error, path, rate, bytes, verified } = transfer;
	const isFailed = hasFailures(transfer);
	const isDone = state === "done" && !isFailed;
	const isOpen = details.has(transfer.transfer);
	return h(".transfer-item", props, h(`article.card.transfer ${isFailed ? "failed" : state}`, { "aria-label": title },
		h(".card-head", icon(transfer.direction === "receive" ? "receive" : transfer.direction === "send" ? "send" : transfer.direction, "direction"),
			h(".grow", h("p", drawNames(transfer.names)),
				h("p.muted", r(`direction_${transfer.direction}`, { with: name(transfer.with.replace(/^@/, "")) }), ` · ${t(`state_${state}`)} `, when(transfer.ended), !transfer.own && ` · ${t("other_process", { process: safe(transfer.process) })}`)),
			drawTools(transfer, title)),
		!isDone && bar(t("progress_of", { name: title }), verified, Math.max(transfer.received, verified), bytes, isFailed ? "bad" : state === "running" ? "" : "still"),
		h("p.numbers", { key: "numbers" },
			h("span", isDone || bytes === null ? format.bytes(bytes ?? verified) : t("bytes_of", { done: format.bytes(verified), total: format.bytes(bytes) })),
			transfer.files !== null && transfer.files > 1 && h("span", t("files_of", { done: transfer.files_done, n: transfer.files })),
			state === "running" && rate !== null && h("span.strong", format.rate(rate)),
			state === "running" && transfer.seconds_left !== null && h("span", t("time_left", { time: format.duration(transfer.seconds_left) })),
			path && path !== "server" && h("span.tag", t(`path_${path}`)), transfer.limited_by && h("span", t("limited_by", { what: safe(transfer.limited_by) }))),
		isActive(transfer) && h("dl.counters", { key: "counters" }, COUNTERS.map((counter) => h(`.${counter}`, h("dt", { title: t(`counter_${counter}_text`) }, t(`counter_${counter}`)), h("dd", format.bytes(transfer[counter]))))),
		error && h(".problem", { key: "error" }, h("p", failureTitle(error)), failureDetail(error)),
		!error && transfer.files_failed > 0 && h("p.problem", { key: "failed" }, t("files_failed", { n: transfer.files_failed })),
		h("button.expand", { key: "expand", type: "button", "aria-expanded": String(isOpen), onclick: () => toggle(transfer) }, icon("chevron", isOpen ? "small turned" : "small"), isOpen ? t("hide_details") : t("show_details"), h("span.unseen", ` ${title}`)),
		drawDetails(transfer)));
}

/** @param {Transfer} transfer @param {string} title */
function drawTools({ transfer, can, local, state, files_failed, names, command }, title) {
	const has = (/** @type {Transfer["can"][number]} */ action) => can.includes(action);
	const tool = (/** @type {"pause" | "resume" | "retry"} */ action, /** @type {IconName} */ iconName) => iconButton(t(`${action}_name`, { name: title }), iconName, () => run({ do: action, transfer }), { key: action });
	/** @type {Action} */
	const show = { text: t("show_in_folder"), icon: "folder", act: () => run({ do: "show_in_folder", path: local ?? "" }) };
	const hasShow = has("show") && local !== null;
	const isUnfinished = state === "unfinished";
	const ask = (/** @type {"cancel_transfer" | "forget_unfinished"} */ what) => ({ title: t(what), text: [h("p", drawNames(names)), h("p", t(`${what}_text`))] });
	/** @type {Action} */
	const cancel = { text: t("cancel_transfer"), act: () => run({ do: "cancel", transfer }), isDanger: true, ask: ask("cancel_transfer") };
	return h(".tools",
		has("pause") ? tool("pause", "pause") : has("resume") ? tool("resume", "play") : has("retry") ? tool("retry", "retry") : hasShow && iconButton(t("show_name", { name: title }), "folder", show.act, { key: "show" }),
		has("cancel") && iconButton(t("cancel_name", { name: title }), "close", actionButton(cancel).props.onclick, { key: "cancel" }),
		menuButton(t("actions_of", { name: title }), () => [
			has("retry") && { text: files_failed > 0 ? t("retry_failed_files") : t("retry"), icon: "retry", act: () => run({ do: "retry", transfer }) }, hasShow && show,
			has("remove") && { text: isUnfinished ? t("forget_unfinished") : t("remove_from_list"), icon: "close", act: () => run({ do: "remove_transfer", transfer }), isDanger: isUnfinished, ...(isUnfinished ? { ask: ask("forget_unfinished") } : {}) }],
		{ key: "more" }, () => [{ text: t("transfer"), act: () => {}, command }]));
}

/** @param {Transfer} transfer */
function drawDetails(transfer) {
	const shown = details.get(transfer.transfer);
	if (!shown) return null;
	const { files, before, after } = shown;
	const samples = store.rates.get(transfer.transfer);
	return h(".details", { key: "details" },
		isActive(transfer) && samples && plot(samples),
		facts([[t("started"), when(transfer.started)], [t("ended"), when(transfer.ended)], [t("path"), transfer.path && t(`path_${transfer.path}`)], [t("on_this_computer"), transfer.local && name(transfer.local)],
			...(isActive(transfer) ? [] : COUNTERS.map((counter) => /** @type {[string, Loose]} */ ([t(`counter_${counter}`), format.bytes(transfer[counter])])))]),
		h(".row", { key: "command" }, commandLine(transfer.command), commandButton(transfer.command)),
		shown.ended < 0 ? loading() : h("ul.transfer-files", { key: "files", tabindex: 0, "aria-label": t("files") }, files.map((file) => h(`li.${file.state}`, { key: file.number },
			icon(file.state === "failed" ? "warning" : file.state === "waiting" ? "clock" : "check", "small"), h("span.grow", name(file.source)), file.size !== null && h("span.muted", format.bytes(file.size)), h("span.tag", t(`file_${file.state}`)), file.error && h("span.problem.whole", safe(file.error))))),
		h(".actions", { key: "pages" },
			shown.ended >= 0 && shown.ended !== ended(transfer) && button(t("reload_files"), () => loadFiles(transfer, after, before), { key: "again", icon: "retry", class: "small" }),
			before.length > 0 && button(t("files_before"), () => loadFiles(transfer, before.at(-1) ?? 0, before.slice(0, -1)), { key: "before", class: "small" }),
			shown.more && button(t("files_after"), () => loadFiles(transfer, files.at(-1)?.number ?? 0, [...before, after]), { key: "after", class: "small" })));
}

/** @type {View} */
export const transfers = { title: () => t("transfers"), draw };
/** @type {Action} */
export const showTransfers = { text: t("show_transfers"), act: () => go("transfers") };
