// Makes texts of other machines harmless to read: no control, bidirectional or invisible characters.

import { h } from "./dom.js";

const UNSAFE = /[\0-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;

/** @type {F.safe} */
export const safe = (text) => text.replace(UNSAFE, (found) => `\\u{${found.codePointAt(0)?.toString(16)}}`);

/** @type {F.safeLines} */
export const safeLines = (text) => text.replace(UNSAFE, (found) => (found === "\n" || found === "\t" ? found : safe(found)));

/** @type {F.name} */
export const name = (text) => h("bdi", safe(text ?? ""));
/** @type {F.strongName} */
export const strongName = (text) => h("bdi.strong", safe(text ?? ""));

/** A fingerprint in groups of four, as people compare them. @param {string} value */
export function fingerprint(value) {
	const [, prefix = "", rest = ""] = value.match(/^(\w+:(?=[^:]*$))?(.*)$/s) ?? [];
	const groups = safe(rest).replace(/[:\s]/g, "").match(/.{1,4}/gu) ?? [];
	return h("code.fingerprint", { dir: "ltr" }, [prefix, ...groups].filter(Boolean).map((group, at) => [at > 0 && " ", h("span", group)]));
}
