//! `sendme send`, which offers the content.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::child_process::ChildProcess;
use crate::fixtures::WorkFolder;

/// Disables relays. With addresses in the ticket, sendme contacts no other machine.
pub(crate) const OFFLINE: [&str; 2] = ["--relay", "disabled"];

/// sendme's store of offered content, in the work folder.
pub(crate) const STORE: &str = "sendme";

#[derive(Debug)]
pub(crate) struct SendmeSender {
    process: ChildProcess,
    pub(crate) ticket: String,
}

impl SendmeSender {
    /// Offers a file or a folder. Returns when it is hashed and sendme has printed the ticket.
    pub(crate) fn start(work_folder: &WorkFolder, content: &Path) -> Self {
        let store = work_folder.path(STORE);
        std::fs::create_dir_all(&store).unwrap();
        let mut command = Command::new("sendme");
        command
            .args(["send", "--no-progress", "--ticket-type", "addresses"])
            .args(OFFLINE)
            .arg(content)
            .current_dir(&store)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = ChildProcess::start(&mut command);
        let mut output = BufReader::new(process.child().stdout.take().unwrap()).lines();
        let ticket = loop {
            let line = output.next().expect("sendme offers the content").unwrap();
            if let Some(ticket) = line.strip_prefix("sendme receive ") {
                break ticket.trim().to_owned();
            }
        };
        std::thread::spawn(move || output.for_each(drop));
        Self { process, ticket }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}
