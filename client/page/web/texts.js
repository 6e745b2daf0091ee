// All texts of the page, by key. To translate it, translate the values. The number `{n}` chooses between `[one|other]`.

import { safe, strongName } from "./safe.js";

export const language = navigator.language || "en";

export const TEXTS = {
	app_name: "Quiver", loading: "Loading…", close: "Close", cancel: "Cancel", dismiss: "Dismiss", try_again: "Try again",
	try_now: "Try now", continue: "Continue", choose: "Choose", open: "Open", copy: "Copy", read: "Read",
	skip_link: "Skip to the content", views: "Views", actions: "Actions", actions_of: "Actions for {name}", filter: "Filter", today: "Today",
	yesterday: "Yesterday", just_now: "just now", why: "Reason",
	final: "This cannot be undone.", no_match: "Nothing matches the filter", clear_filter: "Clear the filter", show_more: "Show more",
	and_more: "and {n} more",
	as_command: "Copy as command", copied: "Copied: {text}", copy_failed: "The browser did not allow copying. The command is: {text}",
	terminal: "The same in a terminal", terminal_hint: "Each line does what the page does.",
	name: "Name", size: "Size", modified: "Changed", n_files: "{n} file[|s]", n_folders: "{n} folder[|s]", milliseconds: "{n} ms",

	// The page's own connection
	connected: "Connected", reconnecting: "Reconnecting", cut_off: "Cut off",
	link_trying: "Connecting to Quiver on this computer…",
	link_lost: "This page is cut off from Quiver on this computer and may be out of date. Next try in {time}.",
	link_behind: "This page missed something and is loading the current state…",
	link_none: "Quiver is not running on this computer",
	link_none_text: "If it has ended, start it again. This page comes back by itself; a new run may need its own page:",
	refused: "This page is no longer valid", refused_text: "Quiver was started again since. Open a new page with:",
	no_code: "Open this page from Quiver",
	no_code_text: "Its address works once, for a minute, so that nobody else can use it. Open a new page with:",
	stopping: "Quiver is stopping", stopping_text: "Unfinished transfers are kept and can be resumed.",

	// Sign-in
	server: "Server", your_name: "Your name", name_hint: "Letters, digits, dot, dash and underscore, up to 32. Others see it.",
	password: "Password", connect: "Connect", as_name: "as {name}", recent: "Recent servers",
	cert_has: "I have the server's certificate", cert: "Certificate file",
	cert_hint: "A PEM file of this computer. Without it, you compare a fingerprint once.", cert_choose: "Choose a certificate file",
	connecting: "Connecting to {server}…", signing_in: "Signing in to {server}…",
	slot_wait: "Waiting for a free slot",
	slot_text: "All slots of {server} are taken. You enter by yourself when one is free; this page can stay in the background.",
	stop_waiting: "Stop waiting",
	key_now: "Shown now", key_known: "Known so far", key_file: "The known one is in {file}.",
	server_lost: "The connection to {server} is lost. Reconnecting; transfers resume by themselves.", disconnect: "Disconnect",
	leave_text: "{n} [transfer is running. It is|transfers are running. They are] interrupted and can be resumed later.",

	// Files
	files: "Files", all_files: "All files", folder_path: "Folder", loading_files: "Loading the files…",
	read_only: "This server is read-only for you: you can get files, but not store, rename or delete them.",
	way_choose: "Upload: chosen on this computer. Quiver reads the files itself; you may close this tab.",
	way_drop: "Drop or paste: this tab hands a copy to Quiver first; keep it open until that is done.",
	upload_files: "Upload files", upload_folder: "Upload a folder", new_folder: "New folder", upload_n: "Upload {n} file[|s]",
	upload_this: "Upload this folder", uploading: "The upload has started", to_transfers: "Show transfers",
	folder_empty: "This folder is empty", empty_upload: "Upload something, or drop files here.",
	empty_read: "Files that the server gets appear here.", n_entries: "{n} [entry|entries]", n_of_entries: "{shown} of {n} [entry|entries]",
	select_all: "Select all", select_name: "Select {name}", n_selected: "{n} selected", select_none: "Clear the selection",
	filter_names: "Filter by name",
	get: "Get", get_to: "Get to a folder", get_here: "Get into this folder", get_name: "Get {name}", get_started: "Getting {n} item[|s]",
	preview: "Preview", content: "Content", file_empty: "(The file is empty.)", preview_cut: "The first {shown} of {size} are shown.",
	rename: "Rename", new_name: "New name", new_sample: "new-name", folder_name: "Name of the folder", create: "Create",
	bad_name: "A name has no slash, backslash or control character, and is not . or ..",
	delete: "Delete", delete_title: "Delete [this?|{n} items?]", delete_one: "{name} is deleted on the server, for everybody.",
	delete_many: "{n} [item is|items are] deleted on the server, for everybody.", delete_hint: "Only empty folders can be deleted.",
	deleted: "{n} item[|s] deleted", delete_failed: "{n} item[|s] could not be deleted: {why}",

	// Choosing on this computer
	in_folder: "Content of the folder",
	choose_hint: "These are the files of this computer. Quiver reads them where they are, can resume, and needs no open tab.",
	folder_hint: "Choose a folder of this computer, or open one and use it.", use_folder: "Use this folder", to_folder: "Change folder",
	not_readable: "not readable", no_folders: "No folders in here", if_exists: "If a name exists", policy_ask: "ask",
	policy_replace: "replace", policy_keep_both: "keep both", policy_skip: "skip",

	// Drop and paste
	drops: "Content handed over by this tab", drop_reading: "Looking through what you dropped: {n} file[|s]",
	drop_copying: "Handing {n} file[|s] to Quiver for {target}", drop_partly: "Handed over for {target}, but not everything",
	drop_numbers: "{done} of {n} files, {bytes} of {total}", drop_open: "Keep this tab open", drop_bar: "Handed over",
	drop_unread: "{n} file[|s] could not be read", drop_none: "There was no file in it", drop_failed: "Handing over what you dropped failed",
	drop_uploads: "Quiver has {n} [file and uploads it;|files and uploads them;] the tab may close",
	drop_offers: "Quiver has {n} [file and offers it|files and offers them] to {name}",

	// Transfers
	transfers: "Transfers", transfer: "Transfer", transfers_no: "No transfers",
	transfers_none: "What you get, upload, send and receive appears here, with its progress.",
	filter_all: "All", filter_active: "Active", filter_failed: "Failed", filter_unfinished: "Unfinished from before", filter_done: "Done",
	retry_failed: "Retry {n} failed transfer[|s]", clear_done: "Clear finished",
	process: "by another process ({process})",
	state_planning: "comparing", state_waiting: "waiting", state_running: "running", state_paused: "paused",
	state_reconnecting: "reconnecting", state_done: "done", state_failed: "failed", state_cancelled: "cancelled",
	state_unfinished: "unfinished from before",
	progress_of: "Verified of {name}", bytes_of: "{done} of {total} verified", files_of: "{done} of {n} file[|s]",
	files_failed: "{n} file[|s] failed", time_left: "{time} left", limited_by: "limited by {what}",
	sent: "Sent", received: "Received", sent_text: "Content that the sender has sent", received_text: "Content that has arrived",
	verified_text: "Content that is hashed, on the disk, and under its final name",
	path: "Path", path_server: "through the server", path_direct: "direct", path_relayed: "relayed", path_closed: "not connected",
	started: "Started", ended: "Ended", local: "On this computer",
	pause_name: "Pause {name}", resume_name: "Resume {name}", cancel_name: "Cancel {name}", retry_name: "Retry {name}",
	show_name: "Show {name} in its folder", retry: "Retry", retry_files: "Retry the failed files", show_in_folder: "Show in folder",
	remove: "Remove from the list",
	cancel_transfer: "Cancel the transfer",
	cancel_transfer_text: "It stops, and its partial file is removed. To go on later, pause it instead.", forget_unfinished: "Discard",
	forget_unfinished_text: "Its partial file is removed.", show_details: "Details", hide_details: "Hide details",
	state_same: "same already", state_kept: "kept", files_before: "Earlier files", files_after: "Later files",
	reload_files: "Reload the files", done: "{name} is transferred and verified", failed: "{name} failed",
	plot_label: "Rate over time: now {now}, at most {most}", plot_caption: "Rate over the last {time}", plot_top: "Top line: {rate}",

	// People and conversations
	people: "People", the_server: "The server", server_hint: "Answers your messages", filter_people: "Filter people",
	n_here: "{n} other [person is|people are] here", you_are: "you are #{number}",
	nobody_else: "Nobody else is here yet. Who connects to the server appears here.", person_none: "Choose somebody",
	person_hint: "Write to them, or send them files directly.",
	here_since: "here since", left_at: "left", not_here: "not here", unreachable: "cannot be reached", verified: "Verified",
	blocked: "Blocked", key_changed: "Key changed", unread: "unread", joined: "{name} has joined", left: "{name} has left",
	back: "Back to people", unheard: "Other people cannot reach you now.",
	send_files: "Send files", send_to: "Send files to {name}", offer_n: "Offer {n} item[|s]",
	offer_made: "Offered to {name}. They are sent once {name} accepts.", show_offers: "Show offers", write_to: "Write to {name}",
	write: "Write a message", sample_text: "Hello", sample_file: "file.txt",
	verify: "Compare keys", verify_asks: "Asking {name} to compare keys. You both see the same digits.",
	verify_yes: "The key of {name} is verified", verify_no: "The key of {name} is not verified", show_path: "Show how the connection runs",
	path_before: "Before", address: "Address", round_trip: "Round-trip time", by_direct: "Direct", by_relay: "Relayed",
	block: "Block", unblock: "Unblock", block_title: "Block {name}?",
	block_text: "Messages, offers and connections of this name are refused, until you unblock it.", forget: "Forget the key",
	forget_title: "Forget the key of {name}?",
	forget_text: "The next key of this name counts as the first one. Do this only if the change is expected, for example after a new installation.",
	always_on: "Always accept files", always_off: "Stop accepting files by itself", always_title: "Always accept files of {name}",
	always_text: "Files that this person offers are stored here without a question. Their key is verified.",
	messages: "Messages", message_to: "Message to {name}", say: "Send", write_hint: "Enter sends, Shift and Enter begins a line.",
	write_files: "Drop files here to offer them; keep the tab open until Quiver has them.", too_long: "{n} byte[|s] too long",
	older: "Earlier messages", no_messages: "No messages yet", messages_hint: "Conversations are kept on this computer only.",
	history_off: "Conversations are not kept: you have turned that off.",
	you_wrote: "You:", they_wrote: "{name}:", state_sending: "sending", state_acknowledged: "acknowledged", state_delivered: "delivered",
	state_not_delivered: "not delivered", state_unknown: "unknown whether delivered", write_again: "Write again",
	message_from: "Message from {name}",
	changed_text: "This name shows another key than the known one, so nothing is sent. If you expect that, forget the old key, then compare keys.",
	blocked_text: "You have blocked this name.", away_text: "Not here now, so nothing can be sent.",
	unheard_text: "This person cannot be reached: no prompt, page or `quiver receive` is open there.", clear_history: "Clear the conversation",
	clear_text: "The messages with {name} are removed from this computer.",

	// Offers
	offers: "Offers", offers_in: "Offers to you", my_offers: "Offers from you", offers_past: "Earlier offers", no_offers: "No offers",
	offers_hint: "Files that somebody offers you appear here. To offer some, choose a person.", go_to_people: "Go to people",
	offer_from: "{name} offers you files", offer_to: "You offer files to {name}", from_name: "from {name}", to_name: "to {name}",
	unverified: "The key of {name} is not verified. Compare keys to be sure who sends this.", stored_in: "Stored in {folder}",
	accept: "Accept", decline: "Decline", always_accept: "Always accept files of {name} from now on", receive_to: "Where to store it",
	receive_here: "Store in this folder", withdraw: "Withdraw", withdraw_text: "{name} can no longer accept this offer.",
	state_stored: "stored", state_declined: "declined", state_withdrawn: "withdrawn", state_expired: "expired",
	state_open: "Waiting for an answer", waits_here: "Waiting until the person is here", state_accepted: "Accepted, on its way",
	notify_ask: "Be told about offers and messages while this tab is in the background?", notify_on: "Turn on notifications",
	notify: "Notifications",

	// Questions
	q_wait: "{n} [question waits|questions wait] for your answer", answer_now: "Answer", decide_later: "Later", skip: "Keep the old one",
	replace: "Replace", keep_both: "Keep both",
	q_name: "Your name on this server", q_pass_text: "For {name} on {server}.", q_trust: "Is this the right server?",
	q_trust_text: "You connect to {server} for the first time. Compare this fingerprint with the one its operator gave you:",
	q_trust_kept: "It is remembered; a changed one is refused later.", q_trust_lost: "It cannot be remembered: {why}",
	q_trust_no: "Do not connect", q_trust_yes: "It is the same: connect",
	q_replace: "Replace the file?", q_on_server: "{path} exists on the server.", q_on_disk: "{path} exists on this computer.",
	q_conflict: "This file exists and differs", q_conflict_text: "{path} exists with other content.",
	q_conflict_all: "The same for all that follow",
	q_machine: "Another machine of this person?",
	q_machine_text: "{name} shows a key that is not known yet. An account may be used on several machines.", q_machine_no: "No, refuse it",
	q_machine_yes: "Yes, it is theirs", q_digits: "Compare digits with {name}",
	q_digits_text: "{name} sees digits too. Compare them by telephone or in person:",
	q_digits_why: "Only if they are equal is nobody between you.", q_digits_no: "They differ", q_digits_yes: "They are equal",
	q_more: "More than was offered", q_more_text: "{name} offered {offered}, but sends {found}.", q_more_no: "Stop",
	q_more_yes: "Receive it all", q_direct: "Connect with {name}?", q_direct_text: "{name} wants to connect directly, with this key:",
	q_direct_no: "Refuse", q_direct_yes: "Connect",

	// Settings
	settings: "Settings", settings_folder: "Folder for received files", settings_history: "Keep conversations",
	settings_history_text: "On this computer only.", settings_announce: "Say who joins and leaves",
	settings_announce_text: "As a short note.", settings_wait_for_slot: "Enter when a slot is free",
	settings_wait_for_slot_text: "If the server is full, wait instead of giving up.",
	clear_all: "Clear all conversations", clear_all_text: "All messages are removed from this computer.", connection: "Connection",
	key_server: "Server's fingerprint", uploads: "Uploads", can_upload: "You may store, rename and delete files.", reachable: "Other people",
	heard: "can reach you for messages and files.",
	keyboard: "Keyboard", keys_views: "Alt 1 to Alt 5", keys_views_text: "Files, Transfers, People, Offers, Settings",
	keys_rows: "Arrows, Page, Home, End", keys_rows_text: "Move through a list", keys_select: "Space, Shift and arrows, Ctrl A",
	keys_select_text: "Select", keys_open: "Enter", keys_open_text: "Open a folder, preview or get a file", keys_change: "F2, Delete",
	keys_change_text: "Rename, delete", keys_parent: "Backspace", keys_parent_text: "To the folder above",
	about: "Quiver {version}. Files of this computer are listed below {home}.",
};

/** Title and advice by the code of a failure. @type {Record<string, [string, string?]>} */
const FAILURES = {
	invalid_request: ["This is not possible"],
	connection: ["The server cannot be reached", "Check the address and your network, and ask whether the server runs."],
	untrusted: ["The server shows another key than before",
	"The connection was refused. Ask its operator whether the key was changed. Only then remove the remembered line, and connect again."],
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
