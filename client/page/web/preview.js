// Looks at a text or a picture of the server without leaving the page. The client checks and limits it;
// the page shows it as text or as an <img> of a blob, never as a document.

import {
	actionButton, app, button, commandButton, failureBox, failureOf, format, h, loading, openDialog, safe, safeLines, t, update,
} from "./kit.js";

const TEXT_LIMIT = 256 * 1024;
const PICTURE_LIMIT = 16 * 1024 * 1024;
const PICTURES = /\.(png|jpe?g|gif|webp)$/i;
const TEXTS = /(\.(txt|md|rst|log|csv|tsv|json|toml|ya?ml|xml|html?|css|m?[jt]s|rs|py|rb|go|[ch]|cc|[ch]pp|java|kt|sh|sql|ini|conf|cfg|tex|bib|diff|patch|srt|svg|lock)|^(readme|license|makefile|dockerfile|changelog))$/i;

/** Whether the page offers to look at it: a button that would only fail is not shown. @param {Entry} entry */
export const canPreview = ({ kind, name, size }) => kind === "file" && (PICTURES.test(name) ? size <= PICTURE_LIMIT : TEXTS.test(name));

/** @type {F.preview} */
export function preview(entry, get) {
	const abort = new AbortController();
	let picture = "";
	let text = "";
	/** @type {Failure | null} */
	let failure = null;
	let isCut = false;
	const release = () => {
		abort.abort();
		URL.revokeObjectURL(picture);
	};
	const end = openDialog(entry.name, () => h(".dialog-body.preview",
		h(".preview-content.scroller", { tabindex: 0, role: "group", "aria-label": t("content") },
			failure ? failureBox(failure) : picture ? h("img", { src: picture, alt: safe(entry.name) }) : text ? h("pre", { dir: "auto" }, text)
				: loading()),
		isCut && h("p.muted", t("preview_cut", { shown: format.bytes(TEXT_LIMIT), size: format.bytes(entry.size) })),
		h(".dialog-actions", h("span.muted.grow", format.bytes(entry.size)), get.command && commandButton(get.command),
			actionButton({ ...get, act: () => { close(); return get.act(); } }), button(t("close"), () => close(), { class: "primary" }))),
	"wide", release);
	const close = () => {
		release();
		end();
	};
	app.source.preview(entry.path, abort.signal).then(async (blob) => {
		if (blob.type.startsWith("image/")) picture = URL.createObjectURL(blob);
		else text = safeLines(await blob.text()) || t("file_empty");
		isCut = !picture && entry.size > TEXT_LIMIT;
	}).catch((thrown) => { failure = failureOf(thrown); }).finally(update);
}
