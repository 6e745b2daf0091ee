// All texts of the page, by key. The number `{n}` chooses between `[one|other]`.

import { safe, strongName } from "./safe.js";

export const language = navigator.language || "en";

export const TEXTS = {
	app_name: "Quiver", loading: "Loading…", close: "Close", cancel: "Cancel", try_again: "Try again",
	try_now: "Try now", continue: "Continue", choose: "Choose", open: "Open", copy: "Copy", read: "Read", look: "Show",
	views: "Views", actions: "Actions", actions_of: "Actions for {name}", filter: "Filter",
	no_match: "Nothing matches the filter",
	and_more: "and {n} more",
	as_command: "Copy as command", copied: "Copied: {text}", copy_failed: "The browser did not copy: {text}",
	terminal: "The same in a terminal",
	name: "Name", size: "Size", modified: "Changed", n_files: "{n} file[|s]", n_folders: "{n} folder[|s]",

	// The page's own connection
	connected: "Connected", reconnecting: "Reconnecting", cut_off: "Cut off",
	link_trying: "Connecting to Quiver on this computer…",
	link_lost: "This page is cut off from Quiver and may be out of date. Next try in {time}.",
	
	link_none: "Quiver is not running on this computer",
	link_none_text: "Start it again. A new run may need its own page:",
	refused: "This page is no longer valid", refused_text: "Quiver was started again since. Open a new page with:",
	no_code: "Open this page from Quiver",
	no_code_text: "Its address works once, for a minute. Open a new page with:",
	stopping: "Quiver is stopping", stopping_text: "Unfinished transfers are kept and can be resumed.",

	// Sign-in
	server: "Server", your_name: "Your name", name_hint: "Letters, digits and . - _, up to 32. Others see it.",
	password: "Password", connect: "Connect", as_name: "as {name}", recent: "Recent servers",
	cert_has: "I have the server's certificate", cert: "Certificate file",
	cert_hint: "A PEM file. Without it, you compare a fingerprint once.", cert_choose: "Choose a certificate file",
	connecting: "Connecting to {server}…",
	slot_wait: "Waiting for a free slot",
	slot_text: "All slots of {server} are taken. You enter when one is free; this page can stay in the background.",
	key_now: "Shown now", key_known: "Known so far", key_file: "The known one is in {file}.",
	server_lost: "The connection to {server} is lost. Reconnecting; transfers resume.", disconnect: "Disconnect",
	leave_text: "{n} [transfer is|transfers are] interrupted and can be resumed later.",

	// Files
	files: "Files", all_files: "All files", folder_path: "Folder",
	read_only: "This server is read-only for you.",
	way_choose: "Upload: Quiver reads the files of this computer itself; you may close this tab.",
	way_drop: "Drop or paste: this tab hands over a copy first; keep it open until then.",
	upload_files: "Upload files", upload_folder: "Upload a folder", new_folder: "New folder", upload_n: "Upload {n} file[|s]",
	uploading: "The upload has started",
	folder_empty: "This folder is empty", empty_upload: "Upload something, or drop files here.",
	empty_read: "Files that the server gets appear here.", n_entries: "{n} [entry|entries]",
	select_all: "Select all", select_name: "Select {name}", n_selected: "{n} selected",
	filter_names: "Filter by name",
	get: "Get", get_to: "Get to a folder", get_name: "Get {name}", get_started: "Getting {n} item[|s]",
	preview: "Preview", content: "Content", file_empty: "(The file is empty.)", preview_cut: "The first {shown} of {size} are shown.",
	rename: "Rename", new_sample: "new-name",
	bad_name: "A name has no slash, backslash or control character, and is not . or ..",
	delete: "Delete", delete_one: "{name} is deleted on the server, for everybody. This cannot be undone.",
	delete_many: "{n} items are deleted on the server, for everybody. This cannot be undone.", delete_hint: "Only empty folders can be deleted.",
	deleted: "{n} item[|s] deleted", delete_failed: "{n} item[|s] could not be deleted: {why}",

	// Choosing on this computer
	in_folder: "Content of the folder",
	choose_hint: "Quiver reads these files of this computer itself, can resume, and needs no open tab.",
	folder_hint: "Open a folder, or choose one.", use_folder: "Use this folder", to_folder: "Change folder",
	not_readable: "not readable", no_folders: "No folders in here", folder_above: "To the folder above",

	// Drop and paste
	drops: "Dropped files", drop_reading: "Looking through {n} dropped file[|s]",
	drop_copying: "Handing {n} file[|s] to Quiver for {target}", drop_partly: "Handed over for {target}, but not everything",
	drop_numbers: "{done} of {n} files, {bytes} of {total}", drop_open: "Keep this tab open", drop_bar: "Handed over",
	drop_unread: "{n} file[|s] could not be read", drop_none: "There was no file in it", drop_failed: "Handing over failed",
	drop_uploads: "Quiver has {n} [file and uploads it;|files and uploads them;] the tab may close",
	drop_offers: "Quiver has {n} [file and offers it|files and offers them] to {name}",

	// Transfers
	transfers: "Transfers", transfer: "Transfer", transfers_no: "No transfers",
	transfers_none: "What you get, upload, send and receive appears here.",
	filter_all: "All", filter_active: "Active", filter_failed: "Failed", filter_unfinished: "Unfinished from before", filter_done: "Done",
	retry_failed: "Retry {n} failed transfer[|s]", clear_done: "Clear finished",
	process: "by another process ({process})",
	state_planning: "comparing", state_waiting: "waiting", state_running: "running", state_paused: "paused",
	state_reconnecting: "reconnecting", state_done: "done", state_failed: "failed", state_cancelled: "cancelled",
	state_unfinished: "unfinished from before",
	progress_of: "Progress of {name}", bytes_of: "{done} of {total}", files_of: "{done} of {n} file[|s]",
	files_failed: "{n} file[|s] failed", time_left: "{time} left", limited_by: "limited by {what}",
	sent: "Sent", received: "Received",
	path: "Path", path_server: "through the server", path_direct: "direct", path_relayed: "relayed",
	started: "Started", ended: "Ended", local: "On this computer",
	action_of: "{action} {name}", pause: "Pause", resume: "Resume", retry: "Retry", cancel_transfer: "Cancel the transfer",
	cancel_text: "What has arrived is kept, and the next transfer of the same goes on from there.", show: "Show in folder",
	remove: "Remove from the list", discard: "Discard", remove_text: "Its partial file is removed.",
	details: "Details",
	state_same: "same already", state_kept: "kept", files_after: "Later files",
	done: "{name} is transferred and verified", failed: "{name} failed",
	plot_label: "Rate over time: now {now}, at most {most}", plot_caption: "Rate over the last {time}", plot_top: "Top line: {rate}",

	// People and conversations
	people: "People", the_server: "The server", server_hint: "Answers your messages", filter_people: "Filter people",
	n_here: "{n} other [person is|people are] here", you_are: "you are #{number}",
	nobody_else: "Nobody else is here yet.", person_none: "Choose somebody",
	person_hint: "Write to them, or send them files.",
	here_since: "here since", left_at: "left", not_here: "not here", unreachable: "cannot be reached", verified: "Verified",
	blocked: "Blocked", key_changed: "Key changed", unread: "unread", joined: "{name} has joined", left: "{name} has left",
	back: "Back to people", unheard: "Other people cannot reach you now.",
	send_files: "Send files", send_to: "Send files to {name}", offer_n: "Offer {n} item[|s]",
	offer_made: "Offered to {name}", write_to: "Write to {name}",
	write: "Write a message", sample_text: "Hello", sample_file: "file.txt",
	verify: "Compare keys", verify_asks: "Asking {name} to compare keys.",
	verify_yes: "The key of {name} is verified", verify_no: "The key of {name} is not verified",
	block: "Block", unblock: "Unblock",
	block_text: "Messages, offers and connections of {name} are refused.", forget: "Forget the key",
	forget_text: "Only if you expect another key of {name}: its next one counts as the first.",
	always_on: "Always accept files", always_off: "Stop accepting files",
	always_text: "Files of this person, whose key is verified, are stored here without a question.",
	messages: "Messages", message_to: "Message to {name}", say: "Send", write_hint: "Enter sends, Shift and Enter begins a line.",
	write_files: "Drop files here to offer them.", too_long: "{n} byte[|s] too long",
	older: "Earlier messages", no_messages: "No messages yet", messages_hint: "Conversations are kept on this computer only.",
	history_off: "Conversations are not kept.",
	you_wrote: "You:", they_wrote: "{name}:", state_sending: "sending", state_acknowledged: "acknowledged", state_delivered: "delivered",
	state_not_delivered: "not delivered", state_unknown: "unknown whether delivered", write_again: "Write again",
	message_from: "Message from {name}",
	changed_text: "This name shows another key than the known one. If you expect that, forget the old key.",
	blocked_text: "You have blocked this name.", away_text: "Not here now, so nothing can be sent.",
	unheard_text: "This person cannot be reached: no prompt, page or `quiver receive` is open there.", clear_history: "Clear the conversation",
	clear_text: "The messages are removed from this computer.",

	// Offers
	offers: "Offers", offers_in: "Offers to you", my_offers: "Offers from you", offers_past: "Earlier offers", no_offers: "No offers",
	offers_hint: "Files that others offer you appear here.",
	offer_from: "{name} offers you files", offer_to: "You offer files to {name}", from_name: "from {name}", to_name: "to {name}",
	unverified: "The key of {name} is not verified.", stored_in: "Stored in {folder}",
	accept: "Accept", decline: "Decline", always_accept: "Always accept",
	withdraw: "Withdraw", withdraw_text: "{name} can no longer accept this offer.",
	state_stored: "stored", state_declined: "declined", state_withdrawn: "withdrawn", state_expired: "expired",
	state_open: "Waiting for an answer", waits_here: "Waiting until the person is here", state_accepted: "Accepted, on its way",
	notify_ask: "Be told about offers and messages in the background?", notify_on: "Turn on notifications",

	// Questions
	q_wait: "{n} [question waits|questions wait] for your answer", answer_now: "Answer", decide_later: "Later", skip: "Keep the old one",
	replace: "Replace", keep_both: "Keep both",
	q_name: "Your name on this server", q_pass_text: "For {name} on {server}.", q_trust: "Is this the right server?",
	q_trust_text: "Compare the fingerprint of {server} with the one its operator gave you:",
	q_trust_kept: "It is remembered; a changed one is refused.", q_trust_lost: "It cannot be remembered: {why}",
	q_trust_no: "Do not connect", q_trust_yes: "It is the same: connect",
	q_replace: "Replace the file?",
	q_conflict: "This file exists and differs", q_conflict_text: "{path} exists already.",
	q_conflict_all: "The same for all that follow",
	q_machine: "Another machine of this person?",
	q_machine_text: "{name} shows a key that is not known yet. An account may have several machines.", q_machine_no: "No, refuse it",
	q_machine_yes: "Yes, it is theirs", q_digits: "Compare digits with {name}",
	q_digits_text: "{name} sees digits too. Compare them by telephone or in person:",
	q_digits_why: "If they are equal, nobody is between you.", q_digits_no: "They differ", q_digits_yes: "They are equal",
	q_more: "More than was offered", q_more_text: "{name} offered {offered}, but sends {found}.", q_more_no: "Stop",
	q_more_yes: "Receive it all", q_direct: "Connect with {name}?", q_direct_text: "{name} wants to connect directly, with this key:",
	q_direct_no: "Refuse", q_direct_yes: "Connect",

	// Settings
	settings: "Settings", settings_folder: "Folder for received files", settings_history: "Keep conversations",
	settings_announce: "Say who joins and leaves",
	settings_wait_for_slot: "Enter when a slot is free",
	wait_text: "If the server is full, wait.",
	clear_all: "Clear all conversations", connection: "Connection",
	key_server: "Server's fingerprint",
	keyboard: "Keys in a list: arrows, Space selects, Enter opens, F2 renames, Delete deletes, Backspace goes up.",
	about: "Quiver {version}",
};

/** Title and advice by the code of a failure. @type {Record<string, [string, string?]>} */
const FAILURES = {
	invalid_request: ["This is not possible"],
	connection: ["The server cannot be reached", "Check the address and your network."],
	untrusted: ["The server shows another key than before",
	"Ask its operator whether the key was changed. Only then remove the remembered line, and connect again."],
	sign_in: ["The name or the password is not accepted", "Check both. If the name is taken, choose another one."],
	busy: ["The server is full", "All its slots are taken."], not_found: ["It is not there any more"],
	local_disk: ["This computer cannot store it", "Check free space and permissions of the folder."],
	verification: ["The content did not arrive as it was sent", "Retry the transfer."],
	partial: ["Some files failed", "Retry sends only those."], declined: ["It was declined"],
	interrupted: ["It was interrupted", "It can be tried again."], exists: ["The name exists already", "Choose another name."],
	read_only: ["The server does not allow changes"], expired: ["The sign-in has expired", "Connect again."],
	quota: ["There is not enough space for it", "Choose the files on this computer instead: that needs no copy."],
	no_history: ["Conversations are not kept"],
};
const plurals = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(language);
/** @type {F.template} */
const template = (key, { n }) => TEXTS[key].replace(/\[(.*?)\|(.*?)\]/g,
	(_, one, other) => (plurals.select(Number(n)) === "one" ? one : other));
/** @type {F.shown} */
const shown = (value) => (typeof value === "number" ? numbers.format(value) : value);

/** @type {F.shown} */
const named = (value) => (typeof value === "string" ? strongName(value) : shown(value));

/** @type {F.t} */
export const t = (key, values = {}) => template(key, values).replace(/\{(\w+)\}/g,
	(_, part) => (part === "name" ? safe(String(values.name)) : String(shown(values[part]))));
/** @type {F.r} */
export const r = (key, values) => template(key, values).split(/\{(\w+)\}/).map((part, at) => (at % 2 ? named(values[part]) : part));

/** @type {F.failureTitle} */
export const failureTitle = ({ code, text }) => FAILURES[code]?.[0] ?? (text || "It failed");
/** @type {F.failureAdvice} */
export const failureAdvice = ({ code }) => FAILURES[code]?.[1] ?? "";
