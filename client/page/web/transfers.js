// All transfers of this computer, in both directions.

import {
	bar, button, commandButton, commandLine, drawDrops, empty, facts, failureDetail, failureTitle, format, go, h, hasFailures, icon,
	iconButton, isActive, loading, menuButton, name, r, RowList, run, safe, start, store, strongName, t, update, viewHead, when,
} from "./kit.js";
import { plot } from "./plot.js";

const PAGE = 100;
/** @type {Record<TransferFilter, (transfer: Transfer) => boolean>} */
const TESTS = { all: () => true, active: isActive, failed: hasFailures, unfinished: ({ state }) => state === "unfinished",
	done: (transfer) => transfer.state === "done" && !hasFailures(transfer) };
const FILTERS = /** @type {TransferFilter[]} */ (Object.keys(TESTS));
const ORDER = { running: 0, reconnecting: 0, planning: 0, waiting: 1, paused: 1, failed: 2, unfinished: 3, done: 4, cancelled: 4 };
const COUNTERS = /** @type {const} */ (["sent", "received", "verified"]);

/** @type {TransferFilter} */
let filter = "all";
/** @type {Map<string, Details>} */
const details = new Map();
const rows = new RowList({ label: t("transfers"), rowHeight: 132, isVariable: true });

export const runningCount = () => [...store.transfers.values()].filter(isActive).length;
/** @type {F.ended} */
const ended = (transfer) => transfer.files_done + transfer.files_failed;

/** @type {F.loadFiles} */
async function loadFiles(transfer, after, before) {
	const reply = await run({ do: "transfer_files", transfer: transfer.transfer, after, limit: PAGE });
	if (reply && details.has(transfer.transfer)) details.set(transfer.transfer, { ...reply, after, before, ended: ended(transfer) });
	update();
}

/** @type {F.toggle} */
function toggle(transfer) {
	if (details.delete(transfer.transfer)) return;
	details.set(transfer.transfer, { files: [], more: false, after: 0, before: [], ended: -1 });
	void loadFiles(transfer, 0, []);
}

/** @type {F.drawNames} */
export const drawNames = ([first = "", ...rest], more = 0) => [strongName(first),
	rest.length + more > 0 && h("span.muted", ` ${t("and_more", { n: rest.length + more })}`)];

function draw() {
	const all = [...store.transfers.values()].sort((left, right) => ORDER[left.state] - ORDER[right.state]
		|| (left.started < right.started ? 1 : -1));
	if (!all.some(TESTS[filter])) filter = "all";
	const shown = all.filter(TESTS[filter]);
	const retryable = all.filter((transfer) => hasFailures(transfer) && transfer.can.includes("retry"));
	const over = all.filter(({ state, can }) => (state === "done" || state === "cancelled") && can.includes("remove"));
	const drops = drawDrops(() => true);
	return h(".view.transfers",
		viewHead("transfers", h(".actions",
			filter === "failed" && retryable.length > 0 && button(t("retry_failed", { n: retryable.length }),
				() => retryable.map(({ transfer }) => run({ do: "retry", transfer })), { key: "retry", icon: "retry", class: "primary" }),
			over.length > 0 && button(t("clear_done"), () => over.map(({ transfer }) => run({ do: "remove_transfer", transfer })),
				{ key: "remove", icon: "check" }))),
		all.length > 0 && h(".filters", { key: "filters", role: "group", "aria-label": t("filter") }, FILTERS.map((each) => {
			const count = all.filter(TESTS[each]).length;
			return (each === "all" || count > 0) && h(`button.filter.${each}`,
				{ key: each, "aria-pressed": String(filter === each), onclick: () => { filter = each; } }, t(`filter_${each}`),
				h("span.count", format.number(count)));
		})),
		drops,
		shown.length > 0 ? h("", { key: "list" }, rows.draw(shown, ({ transfer }) => transfer, drawRow))
			: !drops && empty("transfers", t("transfers_no"), t("transfers_none")));
}

/** @type {F.drawRowTransfers} */
function drawRow(transfer, props) {
	const title = safe(transfer.names[0] ?? "");
	const { state, error, path, rate, bytes, verified } = transfer;
	const isFailed = hasFailures(transfer);
	const isDone = state === "done" && !isFailed;
	const isOpen = details.has(transfer.transfer);
	const isIncoming = ["download", "receive"].includes(transfer.direction);
	return h(".transfer-item", props, h(`article.card.transfer ${isFailed ? "failed" : state}`, { "aria-label": title },
		h(".card-head", icon(transfer.direction === "receive" ? "receive" : transfer.direction === "send" ? "send" : transfer.direction,
			"direction"),
			h(".grow", h("p", drawNames(transfer.names)),
				h("p.muted", r(isIncoming ? "from_name" : "to_name", { name: name(transfer.with.replace(/^@/, "")) }), ` · ${t(`state_${state}`)} `,
					when(transfer.ended), !transfer.own && ` · ${t("process", { process: safe(transfer.process) })}`)),
			drawTools(transfer, title)),
		!isDone && bar(t("progress_of", { name: title }), verified, Math.max(transfer.received, verified), bytes,
			isFailed ? "bad" : state === "running" ? "" : "still"),
		h("p.numbers", { key: "numbers" },
			h("span", isDone || bytes === null ? format.bytes(bytes ?? verified)
				: t("bytes_of", { done: format.bytes(verified), total: format.bytes(bytes) })),
			transfer.files !== null && transfer.files > 1 && h("span", t("files_of", { done: transfer.files_done, n: transfer.files })),
			state === "running" && rate !== null && h("span.strong", format.rate(rate)),
			state === "running" && transfer.seconds_left !== null && h("span", t("time_left", { time: format.duration(transfer.seconds_left) })),
			path && path !== "server" && h("span.tag", t(`path_${path}`)),
				transfer.limited_by && h("span", t("limited_by", { what: safe(transfer.limited_by) }))),
		isActive(transfer) && h("dl.counters", { key: "counters" },
			COUNTERS.map((counter) => h(`.${counter}`, h("dt", { title: t(`${counter}_text`) }, t(counter)),
			h("dd", format.bytes(transfer[counter]))))),
		error && h(".problem", { key: "error" }, h("p", failureTitle(error)), failureDetail(error)),
		!error && transfer.files_failed > 0 && h("p.problem", { key: "failed" }, t("files_failed", { n: transfer.files_failed })),
		h("button.expand", { key: "expand", "aria-expanded": String(isOpen), onclick: () => toggle(transfer) },
			icon("chevron", isOpen ? "small turned" : "small"), isOpen ? t("hide_details") : t("show_details"), h("span.unseen", ` ${title}`)),
		drawDetails(transfer)));
}

/** @type {F.drawTools} */
function drawTools({ transfer, can, local, state, files_failed, names, command }, title) {
	const has = (/** @type {Transfer["can"][number]} */ action) => can.includes(action);
	const tool = (/** @type {"pause" | "resume" | "retry"} */ action, /** @type {IconName} */ iconName) =>
		iconButton(t(`${action}_name`, { name: title }), iconName, () => run({ do: action, transfer }), { key: action });
	const show = /** @type {Action} */ ({ text: t("show_in_folder"), icon: "folder",
		act: () => run({ do: "show_in_folder", path: local ?? "" }) });
	const hasShow = has("show") && local !== null;
	const isUnfinished = state === "unfinished";
	const ask = (/** @type {"cancel_transfer" | "forget_unfinished"} */ what) =>
		({ title: t(what), text: [h("p", drawNames(names)), h("p", t(`${what}_text`))] });
	return h(".tools",
		has("pause") ? tool("pause", "pause") : has("resume") ? tool("resume", "play") : has("retry") ? tool("retry", "retry")
			: hasShow && iconButton(t("show_name", { name: title }), "folder", show.act, { key: "show" }),
		has("cancel") && iconButton(t("cancel_name", { name: title }), "close",
			start({ text: t("cancel_transfer"), act: () => run({ do: "cancel", transfer }), isDanger: true, ask: ask("cancel_transfer") }),
			{ key: "cancel" }),
		menuButton(title, () => [
			has("retry") && { text: files_failed > 0 ? t("retry_files") : t("retry"), icon: "retry", act: () => run({ do: "retry", transfer }) },
				hasShow && show,
			has("remove") && { text: isUnfinished ? t("forget_unfinished") : t("remove"), icon: "close",
				act: () => run({ do: "remove_transfer", transfer }), isDanger: isUnfinished,
				...(isUnfinished ? { ask: ask("forget_unfinished") } : {}) }],
		{ key: "more" }, () => [{ text: t("transfer"), act: () => {}, command }]));
}

/** @type {F.drawDetails} */
function drawDetails(transfer) {
	const shown = details.get(transfer.transfer);
	if (!shown) return null;
	const { files, before, after } = shown;
	const samples = store.rates.get(transfer.transfer);
	return h(".details", { key: "details" },
		isActive(transfer) && samples && plot(samples),
		facts([[t("started"), when(transfer.started)], [t("ended"), when(transfer.ended)],
			[t("path"), transfer.path && t(`path_${transfer.path}`)], [t("local"), transfer.local && name(transfer.local)],
			...(isActive(transfer) ? [] : COUNTERS.map((counter) =>
				/** @type {[string, Loose]} */ ([t(counter), format.bytes(transfer[counter])])))]),
		h(".row", { key: "command" }, commandLine(transfer.command), commandButton(transfer.command)),
		shown.ended < 0 ? loading() : h("ul.transfer-files", { key: "files", tabindex: 0, "aria-label": t("files") },
			files.map((file) => h(`li.${file.state}`, { key: file.number },
			icon(file.state === "failed" ? "warning" : file.state === "waiting" ? "clock" : "check", "small"), h("span.grow", name(file.source)),
				file.size !== null && h("span.muted", format.bytes(file.size)), h("span.tag", t(`state_${file.state}`)),
				file.error && h("span.problem.whole", safe(file.error))))),
		h(".actions", { key: "pages" },
			shown.ended >= 0 && shown.ended !== ended(transfer) && button(t("reload_files"), () => loadFiles(transfer, after, before),
				{ key: "again", icon: "retry", class: "small" }),
			before.length > 0 && button(t("files_before"), () => loadFiles(transfer, before.at(-1) ?? 0, before.slice(0, -1)),
				{ key: "before", class: "small" }),
			shown.more && button(t("files_after"), () => loadFiles(transfer, files.at(-1)?.number ?? 0, [...before, after]),
				{ key: "after", class: "small" })));
}

export const transfers = { draw };
/** @type {Action} */
export const showTransfers = { text: t("to_transfers"), act: () => go("transfers") };
