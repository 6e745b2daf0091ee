// All texts of the page, by key. To translate it, translate the values. `{n}` is a number and chooses the plural; others are filled in.

/** @typedef {string | {one: string, other: string}} Text */

export const language = navigator.language || "en";

export const TEXTS = {
	app_name: "Quiver", loading: "Loading…", close: "Close", cancel: "Cancel", dismiss: "Dismiss", try_again: "Try again", try_now: "Try now", continue: "Continue", choose: "Choose", open: "Open", copy: "Copy", read: "Read",
	skip_link: "Skip to the content", views: "Views", actions: "Actions", actions_of: "Actions for {name}", filter: "Filter", today: "Today", yesterday: "Yesterday", just_now: "just now", why: "Reason",
	cannot_be_undone: "This cannot be undone.", nothing_matches: "Nothing matches the filter", clear_filter: "Clear the filter", show_more: "Show more", and_more: "and {n} more",
	copy_as_command: "Copy as command", copied: "Copied: {text}", copy_failed: "The browser did not allow copying. The command is: {text}", commands_title: "The same in a terminal", commands_text: "Each line does what the page does.",
	name: "Name", size: "Size", modified: "Changed", n_files: { one: "{n} file", other: "{n} files" }, n_folders: { one: "{n} folder", other: "{n} folders" }, milliseconds: "{n} ms",

	// The page's own connection
	connected: "Connected", reconnecting: "Reconnecting", cut_off: "Cut off",
	link_trying: "Connecting to Quiver on this computer…", link_lost: "This page is cut off from Quiver on this computer and may be out of date. Next try in {time}.", link_behind: "This page missed something and is loading the current state…",
	link_none: "Quiver is not running on this computer", link_none_text: "If it has ended, start it again. This page comes back by itself; a new run may need its own page:",
	refused: "This page is no longer valid", refused_text: "Quiver was started again since. Open a new page with:", no_code: "Open this page from Quiver", no_code_text: "Its address works once, for a minute, so that nobody else can use it. Open a new page with:",
	stopping: "Quiver is stopping", stopping_text: "Unfinished transfers are kept and can be resumed.",

	// Sign-in
	server: "Server", your_name: "Your name", your_name_hint: "Letters, digits, dot, dash and underscore, up to 32. Others see it.", password: "Password", connect: "Connect", as_name: "as {name}", recent_servers: "Recent servers",
	certificate_title: "I have the server's certificate", certificate_label: "Certificate file", certificate_hint: "A PEM file of this computer. Without it, you compare a fingerprint once.", choose_certificate: "Choose a certificate file",
	connecting_to: "Connecting to {server}…", signing_in_to: "Signing in to {server}…",
	enter_when_free: "Enter when a slot is free", waiting_for_slot: "Waiting for a free slot", waiting_for_slot_text: "All slots of {server} are taken. You enter by yourself when one is free; this page can stay in the background.", stop_waiting: "Stop waiting",
	key_presented: "Shown now", key_known: "Known so far", key_remembered_in: "The known one is in {file}.",
	server_lost: "The connection to {server} is lost. Reconnecting; transfers resume by themselves.", disconnect: "Disconnect", disconnect_text: { one: "{n} transfer is running. It is interrupted and can be resumed later.", other: "{n} transfers are running. They are interrupted and can be resumed later." },

	// Files
	files: "Files", all_files: "All files", folder_path: "Folder", loading_files: "Loading the files…", read_only: "This server is read-only for you: you can get files, but not store, rename or delete them.",
	way_choose: "Upload: chosen on this computer. Quiver reads the files itself; you may close this tab.", way_drop: "Drop or paste: this tab hands a copy to Quiver first; keep it open until that is done.",
	upload_files: "Upload files", upload_folder: "Upload a folder", new_folder: "New folder", upload_n: { one: "Upload {n} file", other: "Upload {n} files" }, upload_this_folder: "Upload this folder", upload_started: "The upload has started", show_transfers: "Show transfers",
	folder_empty: "This folder is empty", folder_empty_upload: "Upload something, or drop files here.", folder_empty_read: "Files that the server gets appear here.", n_entries: { one: "{n} entry", other: "{n} entries" }, n_of_entries: { one: "{shown} of {n} entry", other: "{shown} of {n} entries" },
	select_all: "Select all", select_name: "Select {name}", n_selected: "{n} selected", clear_selection: "Clear the selection", filter_names: "Filter by name",
	get: "Get", get_to: "Get to a folder", get_here: "Get into this folder", get_name: "Get {name}", get_started: { one: "Getting {n} item", other: "Getting {n} items" }, preview: "Preview", content: "Content", file_empty: "(The file is empty.)", preview_cut: "The first {shown} of {size} are shown.",
	rename: "Rename", new_name: "New name", new_name_example: "new-name", folder_name: "Name of the folder", create: "Create", bad_name: "A name has no slash, backslash or control character, and is not . or ..",
	delete: "Delete", delete_title: { one: "Delete this?", other: "Delete {n} items?" }, delete_one: "{name} is deleted on the server, for everybody.", delete_several: { one: "{n} item is deleted on the server, for everybody.", other: "{n} items are deleted on the server, for everybody." }, delete_folders: "Only empty folders can be deleted.",
	deleted: { one: "{n} item deleted", other: "{n} items deleted" }, delete_failed: { one: "{n} item could not be deleted: {why}", other: "{n} items could not be deleted: {why}" },

	// Choosing on this computer
	folder_content: "Content of the folder", choose_explained: "These are the files of this computer. Quiver reads them where they are, can resume, and needs no open tab.", choose_folder_explained: "Choose a folder of this computer, or open one and use it.", choose_this_folder: "Use this folder", change_folder: "Change folder",
	up: "To the folder above", not_readable: "not readable", no_folders_here: "No folders in here", if_exists: "If a name exists", policy_ask: "ask", policy_replace: "replace", policy_keep_both: "keep both", policy_skip: "skip",

	// Drop and paste
	drops: "Content handed over by this tab", drop_reading: { one: "Looking through what you dropped: {n} file", other: "Looking through what you dropped: {n} files" }, drop_copying: { one: "Handing {n} file to Quiver for {target}", other: "Handing {n} files to Quiver for {target}" }, drop_partly: "Handed over for {target}, but not everything",
	drop_numbers: "{done} of {n} files, {bytes} of {total}", drop_keep_open: "Keep this tab open", drop_progress: "Handed over", drop_unreadable: { one: "{n} file could not be read", other: "{n} files could not be read" }, drop_no_files: "There was no file in it", drop_failed: "Handing over what you dropped failed",
	drop_done_upload: { one: "Quiver has {n} file and uploads it; the tab may close", other: "Quiver has {n} files and uploads them; the tab may close" }, drop_done_offer: { one: "Quiver has {n} file and offers it to {name}", other: "Quiver has {n} files and offers them to {name}" },

	// Transfers
	transfers: "Transfers", transfer: "Transfer", running: "running", no_transfers: "No transfers", no_transfers_text: "What you get, upload, send and receive appears here, with its progress.",
	filter_all: "All", filter_active: "Active", filter_failed: "Failed", filter_unfinished: "Unfinished from before", filter_done: "Done", retry_failed: { one: "Retry {n} failed transfer", other: "Retry {n} failed transfers" }, remove_finished: "Clear finished",
	direction_download: "from {with}", direction_upload: "to {with}", direction_send: "to {with}", direction_receive: "from {with}", other_process: "by another process ({process})",
	state_planning: "comparing", state_waiting: "waiting", state_running: "running", state_paused: "paused", state_reconnecting: "reconnecting", state_done: "done", state_failed: "failed", state_cancelled: "cancelled", state_unfinished: "unfinished from before",
	progress_of: "Verified of {name}", bytes_of: "{done} of {total} verified", files_of: { one: "{done} of {n} file", other: "{done} of {n} files" }, files_failed: { one: "{n} file failed", other: "{n} files failed" }, time_left: "{time} left", limited_by: "limited by {what}",
	counter_sent: "Sent", counter_received: "Received", counter_verified: "Verified", counter_sent_text: "Content that the sender has sent", counter_received_text: "Content that has arrived", counter_verified_text: "Content that is hashed, on the disk, and under its final name",
	path: "Path", path_server: "through the server", path_direct: "direct", path_relayed: "relayed", path_closed: "not connected", started: "Started", ended: "Ended", on_this_computer: "On this computer",
	pause_name: "Pause {name}", resume_name: "Resume {name}", cancel_name: "Cancel {name}", retry_name: "Retry {name}", show_name: "Show {name} in its folder", retry: "Retry", retry_failed_files: "Retry the failed files", show_in_folder: "Show in folder", remove_from_list: "Remove from the list",
	cancel_transfer: "Cancel the transfer", cancel_transfer_text: "It stops, and its partial file is removed. To go on later, pause it instead.", forget_unfinished: "Discard", forget_unfinished_text: "Its partial file is removed.", show_details: "Details", hide_details: "Hide details",
	file_waiting: "waiting", file_done: "done", file_same: "same already", file_kept: "kept", file_failed: "failed", files_before: "Earlier files", files_after: "Later files", reload_files: "Reload the files", transfer_done: "{name} is transferred and verified", transfer_failed: "{name} failed",
	plot_label: "Rate over time: now {now}, at most {most}", plot_caption: "Rate over the last {time}", plot_top: "Top line: {rate}",

	// People and conversations
	people: "People", the_server: "The server", the_server_text: "Answers your messages", filter_people: "Filter people", n_here: { one: "{n} other person is here", other: "{n} other people are here" }, you_are: "you are #{number}", nobody_else: "Nobody else is here yet. Who connects to the server appears here.", choose_person: "Choose somebody", choose_person_text: "Write to them, or send them files directly.",
	here_since: "here since", left_at: "left", not_here: "not here", not_reachable: "cannot be reached", verified: "Verified", blocked: "Blocked", key_changed: "Key changed", unread: "unread", joined: "{name} has joined", left: "{name} has left", back_to_people: "Back to people", not_listening: "Other people cannot reach you now.",
	send_files: "Send files", send_to: "Send files to {name}", offer_n: { one: "Offer {n} item", other: "Offer {n} items" }, offer_made: "Offered to {name}. They are sent once {name} accepts.", show_offers: "Show offers", write_to: "Write to {name}", write_message: "Write a message", example_message: "Hello", example_file: "file.txt",
	verify: "Compare keys", verify_started: "Asking {name} to compare keys. You both see the same digits.", verify_yes: "The key of {name} is verified", verify_no: "The key of {name} is not verified", show_path: "Show how the connection runs", path_before: "Before", address: "Address", round_trip: "Round-trip time", bytes_direct: "Direct", bytes_relayed: "Relayed",
	block: "Block", unblock: "Unblock", block_title: "Block {name}?", block_text: "Messages, offers and connections of this name are refused, until you unblock it.", forget: "Forget the key", forget_title: "Forget the key of {name}?", forget_text: "The next key of this name counts as the first one. Do this only if the change is expected, for example after a new installation.",
	always_accept_menu: "Always accept files", always_accept_end: "Stop accepting files by itself", always_accept_title: "Always accept files of {name}", always_accept_text: "Files that this person offers are stored here without a question. Their key is verified.",
	messages: "Messages", message_to: "Message to {name}", say: "Send", composer_hint: "Enter sends, Shift and Enter begins a line.", composer_hint_files: "Drop files here to offer them; keep the tab open until Quiver has them.", message_too_long: { one: "{n} byte too long", other: "{n} bytes too long" }, older_messages: "Earlier messages", no_messages: "No messages yet", no_messages_text: "Conversations are kept on this computer only.", history_is_off: "Conversations are not kept: you have turned that off.",
	you_wrote: "You:", they_wrote: "{name}:", message_sending: "sending", message_acknowledged: "acknowledged", message_delivered: "delivered", message_not_delivered: "not delivered", message_unknown: "unknown whether delivered", write_again: "Write again", message_from: "Message from {name}",
	key_changed_text: "This name shows another key than the known one, so nothing is sent. If you expect that, forget the old key, then compare keys.", blocked_text: "You have blocked this name.", not_here_text: "Not here now, so nothing can be sent.", not_reachable_text: "This person cannot be reached: no prompt, page or `quiver receive` is open there.", clear_history: "Clear the conversation", clear_history_text: "The messages with {name} are removed from this computer.",

	// Offers
	offers: "Offers", open_offers: "open", offers_to_me: "Offers to you", offers_from_me: "Offers from you", offers_past: "Earlier offers", no_offers: "No offers", no_offers_text: "Files that somebody offers you appear here. To offer some, choose a person.", go_to_people: "Go to people", offer_from: "{name} offers you files", offer_to: "You offer files to {name}", from_name: "from {name}", to_name: "to {name}",
	offer_not_verified: "The key of {name} is not verified. Compare keys to be sure who sends this.", stored_in: "Stored in {folder}", accept: "Accept", decline: "Decline", always_accept: "Always accept files of {name} from now on", receive_to: "Where to store it", receive_here: "Store in this folder", withdraw: "Withdraw", withdraw_text: "{name} can no longer accept this offer.",
	incoming_open: "open", incoming_accepted: "Accepted, on its way", incoming_stored: "stored", incoming_declined: "declined", incoming_withdrawn: "withdrawn", incoming_failed: "failed", incoming_expired: "expired",
	outgoing_open: "Waiting for an answer", outgoing_waiting: "Waiting until the person is here", outgoing_accepted: "Accepted, on its way", outgoing_delivered: "delivered", outgoing_declined: "declined", outgoing_withdrawn: "withdrawn", outgoing_failed: "failed", outgoing_expired: "expired",
	notify_ask: "Be told about offers and messages while this tab is in the background?", notify_on: "Turn on notifications", notifications: "Notifications",

	// Questions
	questions_wait: { one: "{n} question waits for your answer", other: "{n} questions wait for your answer" }, answer_now: "Answer", decide_later: "Later", skip: "Keep the old one", replace: "Replace", keep_both: "Keep both",
	q_name: "Your name on this server", q_password: "Password", q_password_text: "For {name} on {server}.", q_trust: "Is this the right server?", q_trust_text: "You connect to {server} for the first time. Compare this fingerprint with the one its operator gave you:", q_trust_remembered: "It is remembered; a changed one is refused later.", q_trust_not_remembered: "It cannot be remembered: {why}", q_trust_no: "Do not connect", q_trust_yes: "It is the same: connect",
	q_replace: "Replace the file?", q_replace_server: "{path} exists on the server.", q_replace_local: "{path} exists on this computer.", q_conflict: "This file exists and differs", q_conflict_text: "{path} exists with other content.", q_conflict_all: "The same for all that follow",
	q_machine: "Another machine of this person?", q_machine_text: "{name} shows a key that is not known yet. An account may be used on several machines.", q_machine_no: "No, refuse it", q_machine_yes: "Yes, it is theirs", q_digits: "Compare digits with {name}", q_digits_text: "{name} sees digits too. Compare them by telephone or in person:", q_digits_why: "Only if they are equal is nobody between you.", q_digits_no: "They differ", q_digits_yes: "They are equal",
	q_more: "More than was offered", q_more_text: "{name} offered {offered}, but sends {found}.", q_more_no: "Stop", q_more_yes: "Receive it all", q_direct: "Connect with {name}?", q_direct_text: "{name} wants to connect directly, with this key:", q_direct_no: "Refuse", q_direct_yes: "Connect",

	// Settings
	settings: "Settings", settings_folder: "Folder for received files", settings_history: "Keep conversations", settings_history_text: "On this computer only.", settings_announce: "Say who joins and leaves", settings_announce_text: "As a short note.", settings_wait_for_slot: "Enter when a slot is free", settings_wait_for_slot_text: "If the server is full, wait instead of giving up.",
	clear_all: "Clear all conversations", clear_all_hint: "Removes all messages from this computer.", clear_all_text: "All messages are removed from this computer.", connection: "Connection", server_fingerprint: "Server's fingerprint", uploads: "Uploads", uploads_yes: "You may store, rename and delete files.", reachable: "Other people", reachable_yes: "can reach you for messages and files.",
	keyboard: "Keyboard", keys_views: "Alt 1 to Alt 5", keys_views_text: "Files, Transfers, People, Offers, Settings", keys_rows: "Arrows, Page, Home, End", keys_rows_text: "Move through a list", keys_select: "Space, Shift and arrows, Ctrl A", keys_select_text: "Select", keys_open: "Enter", keys_open_text: "Open a folder, preview or get a file", keys_change: "F2, Delete", keys_change_text: "Rename, delete", keys_parent: "Backspace", keys_parent_text: "To the folder above",
	about: "Quiver {version}. Files of this computer are listed below {home}.",
};

/** Title and advice by the code of a failure. @type {Record<string, [string, string?]>} */
const FAILURES = {
	invalid_request: ["This is not possible"], connection: ["The server cannot be reached", "Check the address and your network, and ask whether the server runs."], untrusted: ["The server shows another key than before", "The connection was refused. Ask its operator whether the key was changed. Only then remove the remembered line, and connect again."],
	sign_in: ["The name or the password is not accepted", "Check both. If the name is taken, choose another one."], busy: ["The server is full", "All its slots are taken."], not_found: ["It is not there any more"], local_disk: ["This computer cannot store it", "Check free space and permissions of the folder."], verification: ["The content did not arrive as it was sent", "Retry the transfer."],
	partial: ["Some files failed", "Retry sends only those."], declined: ["It was declined"], interrupted: ["It was interrupted", "It can be tried again."], exists: ["The name exists already", "Choose another name."], read_only: ["The server does not allow changes"], expired: ["The sign-in has expired", "Connect again."], quota: ["There is not enough space for it", "Choose the files on this computer instead: that needs no copy."], no_history: ["Conversations are not kept"],
};
const plurals = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(language);
/** @typedef {Record<string, Loose>} Values */

/** @param {TextKey} key @param {Values} values */
function template(key, values) {
	const text = /** @type {Text} */ (TEXTS[key]);
	return typeof text === "string" ? text : plurals.select(Number(values.n)) === "one" ? text.one : text.other;
}
/** @param {Loose} value */
const shown = (value) => (typeof value === "number" ? numbers.format(value) : value);

/** A text. @param {TextKey} key @param {Record<string, string | number>} [values] */
export const t = (key, values = {}) => template(key, values).replace(/\{(\w+)\}/g, (_, name) => String(shown(values[name])));
/** A text with elements in it. @param {TextKey} key @param {Values} values @returns {Loose[]} */
export const r = (key, values) => template(key, values).split(/\{(\w+)\}/).map((part, at) => (at % 2 ? shown(values[part]) : part));

/** @param {Failure} failure */
export const failureTitle = ({ code, text }) => FAILURES[code]?.[0] ?? (text || "It failed");
/** @param {Failure} failure */
export const failureAdvice = ({ code }) => FAILURES[code]?.[1] ?? "";
