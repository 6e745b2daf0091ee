// Long lists: above 200 rows only those near the view are in the document. Keys move through a grid.

import { update, updateNow } from "./app.js";
import { h } from "./dom.js";

const WHOLE_UP_TO = 200;
const MARGIN_PX = 400;

export class RowList {
	active = 0;
	#count = 0;
	#headRows = 0;
	#element = /** @type {HTMLElement?} */ (null);
	#scroller = /** @type {HTMLElement?} */ (null);
	/** By key, in a list. The rows of a grid have one height. @type {Map<string, number>} */
	#heights = new Map();
	/** @type {number[]} */
	#tops = [];
	/** @type {(index: number) => string} */
	#keyOf = String;
	#first = 0;
	#end = 60;
	#focusedKey = "";
	#sizes = new ResizeObserver((entries) => this.#measured(entries));

	/** @param {RowOptions} options */
	constructor(options) {
		this.options = options;
		this.rowHeight = options.rowHeight;
	}

	get #isWindowed() {
		return this.#count > WHOLE_UP_TO;
	}

	/**
	 * `drawRow` gives the properties to the row's element. @template T @param {T[]} list @param {(item: T) => string} keyOf
	 * @param {(item: T, props: Props, index: number) => Description} drawRow @param {Description} [head] the first row of a grid
	 */
	draw(list, keyOf, drawRow, head) {
		const { isGrid, isSeveral, label } = this.options;
		const count = (this.#count = list.length);
		const isWindowed = this.#isWindowed;
		this.#headRows = head ? 1 : 0;
		this.#keyOf = (index) => keyOf(/** @type {T} */ (list[index]));
		this.active = Math.max(0, Math.min(this.active, count - 1));
		if (isWindowed && !isGrid) this.#addHeights();
		if (isWindowed) this.#find();
		const [first, end] = isWindowed ? [this.#first, this.#end] : [0, count];
		const indexes = Array.from({ length: end - first }, (_, at) => first + at);
		// The row that has the focus stays, wherever the view is.
		const kept = isGrid ? this.active : isWindowed && this.#focusedKey ? this.#indexOf(this.#focusedKey) : -1;
		if (kept >= 0 && kept < first) indexes.unshift(kept);
		if (kept >= end && kept < count) indexes.push(kept);
		const rows = indexes.map((index) => {
			const key = this.#keyOf(index);
			return drawRow(/** @type {T} */ (list[index]), {
				key, "data-row": key, mount: (row) => this.#sizes.observe(row), unmount: (row) => this.#sizes.unobserve(row),
				style: isWindowed ? { position: "absolute", top: `${this.#top(index)}px`, width: "100%" } : {},
				...(isGrid ? { role: "row", "aria-rowindex": index + 1 + this.#headRows, tabindex: index === this.active ? 0 : -1 }
					: { role: "listitem", "aria-setsize": count, "aria-posinset": index + 1 }),
			}, index);
		});
		const body = h(".rows", {
			role: isGrid ? "rowgroup" : "list", "aria-label": isGrid ? null : label,
			style: isWindowed ? { position: "relative", height: `${this.#top(count)}px` } : {},
			onkeydown: isGrid ? this.#onKey : null, onfocusin: this.#onFocus,
			mount: (element) => {
				this.#element = element;
				this.#scroller = element.closest(".scroller");
				this.#scroller?.addEventListener("scroll", this.#onScroll, { passive: true });
				if (this.#isWindowed) update();
			},
			unmount: () => {
				this.#scroller?.removeEventListener("scroll", this.#onScroll);
				this.#element = this.#scroller = null;
			},
		}, rows);
		return isGrid ? h("", { role: "grid", "aria-label": label, "aria-rowcount": count + this.#headRows,
			"aria-multiselectable": String(isSeveral) }, head && h("", { role: "rowgroup" }, head), body) : body;
	}

	/** @param {number} index */
	#top = (index) => (this.options.isGrid ? index * this.rowHeight : this.#tops[index] ?? 0);

	#addHeights() {
		let top = 0;
		this.#tops = [0];
		for (let index = 0; index < this.#count; index += 1) this.#tops.push(top += this.#heights.get(this.#keyOf(index)) ?? this.rowHeight);
	}

	#onScroll = () => {
		const before = this.#first + this.#end;
		if (this.#isWindowed) this.#find();
		if (before !== this.#first + this.#end) update();
	};

	/** @param {ResizeObserverEntry[]} entries */
	#measured(entries) {
		let isChanged = false;
		for (const { target } of entries) {
			const { offsetHeight, dataset: { row = "" } } = /** @type {HTMLElement} */ (target);
			if (offsetHeight === 0 || offsetHeight === (this.options.isGrid ? this.rowHeight : this.#heights.get(row))) continue;
			isChanged = true;
			if (this.options.isGrid) this.rowHeight = offsetHeight;
			else this.#heights.set(row, offsetHeight);
		}
		if (isChanged && this.#isWindowed) update();
	}

	/** In steps, so that a small movement draws nothing. */
	#find() {
		if (this.#element && this.#scroller) {
			const start = this.#scroller.getBoundingClientRect().top - this.#element.getBoundingClientRect().top - MARGIN_PX;
			this.#first = Math.floor(this.#at(start) / 4) * 4;
			this.#end = Math.ceil((this.#at(start + this.#scroller.clientHeight + 2 * MARGIN_PX) + 1) / 4) * 4;
		}
		this.#first = Math.max(0, Math.min(this.#first, this.#count - 4));
		this.#end = Math.min(this.#count, Math.max(this.#first + 4, this.#end));
	}

	/** The row at this height. @param {number} y */
	#at(y) {
		let [low, high] = [0, this.#count - 1];
		while (low < high) {
			const middle = (low + high + 1) >> 1;
			if (this.#top(middle) <= y) low = middle;
			else high = middle - 1;
		}
		return low;
	}

	/** @param {string} key */
	#indexOf(key) {
		for (let index = 0; index < this.#count; index += 1) if (this.#keyOf(index) === key) return index;
		return -1;
	}

	/** @param {{target: HTMLElement}} event */
	#onFocus = ({ target }) => {
		this.#focusedKey = target.closest("[data-row]")?.getAttribute("data-row") ?? "";
		this.active = Math.max(0, this.#indexOf(this.#focusedKey));
	};

	/** @param {KeyboardEvent & {target: HTMLElement}} event */
	#onKey = (event) => {
		if (this.options.onKey?.(event, this.active)) return event.preventDefault();
		if (event.ctrlKey || event.metaKey || event.altKey) return;
		const page = Math.max(1, Math.floor((this.#scroller?.clientHeight ?? 400) / this.rowHeight) - 1);
		const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
		if (step === undefined) return;
		event.preventDefault();
		this.focusRow(this.active + step);
	};

	/** @param {number} index */
	focusRow(index) {
		this.active = Math.max(0, Math.min(index, this.#count - 1));
		updateNow();
		const row = /** @type {HTMLElement?} */ (this.#element?.querySelector(`[aria-rowindex="${this.active + 1 + this.#headRows}"]`) ?? null);
		row?.focus({ preventScroll: true });
		row?.scrollIntoView({ block: "nearest" });
	}
}
