// All transfers of this computer, in both directions.

import {
	bar, button, commands, drawDrops, empty, facts, failureDetail, failureTitle, format, go, h, hasFailures, icon,
	iconButton, isActive, loading, menuButton, name, now, PLOT_MS, r, RowList, run, safe, start, store, strongName, t, viewHead, when,
} from "./kit.js";

const PAGE = 100;
/** @type {Record<TransferFilter, (transfer: Transfer) => boolean>} */
const TESTS = { all: () => true, active: isActive, failed: hasFailures, unfinished: ({ state }) => state === "unfinished",
	done: (transfer) => transfer.state === "done" && !hasFailures(transfer) };
const FILTERS = /** @type {TransferFilter[]} */ (Object.keys(TESTS));
const ORDER = { running: 0, reconnecting: 0, planning: 0, waiting: 1, paused: 1, failed: 2, unfinished: 3, done: 4, cancelled: 4 };
const ACTIONS = /** @type {const} */ ([["pause", "pause"], ["resume", "play"], ["retry", "retry"], ["cancel", "close"],
	["show", "folder"], ["remove", "trash"]]);
const WIDTH = 600;
const HEIGHT = 90;
const COUNTERS = /** @type {const} */ (["sent", "received", "verified"]);

/** @type {TransferFilter} */
let filter = "all";
/** @type {Map<string, Details>} */
const details = new Map();
const rows = new RowList({ label: t("transfers"), rowHeight: 132 });

export const runningCount = () => [...store.transfers.values()].filter(isActive).length;

/** Loads the first page of files, or the one after `after`. @param {string} transfer */
async function loadFiles(transfer, after = 0) {
	details.set(transfer, { files: [], more: false, isLoading: true });
	const reply = await run({ do: "transfer_files", transfer, after, limit: PAGE });
	if (reply && details.has(transfer)) details.set(transfer, { ...reply, isLoading: false });
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
	return h(".view",
		viewHead("transfers", h(".actions",
			filter === "failed" && retryable.length > 0 && button(t("retry_failed", { n: retryable.length }),
				() => retryable.map(({ transfer }) => run({ do: "retry", transfer })), { icon: "retry", class: "primary" }),
			over.length > 0 && button(t("clear_done"), () => over.map(({ transfer }) => run({ do: "remove_transfer", transfer })),
				{ icon: "check" }))),
		all.length > 0 && h(".filters", { role: "group", "aria-label": t("filter") }, FILTERS.map((each) => {
			const count = all.filter(TESTS[each]).length;
			return (each === "all" || count > 0) && h("button.button.small.filter",
				{ "aria-pressed": String(filter === each), onclick: () => { filter = each; } }, t(`filter_${each}`),
				h("span.muted", ` ${format.number(count)}`));
		})),
		drops,
		shown.length > 0 ? h("", rows.draw(shown, ({ transfer }) => transfer, drawRow))
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
	const other = name(transfer.with === "server" ? now().connection.server : transfer.with.replace(/^@/, ""));
	return h(".transfer-item", props, h(`article.card ${isFailed ? "failed" : state}`, { "aria-label": title },
		h(".row.wraps", icon(transfer.direction, "direction"),
			h(".grow", h("p", drawNames(transfer.names)),
				h("p.muted", r(isIncoming ? "from_name" : "to_name", { name: other }), ` · ${t(`state_${state}`)} `,
					when(transfer.ended), !transfer.own && ` · ${t("process", { process: safe(transfer.process) })}`)),
			drawTools(transfer, title)),
		!isDone && bar(t("progress_of", { name: title }), verified, Math.max(transfer.received, verified), bytes,
			isFailed ? "bad" : state === "running" ? "" : "still"),
		h("p.numbers",
			h("span", isDone || bytes === null ? format.bytes(bytes ?? verified)
				: t("bytes_of", { done: format.bytes(transfer.received), total: format.bytes(bytes) })),
			transfer.files !== null && transfer.files > 1 && h("span", t("files_of", { done: transfer.files_done, n: transfer.files })),
			state === "running" && rate !== null && h("span.strong", format.rate(rate)),
			state === "running" && transfer.seconds_left !== null && h("span", t("time_left", { time: format.duration(transfer.seconds_left) })),
			path && path !== "server" && h("span.tag", t(`path_${path}`)),
				transfer.limited_by && h("span", t("limited_by", { what: safe(transfer.limited_by) }))),
		isActive(transfer) && h("dl.counters",
			// What the other side has sent or verified is known at its end.
			COUNTERS.filter((counter) => transfer[counter] > 0).map((counter) => h(`.${counter}`, h("dt", t(counter)),
			h("dd", format.bytes(transfer[counter]))))),
		error && h(".problem", h("p", failureTitle(error)), failureDetail(error)),
		!error && transfer.files_failed > 0 && h("p.problem", t("files_failed", { n: transfer.files_failed })),
		h("button.button.small.quiet.expand", { "aria-expanded": String(isOpen),
			onclick: () => details.delete(transfer.transfer) || loadFiles(transfer.transfer) },
			icon("chevron", isOpen ? "small down" : "small"), t("details"), h("span.unseen", ` ${title}`)),
		drawDetails(transfer)));
}

/** @type {F.actionsOf} */
const actionsOf = (transfer) => ACTIONS.filter(([what]) => transfer.can.includes(what)).map(([what, iconName]) => {
	const isDiscard = what === "remove" && transfer.state === "unfinished";
	return { text: t(isDiscard ? "discard" : what === "cancel" ? "cancel_transfer" : what), icon: iconName,
		command: commands.steer(what, transfer), isDanger: what === "cancel" || isDiscard,
		act: () => run(what === "show" ? { do: "show_in_folder", path: transfer.local ?? "" }
			: { do: what === "remove" ? "remove_transfer" : what, transfer: transfer.transfer }),
		ask: (isDiscard || what === "cancel") && [h("p", drawNames(transfer.names)), h("p", t(`${what}_text`))] };
});

/** @type {F.drawTools} */
function drawTools(transfer, title) {
	const actions = actionsOf(transfer);
	return h(".tools",
		actions.slice(0, 2).map((action) => iconButton(t("action_of", { action: action.text, name: title }), action.icon, start(action))),
		menuButton(title, () => [...actions, { text: t("transfer"), command: transfer.command }]));
}

/** @type {F.drawDetails} */
function drawDetails(transfer) {
	const id = transfer.transfer;
	const shown = details.get(id);
	if (!shown) return null;
	const samples = store.rates.get(id);
	return h(".details",
		isActive(transfer) && samples && plot(samples),
		facts([[t("started"), when(transfer.started)], [t("ended"), when(transfer.ended)],
			[t("path"), transfer.path && t(`path_${transfer.path}`)], [t("local"), transfer.local && name(transfer.local)],
			...COUNTERS.map((counter) => /** @type {[string, Loose]} */ ([t(counter), format.bytes(transfer[counter])]))]),
		shown.isLoading ? loading() : h("ul.framed.transfer-files", { tabindex: 0, "aria-label": t("files") },
			shown.files.map((file) => h(`li.${file.state}`, { key: file.number },
			icon(file.state === "failed" ? "warning" : file.state === "waiting" ? "more" : "check", "small"), h("span.grow", name(file.source)),
				file.size !== null && h("span.muted", format.bytes(file.size)), h("span.tag", t(`state_${file.state}`)),
				file.error && h("span.problem.whole", safe(file.error))))),
		shown.more && button(t("files_after"), () => loadFiles(id, shown.files.at(-1)?.number), { class: "small" }));
}

/** @type {F.roundUp} */
function roundUp(value) {
	const power = 10 ** Math.floor(Math.log10(Math.max(value, 1000)));
	return power * ([1, 2, 5].find((factor) => factor * power >= value) ?? 10);
}

/** @type {F.plot} */
function plot(samples) {
	const last = samples.at(-1) ?? { at: 0, rate: 0 };
	const most = samples.reduce((highest, { rate }) => Math.max(highest, rate), 0);
	const top = roundUp(most);
	const x = (/** @type {Sample} */ { at }) => (WIDTH * (1 - (last.at - at) / PLOT_MS)).toFixed(1);
	const line = samples.map((sample) => `${x(sample)} ${(HEIGHT - (HEIGHT - 2) * (sample.rate / top)).toFixed(1)}`).join("L");
	return h("figure.plot",
		h("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
			"aria-label": t("plot_label", { now: format.rate(last.rate), most: format.rate(most) }) },
			h("path", { d: `M0 1H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}` }),
			samples[0] && h("path.plot-area", { d: `M${x(samples[0])} ${HEIGHT}L${line}V${HEIGHT}Z` }),
				h("path.plot-line", { d: line && `M${line}` })),
		h("figcaption.row.between", h("span", t("plot_caption", { time: format.duration(PLOT_MS / 1000) })),
			h("span", t("plot_top", { rate: format.rate(top) }))));
}

export const transfers = { draw };
/** @type {Action} */
export const showTransfers = { text: t("look"), act: () => go("transfers") };
