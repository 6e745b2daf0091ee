// Draws the rate of a transfer over the last two minutes.

import { format, h, PLOT_MS, t } from "./kit.js";

const WIDTH = 600;
const HEIGHT = 90;

/** @type {F.roundUp} */
function roundUp(value) {
	const power = 10 ** Math.floor(Math.log10(Math.max(value, 1000)));
	return power * ([1, 2, 5].find((factor) => factor * power >= value) ?? 10);
}

/** @type {F.plot} */
export function plot(samples) {
	const last = samples.at(-1) ?? { at: 0, rate: 0 };
	const most = samples.reduce((highest, { rate }) => Math.max(highest, rate), 0);
	const top = roundUp(most);
	const x = (/** @type {Sample} */ { at }) => (WIDTH * (1 - (last.at - at) / PLOT_MS)).toFixed(1);
	const line = samples.map((sample) => `${x(sample)} ${(HEIGHT - (HEIGHT - 2) * (sample.rate / top)).toFixed(1)}`).join("L");
	return h("figure.plot", { key: "plot" },
		h("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
			"aria-label": t("plot_label", { now: format.rate(last.rate), most: format.rate(most) }) },
			h("path.plot-grid", { d: `M0 1H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}` }),
			samples[0] && h("path.plot-area", { d: `M${x(samples[0])} ${HEIGHT}L${line}V${HEIGHT}Z` }),
				h("path.plot-line", { d: line && `M${line}` })),
		h("figcaption", h("span", t("plot_caption", { time: format.duration(PLOT_MS / 1000) })),
			h("span", t("plot_top", { rate: format.rate(top) }))));
}
