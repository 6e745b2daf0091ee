// The messages between the page and its process, over one WebSocket (`/socket`), each a JSON text of one object.
// The Unix sockets of other processes carry some of the same requests, replies and events, one JSON object a line: transfers, watch,
// pause, resume, cancel and transfer_files, and the event "transfers", whose numbers are those of the connection.
// Numbers of bytes and milliseconds are integers below 2^53. Times are RFC 3339 in UTC. Texts of other machines are
// raw: whoever shows them escapes them (the page by textContent and <bdi>).

/** The first message of a page. Nothing else is read before it. */
export interface Hello {
    /** The tab's secret, from POST /session. */
    secret: string;
    /** Number of the last event that this tab has applied, 0 for none. The process answers with a snapshot anyway. */
    after: number;
}

/** A request. `id` is chosen by the page, unique in its connection, and repeated in the reply. */
export type Request = { id: number } & (
    // Sign-in. The process has one client at most; a second page shares it.
    | { do: "connect"; server: string; name: string; certificate?: string }     // reply: {} once signed in
    | { do: "disconnect" }                                                       // leave; running transfers are asked about by the page
    | { do: "answer"; question: number; answer: Answer }
    // People
    | { do: "say"; to: Peer; text: string }                                      // reply: {message: Message} in its final state
    | { do: "messages"; with: Peer; before?: number; limit: number }             // reply: {messages: Message[], more: boolean}, oldest first
    | { do: "mark_read"; with: Peer }
    | { do: "clear_history"; with?: Peer }
    | { do: "verify"; name: string }                                             // reply: {verified: boolean}; digits come as a question
    | { do: "block"; name: string; blocked: boolean }
    | { do: "forget"; name: string }
    | { do: "path"; name: string }                                               // reply: {path: PathDetail}
    // The server's files
    | { do: "list"; folder: string; after?: string; limit: number }              // "" is the top folder, `after` a name; reply: {entries: Entry[], more: boolean, partial_note?: string}
    | { do: "make_folder"; path: string }
    | { do: "rename"; from: string; to: string }
    | { do: "remove"; paths: string[] }                                          // files and empty folders; reply: {removed: number, failed: Failure[]}
    // Files of this computer, below the home folder
    | { do: "list_local"; folder: string; after?: string; limit: number }        // "" is the home folder, `after` a name; reply: {folder: string, parent: string | null, entries: LocalEntry[], more: boolean, partial_note?: string}
    | { do: "show_in_folder"; path: string }
    // Transfers
    | { do: "get"; paths: string[]; folder?: string; on_conflict: OnConflict }   // reply: {transfer: string}
    | { do: "put"; paths: string[]; to: string; on_conflict: OnConflict }
    | { do: "send"; name: string; paths: string[] }                              // reply: {offer: number}
    | { do: "accept"; offer: number; folder?: string }
    | { do: "decline"; offer: number }
    | { do: "withdraw"; offer: number }
    | { do: "always_accept"; name: string; folder: string | null }               // only a verified person; null ends it
    | { do: "transfers" }                                                        // reply: {transfers: Transfer[]}: all of them; on a socket those of that process, with {journal: string[]}: the entries it runs
    | { do: "watch" }                                                            // only on a socket: {transfers: Transfer[]}, and events from then on
    | { do: "pause" | "resume" | "cancel" | "retry" | "remove_transfer"; transfer: string } // `resume` of an unfinished one too
    | { do: "transfer_files"; transfer: string; after: number; limit: number }   // reply: {files: TransferFile[], more: boolean}
    // Content that a browser hands over: spooled with POST /spool first
    | { do: "put_spooled"; drop: string; to: string; on_conflict: OnConflict }   // reply: {transfer: string}
    | { do: "send_spooled"; drop: string; name: string }                         // reply: {offer: number}
    | { do: "discard_spooled"; drop: string }
    // Settings of this process
    | { do: "settings"; change: Partial<Settings> }
);

export type Reply = { id: number; ok: object } | { id: number; error: Failure };

export interface Failure {
    /** Stable code, by which the page chooses its text (client/core ErrorCode, plus those of the page). */
    code:
        | "invalid_request" | "connection" | "untrusted" | "sign_in" | "busy" | "not_found" | "local_disk"
        | "verification" | "partial" | "declined" | "interrupted" | "other"
        | "exists" | "read_only" | "expired" | "quota" | "no_history";
    /** The message in plain English, for codes without a text, and as detail. */
    text: string;
    /** What fingerprints an `untrusted` failure is about. */
    presented?: string;
    known?: string[];
    /** Where the known key is written down, and the line to remove. */
    remembered_in?: string;
}

/** "server", or the name of a client after "@". */
export type Peer = string;

export type OnConflict = "ask" | "replace" | "keep_both" | "skip";

export type Answer =
    | { trust: boolean } | { name: string } | { password: string } | { replace: boolean } | { confirm: boolean }
    | { decision: "replace" | "keep_both" | "skip"; for_all: boolean };

/** An event, or the snapshot. Events have consecutive numbers from 1 in one run of the process; a snapshot has the number of the last event it includes.
 *  Changed parts come as whole objects with a key; the page replaces the object of that key. At most 4 messages a second carry `transfers`. */
export type Event = { event: number } & (
    | { kind: "snapshot"; run: string; snapshot: Snapshot }
    | { kind: "connection"; connection: Connection }
    | { kind: "people"; people: Person[] }                       // the whole list; at most 4 a second
    | { kind: "message"; message: Message }                      // new, or its state changed (same `with` and `number`)
    | { kind: "conversation"; conversation: Conversation }
    | { kind: "history_cleared"; with: Peer | null }
    | { kind: "incoming_offer"; offer: IncomingOffer }           // new or changed
    | { kind: "outgoing_offer"; offer: OutgoingOffer }
    | { kind: "transfers"; transfers: Transfer[]; gone: string[] } // new or changed ones, and those that are gone
    | { kind: "question"; question: Question }
    | { kind: "question_settled"; question: number }
    | { kind: "notice"; code: string; text: string }             // shown once
    | { kind: "folder_changed"; folder: string }                 // this client changed something in that folder of the server
    | { kind: "settings"; settings: Settings }
);

export interface Snapshot {
    version: string;
    connection: Connection;
    /** Servers of earlier runs, the latest first, at most 10. */
    recent: RecentServer[];
    people: Person[];
    conversations: Conversation[];
    incoming: IncomingOffer[];
    outgoing: OutgoingOffer[];
    transfers: Transfer[];
    questions: Question[];
    settings: Settings;
    /** The home folder and where received files go, for display. */
    home: string;
}

export interface RecentServer { server: string; name: string | null; certificate: string | null; used: string }

export interface Connection {
    state: "signed_out" | "connecting" | "signing_in" | "connected" | "reconnecting" | "stopping";
    server: string | null;
    name: string | null;
    /** This client's number. */
    number: number | null;
    fingerprint: string | null;
    /** Whether files may be stored, removed and renamed on the server. */
    upload: boolean;
    /** Whether other clients can reach this one, else why not. */
    listening: boolean;
    not_listening_why: string | null;
    /** Why the last attempt failed, or why the connection was lost. */
    failure: Failure | null;
    /** Limit of a message's text in bytes. */
    message_limit: number;
}

export interface Person {
    /** One row for each name that is here. A person who left stays as `here: false` until the next sign-in. */
    number: number;
    name: string;
    here: boolean;
    is_self: boolean;
    since: string;
    until: string | null;
    reachable: boolean;
    is_account: boolean;
    /** Keys of this name are compared (verified), known, not known yet, or other than known. */
    key: "verified" | "known" | "new" | "changed" | null;
    blocked: boolean;
    path: "direct" | "relayed" | null;
    path_why: string | null;
    always_accept: string | null;
}

export interface PathDetail {
    path: "direct" | "relayed" | "closed"; why: string | null; before: string | null; address: string | null;
    round_trip_ms: number | null; relayed_bytes: number; direct_bytes: number;
}

export interface Conversation { with: Peer; unread: number; last: Message | null }

export interface Message {
    with: Peer;
    /** From 1 in the history of this conversation. */
    number: number;
    mine: boolean;
    text: string;
    at: string;
    /** Of my messages. "acknowledged": the server's answer, in `answer`. */
    state: "sending" | "acknowledged" | "delivered" | "not_delivered" | "unknown" | null;
    answer: string | null;
    why: string | null;
}

export interface Entry { path: string; name: string; kind: "file" | "folder"; size: number; modified: string }
export interface LocalEntry { path: string; name: string; kind: "file" | "folder"; size: number; modified: string | null; readable: boolean }

export interface OfferedName { name: string; kind: "file" | "folder" }
export interface IncomingOffer {
    number: number; from: string; verified: boolean; names: OfferedName[]; more_names: number;
    files: number | null; folders: number | null; bytes: number | null; at: string;
    state: "open" | "accepted" | "stored" | "declined" | "withdrawn" | "failed" | "expired";
    why: string | null; folder: string | null; transfer: string | null;
}
export interface OutgoingOffer {
    number: number; to: string; names: OfferedName[]; more_names: number; files: number | null; folders: number | null;
    bytes: number | null; sent: number; at: string;
    state: "open" | "waiting" | "accepted" | "delivered" | "declined" | "withdrawn" | "failed" | "expired";
    why: string | null;
}

export interface Transfer {
    /** "PID:NUMBER" of a running process, "PID:offer-NUMBER" of an offer that it sends, or "journal:NAME" of what is unfinished from before. */
    transfer: string;
    /** The number by which a person names it on the command line; null if no other process has looked at it. */
    number?: number | null;
    /** What runs it: this page's process ("page"), or another one ("prompt", "get", ...); "" for what is unfinished. */
    process: string;
    /** False for a transfer of another process. */
    own: boolean;
    direction: "download" | "upload" | "send" | "receive";
    /** The server, or the other client after "@". */
    with: string;
    names: string[];
    state: "planning" | "waiting" | "running" | "paused" | "reconnecting" | "done" | "failed" | "cancelled" | "unfinished";
    files: number | null; files_done: number; files_failed: number; bytes: number | null;
    sent: number; received: number; verified: number;
    /** Bytes a second over the last seconds. */
    rate: number | null; seconds_left: number | null;
    path: "server" | "direct" | "relayed" | null;
    limited_by: string | null;
    started: string; ended: string | null;
    error: Failure | null;
    /** Which actions are possible now. */
    can: ("pause" | "resume" | "cancel" | "retry" | "remove" | "show")[];
    /** The local folder or file of "show in folder". */
    local: string | null;
    /** The command that does the same, for "copy as command". */
    command: string;
}
export interface TransferFile { number: number; source: string; target: string; size: number | null; state: "waiting" | "done" | "same" | "kept" | "failed"; error: string | null }

export type Question = { question: number } & (
    | { kind: "trust"; server: string; fingerprint: string; not_remembered: string | null }
    | { kind: "name" } | { kind: "password" }
    | { kind: "replace"; path: string; on_server: boolean }
    | { kind: "conflict"; path: string }
    | { kind: "other_machine"; name: string; presented: string; known: string[] }
    | { kind: "compare_digits"; name: string; digits: string }
    | { kind: "more_than_offered"; from: string; offered: number; found: number }
    | { kind: "connect_directly"; name: string; key: string }
);

export interface Settings {
    /** Where received and fetched files go. */
    folder: string;
    /** Whether conversations are kept on this computer. */
    history: boolean;
    /** Announce joining and leaving. */
    announce: boolean;
    /** Enter by itself when a slot is free. */
    wait_for_slot: boolean;
}

// HTTP, besides the page's files (which need no secret, but the exact Host):
//   POST /session          body {"code": "..."}: exchanges the one-time code of the fragment; answers {"secret": "..."}. Once, within 60 s. Else 401.
//   GET  /socket           WebSocket, subprotocol "quiver-page-1". Exact Host, exact Origin; first message is Hello within 5 s, at most 1 KiB; later ones at most 64 KiB.
//                          Closed with code 4401 if the secret is not valid: the page then does not come back. After any other code it does.
//   POST /spool            header X-Quiver-Secret; header X-Quiver-Drop: id of the drop, 16 hex digits, chosen by the page; X-Quiver-Path: relative path, percent-encoded UTF-8;
//                          X-Quiver-Size, X-Quiver-Modified (ms); body: the content. Answers 200 {"spooled": bytes}; 507 {"code":"quota"} when it does not fit.
//   GET  /preview?path=..  header X-Quiver-Secret: text/plain (at most 256 KiB, charset utf-8) or image/png|jpeg|gif|webp by content (at most 16 MiB), nosniff; else 415. The page
//                          makes a blob: URL of it.
// Refused HTTP requests have a body {"code", "text"} as in Failure, with 400 (headers, path or length), 401 (secret), 404, 408 (too slow), 409 (the path exists, or the drop is in
// use), 415 (no preview), 500 (disk), 502 or 503 (no server) or 507 (quota).
