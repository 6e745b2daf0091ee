// Numbers, sizes (decimal: kB, MB, GB), rates, dates and durations in the reader's language.

import { language } from "./texts.js";

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte"];

/** Formats are costly to make. @type {Map<string, any>} */
const made = new Map();
/** @template T @param {string} key @param {() => T} make @returns {T} */
const once = (key, make) => made.get(key) ?? (made.set(key, make()), made.get(key));

/** @type {F.withUnit} */
const withUnit = (value, unit, digits, unitDisplay = "short") =>
	once(`${unit}${digits}`, () => new Intl.NumberFormat(language,
		{ style: "unit", unit, unitDisplay, maximumFractionDigits: digits, minimumFractionDigits: digits })).format(value);

/** @type {F.scaled} */
function scaled(value, suffix) {
	let unit = 0;
	for (; value >= 999.95 && unit < UNITS.length - 1; unit += 1) value /= 1000;
	return withUnit(value, UNITS[unit] + suffix, unit === 0 ? 0 : 1, unit === 0 && !suffix ? "long" : "short");
}

/** @type {F.formatted} */
const formatted = (key, options, date) =>
	(Number.isNaN(date.getTime()) ? "" : once(key, () => new Intl.DateTimeFormat(language, options)).format(date));

/** @type {Format} */
export const format = {
	number: (value) => once("n", () => new Intl.NumberFormat(language)).format(value),
	bytes: (value) => scaled(value, ""),
	rate: (perSecond) => scaled(perSecond, "-per-second"),
	percent: (value, of) => (of ? once("%",
		() => new Intl.NumberFormat(language, { style: "percent" })).format(Math.min(Math.floor((100 * value) / of) / 100, 1)) : ""),
	duration(seconds) {
		const whole = Math.max(0, Math.round(seconds));
		const parts = /** @type {const} */ ([[Math.floor(whole / 86400), "day"], [Math.floor(whole / 3600) % 24, "hour"],
			[Math.floor(whole / 60) % 60, "minute"], [whole % 60, "second"]]);
		const first = parts.findIndex(([value]) => value > 0);
		return (first < 0 ? parts.slice(3) : parts.slice(first, first + 2).filter(([value]) => value > 0)).map(([value, unit]) =>
			withUnit(value, unit, 0)).join(" ");
	},
	clock: (at) => formatted("clock", { timeStyle: "short" }, new Date(at)),
	fullTime: (at) => formatted("full", { dateStyle: "full", timeStyle: "medium" }, new Date(at)),
	time: (at) => (new Date(at).toDateString() === new Date().toDateString() ? format.clock(at)
		: formatted("time", { dateStyle: "medium", timeStyle: "short" }, new Date(at))),
	day: (at) => formatted("day", { dateStyle: "full" }, new Date(at)),
	compareNames: new Intl.Collator(language, { numeric: true }).compare,
};
