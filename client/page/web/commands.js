// The commands that do what the page's buttons do, for "copy as command".

import { now } from "./store.js";

/** @type {F.quote} */
const quote = (word) => (/^[\w@%+=:,./-]+$/.test(word) && !word.startsWith("-") ? word : `'${word.replaceAll("'", "'\\''")}'`);
/** @type {F.path} */
const path = (word) => quote(word.startsWith("-") ? `./${word}` : word);
/** @type {F.option} */
const option = (flag, value) => (value ? [flag, quote(value)] : []);
/** @type {F.sign} */
const sign = ({ server, name }) => [...option("--server", server), ...option("--name", name)];
/** @type {F.quiver} */
const quiver = (...words) => ["quiver", ...sign(now().connection), ...words].filter(Boolean).join(" ");

const STEERED = new Set(["pause", "resume", "cancel"]);

/** @type {Commands} */
export const commands = {
	connect: (form) => ["quiver", ...sign(form), ...option("--cert", form.certificate)].join(" "),
	status: () => quiver("status"),
	list: (folder) => quiver("list", path(folder)),
	get: (list, folder) => quiver("get", list.some(({ kind }) => kind === "folder") ? "-r" : "", ...list.map((entry) => path(entry.path)),
		...option("-o", folder)),
	put: (to, { paths, hasFolder }) => quiver("put", hasFolder ? "-r" : "", ...paths.map(path), ...option("--to", to)),
	makeFolder: (folder) => quiver("mkdir", path(folder)),
	rename: (from, to) => quiver("mv", path(from), path(to)),
	remove: (list) => quiver("rm", ...list.map((entry) => path(entry.path))),
	say: (to, text) => (to === "server" ? quiver("message", quote(text)) : quiver("tell", quote(to), quote(text))),
	send: (name, paths) => quiver("send", quote(name), ...paths.map(path)),
	accept: (offer, folder) => quiver("accept", String(offer), quote(folder)),
	decline: (offer) => quiver("decline", String(offer)),
	withdraw: (offer) => quiver("send", "--cancel", String(offer)),
	alwaysAccept: (name, folder) => quiver("receive", "--yes", "--from", quote(name), "-o", quote(folder)),
	steer: (what, { transfer, number }) => (STEERED.has(what) && /^\d/.test(transfer) ? `quiver ${what} ${number ?? transfer}` : ""),
	about: (command, name) => quiver(command, quote(name)),
};
