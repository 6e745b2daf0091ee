// What the views are made of, for one import.

export * from "./app.js";
export { choose, chooseFolder } from "./chooser.js";
export { commands } from "./commands.js";
export { h, render } from "./dom.js";
export { format } from "./format.js";
export { icon } from "./icons.js";
export * from "./parts.js";
export { RowList } from "./rows.js";
export * from "./safe.js";
export { failureOf } from "./source.js";
export { drawDrops, take } from "./spool.js";
export * from "./store.js";
export { failureAdvice, failureTitle, r, t } from "./texts.js";
