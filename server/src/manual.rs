//! The manual of `quiver-server`: what its help and man pages say beside its clap definition.

use quiver_manual::{Example, Manual, Topic};

const TOPICS: &[Topic] = &[
    Topic {
        command: "",
        description: &[DESCRIPTION, STOPPING],
        examples: SERVE_EXAMPLES,
        ..Topic::EMPTY
    },
    Topic {
        command: "serve",
        description: &[DESCRIPTION, STOPPING],
        examples: SERVE_EXAMPLES,
        ..Topic::EMPTY
    },
    Topic {
        command: "cert",
        examples: &[
            Example {
                line: "quiver-server cert show",
                effect: "Show the fingerprint that clients see",
            },
            Example {
                line: "quiver-server cert new --host files.example.org",
                effect: "Make a certificate for a host",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "cert new",
        description: &[
            "Clients that know the certificate refuse another one until they forget it.",
        ],
        examples: &[
            Example {
                line: "quiver-server cert new --host files.example.org --host 192.0.2.7",
                effect: "Make a certificate with two names",
            },
            Example {
                line: "quiver-server cert new --certs /srv/quiver/certs --days 365 --force",
                effect: "Replace one by another that is valid for a year",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "cert show",
        examples: &[
            Example { line: "quiver-server cert show", effect: "Show the certificate in ./certs" },
            Example {
                line: "quiver-server cert show --certs /srv/quiver/certs",
                effect: "Show that of another folder",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "user",
        examples: &[
            Example {
                line: "quiver-server user add Ron --passwords users",
                effect: "Add an account, or give it a new password",
            },
            Example {
                line: "quiver-server user list --passwords users",
                effect: "List the accounts",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "user add",
        description: &["A running server reads the file again by itself."],
        examples: &[
            Example {
                line: "quiver-server user add Ron --passwords users",
                effect: "Ask for a password, and add an account that may read",
            },
            Example {
                line: "quiver-server user add Ron --passwords users --may upload",
                effect: "Add one that may store files too",
            },
            Example {
                line: "pwgen 20 1 | quiver-server user add Ron --passwords users --password-stdin",
                effect: "Take the password from another program",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "user remove",
        examples: &[
            Example {
                line: "quiver-server user remove Ron --passwords users",
                effect: "Remove an account",
            },
            Example {
                line: "quiver-server user remove Ron --passwords /srv/quiver/users",
                effect: "Remove it from another file",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "user list",
        examples: &[
            Example {
                line: "quiver-server user list --passwords users",
                effect: "List the accounts",
            },
            Example {
                line: "quiver-server user list --passwords /srv/quiver/users",
                effect: "List those of another file",
            },
        ],
        ..Topic::EMPTY
    },
    Topic {
        command: "completions",
        examples: &[
            Example {
                line: "quiver-server completions bash >> ~/.bashrc",
                effect: "Complete commands in bash from the next shell on",
            },
            Example {
                line: "quiver-server completions fish > ~/.config/fish/completions/quiver-server.fish",
                effect: "In fish",
            },
        ],
        is_standalone: true,
        ..Topic::EMPTY
    },
    Topic {
        command: "man",
        examples: &[
            Example {
                line: "quiver-server man user add | man -l -",
                effect: "Read the page of a command",
            },
            Example {
                line: "quiver-server man --output ~/.local/share/man/man1",
                effect: "Store all pages where man finds them",
            },
        ],
        is_standalone: true,
        ..Topic::EMPTY
    },
];

const SERVE_EXAMPLES: &[Example] = &[
    Example {
        line: "quiver-server",
        effect: "Serve the folder ./files to three clients at a time",
    },
    Example {
        line: "quiver-server --files /srv/files --allow-upload --quota 10GB",
        effect: "Let clients store files, up to 10 GB each",
    },
    Example {
        line: "quiver-server --passwords users --max-clients 50",
        effect: "Admit only accounts, see user add",
    },
    Example {
        line: "quiver-server --listen 192.0.2.7:4433 --metrics 9464",
        effect: "Listen on one address, with metrics for Prometheus",
    },
];

const STOPPING: &str = "\
SIGTERM and SIGINT stop the server. Running transfers get eight seconds to end; a second signal stops it at once.";

/// The manual of the program.
pub const MANUAL: Manual = Manual {
    topics: &[TOPICS],
    exit_codes: &[("0", "done"), ("1", "failed"), ("2", "usage")],
    files: &[
        ("files", "The folder that is served (--files)."),
        ("certs/server.pem", "The certificate, which clients may pin (--certs)."),
        ("certs/server.key", "Its key, which only the server's user may read."),
        ("state", "The record of who stored what (--state), if clients may store files."),
    ],
    environment: &[
        ("NO_COLOR", "Logs without colours if it is set and not empty."),
        ("RUST_LOG", "Filters for the log, for developers."),
    ],
    see_also: &["quiver"],
};

const DESCRIPTION: &str = "\
The server needs one UDP port and no other privilege. Clients connect by name with quiver, see who is connected, \
exchange messages, and fetch the files of one folder; with --allow-upload they also store files. The certificate is \
made at the first start.";

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use super::*;
    use crate::cli::ServerArgs;

    #[test]
    fn every_command_has_examples_that_parse() {
        let mut program = ServerArgs::command();
        program.build();
        check_examples(&program, "");
    }

    fn check_examples(command: &Command, words: &str) {
        let examples = MANUAL.topic(words).examples;
        assert!((2..=4).contains(&examples.len()), "{words:?} has {} examples", examples.len());
        for example in examples {
            let line = shlex::split(example.line).unwrap().into_iter();
            let own = line.skip_while(|word| word != "quiver-server");
            let own = own.take_while(|word| !["|", ">", ">>"].contains(&&**word));
            let parsed = ServerArgs::command().try_get_matches_from(own);
            assert!(parsed.is_ok(), "{}: {}", example.line, parsed.unwrap_err());
        }
        for own in command.get_subcommands().filter(|own| own.get_name() != "help") {
            check_examples(own, format!("{words} {}", own.get_name()).trim());
        }
    }
}
