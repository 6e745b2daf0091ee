//! Examples and exit codes of the commands between clients.

use quiver_manual::{Example, Topic};

/// Codes that have the same meaning in all of these commands.
const NO_KEY: (&str, &str) =
    ("4", "its key is not the known one, or the server has another certificate");
const SIGN_IN: (&str, &str) = ("5", "sign-in refused");
const BUSY: (&str, &str) = ("6", "server busy");
const USAGE: (&str, &str) = ("2", "usage");

/// What is said about these commands.
pub(super) const TOPICS: [Topic; 14] = [
    Topic {
        command: "tell",
        examples: &[
            Example { line: "quiver tell Ron 'Lunch at noon?'", effect: "Send a message to Ron" },
            Example { line: "quiver tell --all 'The build is done'", effect: "Send one to all" },
        ],
        exit_codes: &[
            ("0", "the recipient's client has confirmed the message"),
            ("1", "it may have arrived, or was refused"),
            USAGE,
            ("3", "the recipient or the server cannot be reached"),
            NO_KEY,
            SIGN_IN,
            BUSY,
            ("7", "no client of that name is connected"),
            ("10", "with --all: some clients did not get the message"),
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "send",
        description: &[
            "Nothing is sent before the recipient accepts. The files go directly from client to client where the \
             networks allow it, and else through the server, which cannot read them. The command ends when the \
             recipient has verified and stored everything.",
        ],
        examples: &[
            Example {
                line: "quiver send Ron report.pdf photos",
                effect: "Offer a file and a folder to Ron",
            },
            Example {
                line: "quiver send Ron report.pdf --wait",
                effect: "Wait until Ron is connected",
            },
            Example {
                line: "tar cz notes | quiver send Ron - --as notes.tar.gz",
                effect: "Offer what another program writes",
            },
            Example { line: "quiver send --cancel 3", effect: "Withdraw offer 3" },
        ],
        exit_codes: &[
            ("0", "the recipient has stored everything"),
            ("1", "it could not, or the offer was withdrawn or has expired"),
            USAGE,
            ("3", "the recipient or the server cannot be reached"),
            NO_KEY,
            SIGN_IN,
            BUSY,
            ("7", "no client of that name is connected"),
            ("8", "a file cannot be offered"),
            ("11", "the recipient declined"),
            ("130", "Ctrl-C: an offer that the recipient has seen stays open"),
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "receive",
        examples: &[
            Example {
                line: "quiver receive -o inbox",
                effect: "Ask about each offer, and store its files in a folder",
            },
            Example {
                line: "quiver receive --from Ron --once",
                effect: "Wait for one offer of Ron",
            },
            Example {
                line: "quiver receive --from Ron --yes -o inbox",
                effect: "Accept all offers of Ron, whose key is verified",
            },
        ],
        exit_codes: &[
            ("0", "with --once: an offer was stored or declined"),
            USAGE,
            ("4", "with --yes: no key of the client is verified"),
            SIGN_IN,
            BUSY,
            ("8", "files cannot be stored in the folder"),
            ("130", "Ctrl-C"),
            ("others", "with --once: as in quiver accept"),
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "offers",
        examples: &[
            Example { line: "quiver offers", effect: "List open offers with their numbers" },
            Example {
                line: "quiver offers --all",
                effect: "Include those of the last 30 days that are settled",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "accept",
        examples: &[
            Example {
                line: "quiver accept 1",
                effect: "Store the files of offer 1 in the current folder",
            },
            Example {
                line: "quiver accept 1 inbox --overwrite",
                effect: "Store them in a folder, and replace existing files",
            },
        ],
        exit_codes: &[
            ("0", "everything is stored"),
            ("1", "the offer was answered before, was withdrawn or has expired"),
            USAGE,
            ("3", "the sender or the server cannot be reached; the offer stays accepted"),
            NO_KEY,
            SIGN_IN,
            BUSY,
            ("7", "no such offer, or the sender is not connected; the offer stays accepted"),
            ("8", "local disk"),
            ("10", "some files failed"),
            ("130", "Ctrl-C; the offer stays accepted"),
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "decline",
        examples: &[
            Example { line: "quiver decline 1", effect: "Decline offer 1" },
            Example { line: "quiver decline 1 --json", effect: "The same, for a script" },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "peers",
        examples: &[
            Example { line: "quiver peers", effect: "List the other clients" },
            Example { line: "quiver peers --json", effect: "The same, for a script" },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "path",
        examples: &[
            Example {
                line: "quiver path Ron",
                effect: "See whether the connection with Ron is direct, and why not",
            },
            Example { line: "quiver path Ron --json", effect: "The same, for a script" },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "verify",
        description: &[
            "Both people see twelve digits. Compare them by telephone or in person: if they are equal, no third party \
             is between the two clients, and the key is marked as verified.",
        ],
        examples: &[
            Example {
                line: "quiver verify Ron",
                effect: "Compare keys with Ron, who is at the prompt",
            },
            Example {
                line: "quiver --server files.example.org verify Ron",
                effect: "Compare keys with the Ron of another server",
            },
        ],
        exit_codes: &[
            ("0", "both people see the same digits"),
            ("2", "standard input is no terminal, or usage"),
            ("3", "the client cannot be reached, or does not answer"),
            ("4", "the digits differ, or its key has changed"),
            SIGN_IN,
            BUSY,
            ("7", "no client of that name is connected"),
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "contacts",
        examples: &[
            Example {
                line: "quiver contacts",
                effect: "List the known clients of the server and their keys",
            },
            Example {
                line: "quiver contacts forget Ron",
                effect: "Trust the next key of Ron like a first one",
            },
            Example { line: "quiver contacts block Ron", effect: "Refuse everything from Ron" },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "contacts list",
        examples: &[
            Example {
                line: "quiver contacts list",
                effect: "List the known clients and their keys",
            },
            Example { line: "quiver contacts list --json", effect: "The same, for a script" },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "contacts forget",
        examples: &[
            Example {
                line: "quiver contacts forget Ron",
                effect: "Trust the next key of Ron like a first one",
            },
            Example {
                line: "quiver --server files.example.org contacts forget Ron",
                effect: "The same for the Ron of another server",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "contacts block",
        examples: &[
            Example {
                line: "quiver contacts block Ron",
                effect: "Refuse messages, offers and connections of Ron",
            },
            Example {
                line: "quiver --server files.example.org contacts block Ron",
                effect: "The same for the Ron of another server",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "contacts unblock",
        examples: &[
            Example { line: "quiver contacts unblock Ron", effect: "End the block of Ron" },
            Example {
                line: "quiver --server files.example.org contacts unblock Ron",
                effect: "The same for the Ron of another server",
            },
        ],
        ..Topic::EMPTY
    },
];
