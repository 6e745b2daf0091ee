// The commands that do what the page's buttons do, for "copy as command".

import { now } from "./store.js";

/** @type {F.quote} */
const quote = (word) => (/^[\w@%+=:,./-]+$/.test(word) && !word.startsWith("-") ? word : `'${word.replaceAll("'", "'\\''")}'`);
/** @type {F.path} */
const path = (word) => quote(word.startsWith("-") ? `./${word}` : word);
/** @type {F.option} */
const option = (flag, value) => (value ? [flag, quote(value)] : []);
/** @type {F.quiver} */
const quiver = (...words) => ["quiver", ...option("--server", now().connection.server), ...option("--name", now().connection.name),
	...words].filter(Boolean).join(" ");

const POLICY = { ask: "", replace: "--overwrite", keep_both: "--keep-both", skip: "--skip" };

/** @type {Commands} */
export const commands = {
	connect: (server, name, certificate) => ["quiver", ...option("--server", server), ...option("--cert", certificate),
		...option("--name", name)].join(" "),
	status: () => quiver("status"),
	list: (folder) => quiver("list", path(folder)),
	get: (paths, folder, hasFolder) => quiver("get", hasFolder ? "-r" : "", ...paths.map(path), ...option("-o", folder)),
	put: (to, { paths, hasFolder, policy }) => quiver("put", hasFolder ? "-r" : "", POLICY[policy], ...paths.map(path), ...option("--to", to)),
	makeFolder: (folder) => quiver("mkdir", path(folder)),
	rename: (from, to) => quiver("mv", path(from), path(to)),
	remove: (paths) => quiver("rm", ...paths.map(path)),
	say: (to, text) => (to === "server" ? quiver("message", quote(text)) : quiver("tell", quote(to), quote(text))),
	send: (name, paths) => quiver("send", quote(name), ...paths.map(path)),
	accept: (offer, folder) => quiver("accept", String(offer), quote(folder)),
	decline: (offer) => quiver("decline", String(offer)),
	withdraw: (offer) => quiver("send", "--cancel", String(offer)),
	alwaysAccept: (name, folder) => quiver("receive", "--yes", "--from", quote(name), "-o", quote(folder)),
	about: (command, name) => quiver(command, quote(name)),
};
