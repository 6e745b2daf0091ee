// Every state of the page that is designed: what the process says, where the page is, and what is pressed to get there.

import { failure, Mock } from "./lib/mock.mjs";
import { connection, entry, FINGERPRINT, incoming, localEntry, message, OTHER, outgoing, person, settings, snapshot, transfer } from "./lib/samples.mjs";

const HOSTILE = "<img src=x onerror=alert(1)>.txt";
const RTL = "تقرير نهائي \u202egpj.exe";
const ENTRIES = [entry("archive"), entry("photos 2026"), entry("a2.txt"), entry("a10.txt"), entry("meow.txt", { size: 12 }), entry("report.pdf"), entry("sunset.png"), entry("recording-2026.mkv", { size: 4_800_000_000 }), entry("dataset.tar.zst", { size: 93_200_000_000 }), entry(HOSTILE), entry(RTL, { kind: "file", size: 1 }), entry("a-name-that-is-much-longer-than-any-reasonable-column-so-that-it-has-to-be-cut-somewhere-in-the-middle.tar.gz")];
const LOCAL = { "": ["Documents", "Downloads", "Pictures", "secret", "notes.txt", "thesis.pdf", "letter.odt"], "/home/ron/Documents": ["letters", "tax.ods"] };
const PEOPLE = [
    person(1, "Ben", { key: "verified" }), person(2, "Ron", { is_self: true }), person(3, "Pete", { path: "relayed", path_why: "the network of Pete blocks direct connections" }), person(4, "أحمد", { key: "new", path: null }),
    person(5, "Mia", { reachable: false, path: null }), person(6, "Tom", { key: "changed" }), person(7, "Zoe", { blocked: true }), person(8, "Ann", { here: false, until: new Date(Date.now() - 600_000).toISOString(), path: null }),
];
const TALK = [message(1, "Hi Ron!"), message(2, "hello, did you get the slides?", { mine: true, state: "delivered" }), message(3, "Yes.\nTwo lines, and <b>markup</b> that stays text."), message(4, "the next version comes tonight", { mine: true, state: "delivered" }), message(5, "are you there?", { mine: true, state: "not_delivered", why: "the connection was lost" }), message(6, "once more", { mine: true, state: "unknown" }), message(7, "sending now", { mine: true, state: "sending" }), message(8, "مرحبا، كيف حالك؟")];
const SERVER_TALK = [message(1, "Hello", { with: "server", mine: true, state: "acknowledged", answer: "Hello ACK" })];
const TRANSFERS = [
    transfer("1:1", { limited_by: "the network" }),
    transfer("1:2", { direction: "upload", names: ["photos 2026", "index.html", "notes"], files: 1204, files_done: 388, bytes: 9_100_000_000, sent: 3_000_000_000, received: 2_900_000_000, verified: 2_880_000_000, rate: 11_800_000, seconds_left: 530, local: "/home/ron/Pictures" }),
    transfer("1:3", { direction: "receive", with: "@Ben", names: ["holiday"], state: "paused", path: "direct", rate: null, seconds_left: null, can: ["resume", "cancel"] }),
    transfer("77:1", { direction: "send", with: "@Pete", own: false, process: "prompt", names: ["slides.odp"], state: "running", path: "relayed", bytes: 18_300_000, sent: 9_000_000, received: 9_000_000, verified: 8_000_000, rate: 940_000, seconds_left: 11, can: ["cancel"] }),
    transfer("1:4", { names: ["dataset"], state: "failed", files: 307, files_done: 300, files_failed: 7, rate: null, seconds_left: null, ended: new Date().toISOString(), error: { code: "partial", text: "7 of 307 files failed" }, can: ["retry", "remove", "show"] }),
    transfer("1:5", { names: [RTL], state: "reconnecting", rate: null, seconds_left: null }),
    transfer("journal:a", { names: ["backup.tar"], state: "unfinished", rate: null, seconds_left: null, can: ["resume", "remove"] }),
    transfer("1:6", { names: ["meow.txt"], state: "done", bytes: 12, sent: 12, received: 12, verified: 12, rate: null, seconds_left: null, ended: new Date().toISOString(), can: ["remove", "show"] }),
    transfer("1:7", { direction: "upload", names: ["old.iso"], state: "cancelled", rate: null, seconds_left: null, ended: new Date().toISOString(), can: ["remove"] }),
];
const FILES = Array.from({ length: 100 }, (_, at) => ({ number: at + 1, source: `dataset/part-${at + 1}.csv`, target: `part-${at + 1}.csv`, size: 40_000 * (at + 1), state: at % 14 === 3 ? "failed" : at < 60 ? "done" : "waiting", error: at % 14 === 3 ? "permission denied" : null }));
const signedOut = (more = {}) => ({ connection: connection({ state: "signed_out", number: null, fingerprint: null, upload: false, listening: false, ...more }), people: [], recent: [{ server: "files.example.org:4433", name: "Ron", certificate: null, used: new Date(Date.now() - 3_600_000).toISOString() }, { server: "lab.internal", name: "ron.w", certificate: "/home/ron/lab.pem", used: new Date(Date.now() - 9 * 86_400_000).toISOString() }] });
const question = (fields) => ({ questions: [{ question: 1, ...fields }] });
const click = (role, name, options = {}) => (page) => page.getByRole(role, { name, ...options }).first().click();
const steps = (...all) => async (page, mock) => { for (const step of all) await step(page, mock); };
const seen = (text) => (page) => page.getByText(text).first().waitFor();

/** Answers that most states use. */
export const answers = {
    list: ({ folder }) => ({ entries: folder === "" ? ENTRIES : folder === "many" ? Array.from({ length: 5000 }, (_, at) => entry(`many/file-${at}.txt`)) : [], more: false }),
    list_local: ({ folder }) => {
        const path = folder || "/home/ron";
        return { folder: path, parent: path === "/home/ron" ? null : "/home/ron", entries: (LOCAL[folder] ?? []).map((name) => localEntry(`${path}/${name}`, { readable: name !== "secret" })), more: false };
    },
    messages: (request) => ({ messages: request.with === "server" ? SERVER_TALK : request.with === "Ben" ? TALK : [], more: request.with === "Ben" && !request.before }),
    transfer_files: () => ({ files: FILES, more: true }),
    get: () => ({ transfer: "1:9" }), put: () => ({ transfer: "1:9" }), put_spooled: () => ({ transfer: "1:9" }), send: () => ({ offer: 9 }), send_spooled: () => ({ offer: 9 }), remove: ({ paths }) => ({ removed: paths.length, failed: [] }), verify: () => ({ verified: true }),
};

/** @type {{name: string, at?: string, has?: object, answers?: object, prepare?: (mock: Mock) => void, act?: (page: any, mock: Mock) => Promise<void>, url?: string}[]} */
export const STATES = [
    { name: "signin", has: signedOut(), act: seen("Recent servers") },
    { name: "signin-first", has: { ...signedOut({ server: null, name: null }), recent: [] }, act: seen("Your name") },
    { name: "signin-connecting", has: signedOut({ state: "connecting" }), act: seen("Connecting to") },
    { name: "signin-unreachable", has: signedOut({ failure: { code: "connection", text: "cannot reach files.example.org:4433: timed out" } }), act: seen("timed out") },
    { name: "signin-wrong", has: signedOut({ failure: { code: "sign_in", text: "unknown name or wrong password" } }), act: seen("not accepted") },
    { name: "signin-busy", has: signedOut({ failure: { code: "busy", text: "3 of 3 clients are connected" } }), act: seen("Enter when a slot is free") },
    { name: "signin-waiting", has: signedOut({ state: "connecting", failure: { code: "busy", text: "3 of 3 clients are connected" } }), act: seen("Waiting for a free slot") },
    { name: "signin-expired", has: signedOut({ failure: { code: "expired", text: "the sign-in has expired" } }), act: seen("has expired") },
    { name: "signin-changed-key", has: signedOut({ failure: { code: "untrusted", text: "the server's certificate is not the known one", presented: OTHER, known: [FINGERPRINT], remembered_in: "/home/ron/.local/state/quiver/known_servers, line 3" } }), act: seen("Shown now") },
    { name: "q-trust", has: { ...signedOut({ state: "connecting" }), ...question({ kind: "trust", server: "files.example.org:4433", fingerprint: FINGERPRINT, not_remembered: null }) }, act: seen("Is this the right server?") },
    { name: "q-password", has: { ...signedOut({ state: "signing_in" }), ...question({ kind: "password" }) }, act: seen("Continue") },
    { name: "no-code", url: "/", act: seen("Open this page from Quiver") },
    { name: "refused", prepare: (mock) => { mock.acceptsSecret = false; }, act: seen("no longer valid") },
    { name: "stopping", has: { connection: connection({ state: "stopping" }) }, act: seen("is stopping") },
    { name: "files", act: seen("meow.txt") },
    { name: "files-selected", act: steps(click("checkbox", "Select a2.txt"), click("checkbox", "Select archive"), seen("2 selected")) },
    { name: "files-menu", act: steps(click("button", "Actions for a2.txt"), seen("Delete")) },
    { name: "files-commands", act: steps(click("button", "Actions for a2.txt"), click("menuitem", "Copy as command"), seen("The same in a terminal")) },
    { name: "files-read-only", has: { connection: connection({ upload: false }) }, act: seen("read-only for you") },
    { name: "files-empty", at: "files/archive", act: seen("This folder is empty") },
    { name: "files-loading", answers: { list: () => new Promise(() => {}) }, act: seen("Loading") },
    { name: "files-error", answers: { list: () => { throw failure("not_found", "no such folder"); } }, act: seen("not there any more") },
    { name: "files-many", at: "files/many", act: seen("5,000 entries") },
    { name: "files-delete", act: steps(click("button", "Actions for a2.txt"), click("menuitem", "Delete"), seen("This cannot be undone")) },
    { name: "files-new-folder", act: steps(click("button", "New folder"), seen("Cancel")) },
    { name: "files-preview", prepare: (mock) => { mock.previews["a2.txt"] = { type: "text/plain", body: "Line one\n<script>alert(1)</script>\nLine three\n".repeat(12) }; }, act: steps(click("button", "a2.txt", { exact: true }), seen("Line one")) },
    { name: "files-no-preview", act: steps(click("button", "a2.txt", { exact: true }), seen("not possible")) },
    { name: "files-reconnecting", act: async (page, mock) => { await seen("meow.txt")(page); mock.send("connection", { connection: connection({ state: "reconnecting" }) }); await seen("Reconnecting; transfers")(page); } },
    { name: "files-cut-off", act: async (page, mock) => { await seen("meow.txt")(page); await mock.stop(); await seen("This page is cut off")(page); } },
    { name: "upload-chooser", act: steps(click("button", "Upload files"), seen("thesis.pdf"), click("checkbox", "Select thesis.pdf")) },
    { name: "upload-folder", act: steps(click("button", "Upload a folder"), seen("Documents")) },
    { name: "transfers", at: "transfers", has: { transfers: TRANSFERS }, act: seen("backup.tar") },
    { name: "transfers-failed", at: "transfers", has: { transfers: TRANSFERS }, act: steps(click("button", "Failed"), click("button", "Details"), seen("part-4.csv")) },
    { name: "transfers-plot", at: "transfers", has: { transfers: TRANSFERS.slice(0, 2) }, act: async (page, mock) => {
        // Two minutes pass in a moment, so that the plot has a shape.
        await page.evaluate(() => { let at = Date.now() - 110_000; Date.now = () => (at += 1000); });
        for (let at = 0; at < 90; at += 1) mock.send("transfers", { transfers: [transfer("1:1", { rate: 5e7 + 4e7 * Math.sin(at / 4), verified: 2e9 + at * 2e7 })], gone: [] });
        await click("button", "Details recording")(page);
        await seen("Rate over the last")(page);
    } },
    { name: "transfers-empty", at: "transfers", act: seen("No transfers") },
    { name: "people", at: "people", has: { people: PEOPLE, conversations: [{ with: "Pete", unread: 3, last: message(1, "x", { with: "Pete" }) }] }, act: seen("Choose somebody") },
    { name: "people-alone", at: "people", act: seen("Nobody else") },
    { name: "conversation", at: "people/Ben", has: { people: PEOPLE }, act: seen("كيف") },
    { name: "conversation-server", at: "people/server", has: { people: PEOPLE }, act: seen("Hello ACK") },
    { name: "conversation-empty", at: "people/Pete", has: { people: PEOPLE }, act: seen("No messages yet") },
    { name: "conversation-changed-key", at: "people/Tom", has: { people: PEOPLE }, act: seen("another key than the known one") },
    { name: "conversation-menu", at: "people/Ben", has: { people: PEOPLE }, act: steps(click("button", "Actions for Ben"), seen("Forget the key")) },
    { name: "offers", at: "offers", has: { incoming: [incoming(1, "Ben", { verified: true }), incoming(2, "Pete", { names: [{ name: RTL, kind: "file" }, { name: HOSTILE, kind: "file" }], more_names: 12 }), incoming(3, "Mia", { state: "stored" }), incoming(4, "Ann", { state: "failed", why: "the disk is full" })], outgoing: [outgoing(1, "Ben"), outgoing(2, "Pete", { state: "accepted", sent: 9_000_000 }), outgoing(3, "Mia", { state: "delivered" })] }, act: seen("Earlier offers") },
    { name: "offers-empty", at: "offers", act: seen("No offers") },
    { name: "q-conflict", has: question({ kind: "conflict", path: "notes/a.txt" }), act: seen("exists and differs") },
    { name: "q-digits", has: question({ kind: "compare_digits", name: "Ben", digits: "4821 0937 5516" }), act: seen("4821") },
    { name: "q-machine", has: question({ kind: "other_machine", name: "Ben", presented: OTHER, known: [FINGERPRINT] }), act: seen("Another machine") },
    { name: "q-replace", has: question({ kind: "replace", path: "a.txt", on_server: true }), act: seen("Replace the file?") },
    { name: "q-more", has: question({ kind: "more_than_offered", from: "Ben", offered: 1e9, found: 3e9 }), act: seen("More than was offered") },
    { name: "q-direct", has: question({ kind: "connect_directly", name: "Ben", key: OTHER }), act: seen("Connect with Ben?") },
    { name: "q-later", has: question({ kind: "conflict", path: "notes/a.txt" }), act: steps(click("button", "Later"), seen("1 question waits")) },
    { name: "settings", at: "settings", has: { incoming: [incoming(1, "Ben", { state: "stored" })], settings: { ...settings, announce: false } }, act: seen("Keep conversations") },
    { name: "notes", act: async (page, mock) => { await seen("meow.txt")(page); mock.send("incoming_offer", { offer: incoming(9, "Ben") }); mock.send("notice", { code: "x", text: "A note of the client" }); await seen("A note of the client")(page); } },
];

/** A started mock in this state; `show(page)` brings the page there. */
export async function prepare(state) {
    const mock = new Mock(snapshot(state.has));
    mock.answers = { ...answers, ...state.answers };
    state.prepare?.(mock);
    await mock.start();
    return { mock, url: state.url ? mock.origin + state.url : mock.url, show: async (page) => {
        if (state.at) await page.evaluate((at) => { location.hash = at; }, state.at);
        await state.act(page, mock);
    } };
}
