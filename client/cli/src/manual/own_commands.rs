//! Examples of the commands about this machine: its transfers, its page, its documents.

use quiver_manual::{Example, Topic};

const STEERING_EXIT_CODES: &[(&str, &str)] = &[
    ("0", "done"),
    ("1", "it cannot be paused, because its content is streamed"),
    ("2", "usage"),
    ("7", "no running transfer has this number"),
];

const TRUST_EXIT_CODES: &[(&str, &str)] = &[
    ("0", "done"),
    ("2", "usage"),
    ("7", "the server to forget is not known"),
    ("8", "the file of known servers cannot be used"),
];

const DOCUMENT_EXIT_CODES: &[(&str, &str)] =
    &[("0", "done"), ("2", "usage"), ("8", "the output cannot be written")];

/// What is said about these commands.
pub(super) const TOPICS: [Topic; 10] = [
    Topic {
        command: "resume",
        examples: &[
            Example { line: "quiver resume", effect: "Continue all unfinished transfers" },
            Example { line: "quiver resume photos", effect: "Continue the one of a path" },
            Example {
                line: "quiver resume 3",
                effect: "Continue the paused transfer 3 of any of your programs",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "transfers",
        examples: &[
            Example { line: "quiver transfers", effect: "List running and unfinished transfers" },
            Example {
                line: "quiver transfers --watch",
                effect: "Show running ones as they change",
            },
            Example {
                line: "quiver transfers --clean",
                effect: "Forget unfinished ones, and remove their partial files",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "pause",
        examples: &[
            Example {
                line: "quiver pause 3",
                effect: "Pause transfer 3, as quiver transfers shows it",
            },
            Example { line: "quiver pause 1234:3", effect: "Pause transfer 3 of the process 1234" },
        ],
        exit_codes: STEERING_EXIT_CODES,
        ..Topic::EMPTY
    },
    Topic {
        command: "cancel",
        examples: &[
            Example {
                line: "quiver cancel 3",
                effect: "Cancel transfer 3, as quiver transfers shows it",
            },
            Example {
                line: "quiver cancel 1234:3",
                effect: "Cancel transfer 3 of the process 1234",
            },
        ],
        exit_codes: STEERING_EXIT_CODES,
        ..Topic::EMPTY
    },
    Topic {
        command: "trust",
        description: &[
            "Known servers are those whose fingerprint you have confirmed. --cert, and cert in config.toml, need no \
             known server.",
        ],
        examples: &[
            Example { line: "quiver trust", effect: "List known servers and their fingerprints" },
            Example {
                line: "quiver trust forget files.example.org",
                effect: "Ask about the fingerprint of a server again",
            },
        ],
        exit_codes: TRUST_EXIT_CODES,
        ..Topic::EMPTY
    },
    Topic {
        command: "trust list",
        examples: &[
            Example {
                line: "quiver trust list",
                effect: "List known servers and their fingerprints",
            },
            Example { line: "quiver trust list --json", effect: "The same, for a script" },
        ],
        exit_codes: TRUST_EXIT_CODES,
        ..Topic::EMPTY
    },
    Topic {
        command: "trust forget",
        examples: &[
            Example {
                line: "quiver trust forget files.example.org",
                effect: "Forget a server at the default port",
            },
            Example {
                line: "quiver trust forget 192.0.2.7:4434",
                effect: "Forget a server at another port",
            },
        ],
        exit_codes: TRUST_EXIT_CODES,
        ..Topic::EMPTY
    },
    Topic {
        command: "gui",
        examples: &[
            Example { line: "quiver gui", effect: "Open the page in the browser" },
            Example { line: "quiver gui --no-open", effect: "Print its link only" },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "completions",
        examples: &[
            Example {
                line: "quiver completions bash >> ~/.bashrc",
                effect: "Complete commands in bash from the next shell on",
            },
            Example {
                line: "quiver completions zsh > ~/.zfunc/_quiver",
                effect: "In zsh, if ~/.zfunc is in fpath",
            },
            Example {
                line: "quiver completions fish > ~/.config/fish/completions/quiver.fish",
                effect: "In fish",
            },
        ],
        exit_codes: DOCUMENT_EXIT_CODES,
        is_standalone: true,
        ..Topic::EMPTY
    },
    Topic {
        command: "man",
        examples: &[
            Example { line: "quiver man get | man -l -", effect: "Read the page of a command" },
            Example {
                line: "quiver man --output ~/.local/share/man/man1",
                effect: "Store all pages where man finds them",
            },
        ],
        exit_codes: DOCUMENT_EXIT_CODES,
        is_standalone: true,
        ..Topic::EMPTY
    },
];
