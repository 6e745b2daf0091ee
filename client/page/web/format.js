// Numbers, sizes, rates, dates and durations in the reader's language, by Intl. Sizes are decimal: kB, MB, GB, as in the whole project.

import { language, t } from "./texts.js";

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
/** @type {F.isSameDay} */
const isSameDay = (left, right) => left.toDateString() === right.toDateString();

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
	time(at) {
		const [date, now] = [new Date(at), new Date()];
		if (isSameDay(date, now)) return format.clock(at);
		if (date.getFullYear() !== now.getFullYear()) return formatted("date", { dateStyle: "medium" }, date);
		return formatted("day", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }, date);
	},
	day(at) {
		const [date, now] = [new Date(at), new Date()];
		if (isSameDay(date, now)) return t("today");
		now.setDate(now.getDate() - 1);
		return isSameDay(date, now) ? t("yesterday") : formatted("long", { dateStyle: "long" }, date);
	},
	ago(at) {
		const seconds = Math.round((new Date(at).getTime() - Date.now()) / 1000);
		const steps = /** @type {const} */ ([[86400, "day"], [3600, "hour"], [60, "minute"]]);
		const [length, unit] = steps.find(([step]) => Math.abs(seconds) >= step) ?? [];
		return length ? once("ago", () => new Intl.RelativeTimeFormat(language, { numeric: "auto" })).format(Math.trunc(seconds / length), unit)
			: t("just_now");
	},
	compareNames: new Intl.Collator(language, { numeric: true }).compare,
};
