// The commands that do what the page's buttons do, for "copy as command".

import { now } from "./store.js";

/** @param {string} word */
const quote = (word) => (/^[\w@%+=:,./-]+$/.test(word) && !word.startsWith("-") ? word : `'${word.replaceAll("'", "'\\''")}'`);
/** @param {string} word */
const path = (word) => quote(word.startsWith("-") ? `./${word}` : word);
/** An option, where it has a value. @param {string} flag @param {string | null} value */
const option = (flag, value) => (value ? [flag, quote(value)] : []);
/** @param {...string} words */
const quiver = (...words) => ["quiver", ...option("--server", now().connection.server), ...option("--name", now().connection.name), ...words].filter(Boolean).join(" ");

const POLICY = { ask: "", replace: "--overwrite", keep_both: "--keep-both", skip: "--skip" };

/** @param {string} server @param {string} name @param {string} certificate */
export const connect = (server, name, certificate) => ["quiver", ...option("--server", server), ...option("--cert", certificate), ...option("--name", name)].join(" ");
export const status = () => quiver("status");
/** @param {string} folder */
export const list = (folder) => quiver("list", path(folder));
/** @param {string[]} paths @param {string} folder @param {boolean} hasFolder */
export const get = (paths, folder, hasFolder) => quiver("get", hasFolder ? "-r" : "", ...paths.map(path), ...option("-o", folder));
/** @param {string} to @param {Chosen} chosen */
export const put = (to, { paths, hasFolder, policy }) => quiver("put", hasFolder ? "-r" : "", POLICY[policy], ...paths.map(path), ...option("--to", to));
/** @param {string} folder */
export const makeFolder = (folder) => quiver("mkdir", path(folder));
/** @param {string} from @param {string} to */
export const rename = (from, to) => quiver("mv", path(from), path(to));
/** @param {string[]} paths */
export const remove = (paths) => quiver("rm", ...paths.map(path));
/** @param {string} to @param {string} text */
export const say = (to, text) => (to === "server" ? quiver("message", quote(text)) : quiver("tell", quote(to), quote(text)));
/** @param {string} name @param {string[]} paths */
export const send = (name, paths) => quiver("send", quote(name), ...paths.map(path));
/** @param {number} offer @param {string} folder */
export const accept = (offer, folder) => quiver("accept", String(offer), quote(folder));
/** @param {number} offer */
export const decline = (offer) => quiver("decline", String(offer));
/** @param {number} offer */
export const withdraw = (offer) => quiver("send", "--cancel", String(offer));
/** @param {string} name @param {string} folder */
export const alwaysAccept = (name, folder) => quiver("receive", "--yes", "--from", quote(name), "-o", quote(folder));
/** @param {"verify" | "path" | "contacts forget" | "contacts block" | "contacts unblock"} command @param {string} name */
export const about = (command, name) => quiver(command, quote(name));
