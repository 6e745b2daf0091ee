//! Examples of the commands that use the server's files and clients.

use quiver_manual::{Example, Topic};

/// What is said about these commands.
pub(super) const TOPICS: [Topic; 8] = [
    Topic {
        command: "message",
        examples: &[
            Example { line: "quiver message Hello", effect: "Send a word to the server" },
            Example {
                line: "quiver message 'The build is done'",
                effect: "Send several words, as one message",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "status",
        description: &[
            "Each line has the client's number and name, when it connected, and when it disconnected.",
        ],
        examples: &[
            Example { line: "quiver status", effect: "See who is connected, and who was" },
            Example { line: "quiver status --here", effect: "See only who is connected" },
            Example {
                line: "quiver --server files.example.org status --json",
                effect: "The same of another server, for a script",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "list",
        examples: &[
            Example { line: "quiver list", effect: "List the folder at the top" },
            Example { line: "quiver list notes", effect: "List a folder" },
            Example {
                line: "quiver list -l -r --sort size",
                effect: "List everything with sizes and times, by size",
            },
            Example {
                line: "quiver list notes --json",
                effect: "The same with sizes and times, for a script",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "get",
        description: &[
            "A file gets its name only when its hash is verified and its content is on the disk. An interrupted get \
             keeps what it has; the same command, or quiver resume, continues it. Files with the same content are \
             left as they are.",
        ],
        examples: &[
            Example {
                line: "quiver get notes/todo.txt",
                effect: "Fetch a file into the current folder",
            },
            Example {
                line: "quiver get -r photos -o ~/Pictures",
                effect: "Fetch a folder and everything in it into another folder",
            },
            Example {
                line: "quiver get '*.pdf' --skip",
                effect: "Fetch all PDF files that are not here yet",
            },
            Example {
                line: "quiver get backup.tar.gz -o - | tar tz",
                effect: "Pass a file to another program",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "put",
        description: &[
            "The server confirms a file when it is verified and on its disk. The server must allow uploads, and so \
             must your account if it has one. An interrupted put keeps what the server has; the same command, or \
             quiver resume, continues it.",
        ],
        examples: &[
            Example { line: "quiver put report.pdf", effect: "Store a file at the top" },
            Example {
                line: "quiver put -r photos --to archive/2026",
                effect: "Store a folder and everything in it in a folder of the server",
            },
            Example {
                line: "quiver put -r photos --dry-run",
                effect: "Show what would be done with each file",
            },
            Example {
                line: "tar cz notes | quiver put - --as notes.tar.gz",
                effect: "Store what another program writes",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "rm",
        examples: &[
            Example {
                line: "quiver rm old.txt notes/draft.txt",
                effect: "Remove two files, after a question",
            },
            Example { line: "quiver rm --yes old.txt", effect: "Remove a file without a question" },
            Example { line: "quiver rm -r drafts", effect: "Remove a folder and everything in it" },
            Example { line: "quiver rm 'logs/*.txt'", effect: "Remove what a pattern matches" },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "mv",
        examples: &[
            Example { line: "quiver mv draft.txt report.txt", effect: "Rename a file" },
            Example { line: "quiver mv report.txt archive/", effect: "Move a file into a folder" },
            Example {
                line: "quiver mv new.txt report.txt --overwrite",
                effect: "Replace a file by another one",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "mkdir",
        examples: &[
            Example { line: "quiver mkdir archive/2026", effect: "Make a folder, and its parent" },
            Example {
                line: "quiver mkdir -p archive notes",
                effect: "Make those of two folders that are missing",
            },
        ],
        ..Topic::EMPTY
    },
];
