//! The manual of `quiver-server`: what its help and man pages say beside its clap definition.

use quiver_manual::{Manual, Topic};

const TOPICS: &[Topic] = &[Topic { description: &[DESCRIPTION], ..Topic::EMPTY }];

/// The manual of the program.
pub const MANUAL: Manual = Manual {
    topics: TOPICS,
    exit_codes: &[("0", "done"), ("1", "failed"), ("2", "usage")],
    files: &[
        ("files", "The folder that is served (--files)."),
        ("certs/server.pem", "The certificate, which clients may pin (--certs)."),
        ("certs/server.key", "Its key, which only the server's user may read."),
        ("state", "The record of who stored what (--state), if clients may store files."),
    ],
    environment: &[("RUST_LOG", "Filters for the log, for developers.")],
    see_also: &["quiver"],
};

const DESCRIPTION: &str = "\
The server needs one UDP port and no other privilege. Clients connect by name with quiver, see who is connected, \
exchange messages, and fetch the files of one folder; with --allow-upload they also store files. The certificate is \
made at the first start.";
