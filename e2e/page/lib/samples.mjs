// Sample objects of the messages: one maker for each kind, with defaults.

export const FINGERPRINT = "SHA256:9f2c41d07be83a5566cf01e29d84b7730c1fae52947d6b18";
export const OTHER = "SHA256:03ab77e15c9d2f648812ee40b9a1d357c6f0824e19bb5a7d";
const minutes = (n) => new Date(Date.now() - n * 60_000).toISOString();

export const settings = { folder: "/home/ron/Downloads", history: true, announce: true, wait_for_slot: false };

export const connection = (more = {}) => ({
    state: "connected", server: "files.example.org:4433", name: "Ron", number: 2, fingerprint: FINGERPRINT, upload: true, listening: true, not_listening_why: null, failure: null, message_limit: 4096, ...more,
});

export const snapshot = (more = {}) => ({
    version: "0.9.0", connection: connection(), recent: [], people: [person(2, "Ron", { is_self: true })], conversations: [], incoming: [], outgoing: [], transfers: [], questions: [], settings: { ...settings }, home: "/home/ron", ...more,
});

export const person = (number, name, more = {}) => ({
    number, name, here: true, is_self: false, since: minutes(number * 17), until: null, reachable: true, is_account: false, key: "known", blocked: false, path: "direct", path_why: null, always_accept: null, ...more,
});

export const entry = (path, more = {}) => {
    const name = path.split("/").at(-1);
    return { path, name, kind: name.includes(".") ? "file" : "folder", size: name.includes(".") ? 1000 + name.length * 37_911 : 0, modified: minutes(name.length * 301), ...more };
};

export const localEntry = (path, more = {}) => ({ ...entry(path), readable: true, ...more });

export const message = (number, text, more = {}) => ({ with: "Ben", number, mine: false, text, at: minutes(90 - number), state: null, answer: null, why: null, ...more });

export const transfer = (id, more = {}) => ({
    transfer: id, process: "page", own: true, direction: "download", with: "files.example.org:4433", names: ["recording-2026.mkv"], state: "running", files: 1, files_done: 0, files_failed: 0, bytes: 4_800_000_000,
    sent: 2_300_000_000, received: 2_200_000_000, verified: 1_900_000_000, rate: 86_400_000, seconds_left: 32, path: "server", limited_by: null, started: minutes(1), ended: null, error: null, can: ["pause", "cancel"], local: "/home/ron/Downloads/recording-2026.mkv",
    command: "quiver --server files.example.org get recording-2026.mkv -o /home/ron/Downloads", ...more,
});

export const incoming = (number, from, more = {}) => ({
    number, from, verified: false, names: [{ name: "holiday", kind: "folder" }, { name: "notes.pdf", kind: "file" }], more_names: 0, files: 214, folders: 3, bytes: 1_240_000_000, at: minutes(3), state: "open", why: null, folder: null, transfer: null, ...more,
});

export const outgoing = (number, to, more = {}) => ({
    number, to, names: [{ name: "slides.odp", kind: "file" }], more_names: 0, files: 1, folders: 0, bytes: 18_300_000, sent: 0, at: minutes(5), state: "open", why: null, ...more,
});
