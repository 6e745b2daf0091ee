// The page's icons, each a path on a grid of 24, drawn by strokes.

import { h } from "./dom.js";

export const PATHS = {
	file: "M6 3h8l4 4v14H6zM14 3v4h4",
	folder: "M3 6.5h6l2 2.5h10v10.5H3z",
	transfers: "M8 20V5M4 9l4-4 4 4M16 4v15M12 15l4 4 4-4",
	people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c.4-4 3-6 6.5-6s6.1 2 6.5 6M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14.5c2 .8 3.2 2.6 3.5 5.5",
	offers: "M4 9h16v11H4zM3 5.5h18V9H3zM12 5.5V20M12 5.5C9 5.5 7.5 4.5 8 3s3-1 4 2.5c1-3.5 3.5-4 4-2.5s-1 2.5-4 2.5",
	settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM9 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
	download: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
	upload: "M12 16V5M7.5 9L12 4.5 16.5 9M5 20h14",
	send: "M4 12L20 4l-5 16-3.5-6.5zM11.5 13.5L20 4",
	pause: "M8.5 5v14M15.5 5v14",
	play: "M8 5l11 7-11 7z",
	close: "M6 6l12 12M18 6L6 18",
	retry: "M19 12a7 7 0 1 1-2.2-5.1M17.5 3v4.5H13",
	more: "M5 12h1M11.5 12h1M18 12h1",
	command: "M4 7l5 5-5 5M11.5 18H20",
	rename: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
	trash: "M5 7h14M9.5 7V4.5h5V7M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
	check: "M5 12.5l4.5 4.5L19 7.5",
	warning: "M12 4L2.5 20h19zM12 10v4.5M12 17.3h.01",
	lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
	shield: "M12 3l7.5 3v6c0 4.5-3 7.5-7.5 9-4.5-1.5-7.5-4.5-7.5-9V6zM8.5 12l2.5 2.5 4.5-5",
	server: "M4 4.5h16v6H4zM4 13.5h16v6H4zM7.5 7.5h.01M7.5 16.5h.01",
	receive: "M4 13v6h16v-6M12 4v10M8 10.5l4 4 4-4",
	chevron: "M9 5l7 7-7 7",
	arrow: "M5 19L19 5M10 5h9v9",
};

/** @type {F.icon} */
export const icon = (name, kind = "") => h(`svg.icon ${kind}`, { viewBox: "0 0 24 24", "aria-hidden": "true" },
	h("path", { d: PATHS[name] }));
