//! `sendme send`: the end of sendme that has the content.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::running::Running;
use crate::stage::Stage;

/// No relay, addresses in the ticket: nothing but the two ends is asked.
pub(crate) const OFFLINE: [&str; 2] = ["--relay", "disabled"];

/// What it remembers of what it offers, in the stage's folder.
pub(crate) const STORE: &str = "sendme";

#[derive(Debug)]
pub(crate) struct Sender {
    process: Running,
    pub(crate) ticket: String,
}

impl Sender {
    /// Offers a file or a folder; returns when all of it is hashed and the ticket is there.
    pub(crate) fn start(stage: &Stage, content: &Path) -> Self {
        let store = stage.at(STORE);
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
        let mut process = Running::start(&mut command);
        let mut said = BufReader::new(process.child().stdout.take().unwrap()).lines();
        let ticket = loop {
            let line = said.next().expect("sendme offers the content").unwrap();
            if let Some(ticket) = line.strip_prefix("sendme receive ") {
                break ticket.trim().to_owned();
            }
        };
        std::thread::spawn(move || said.for_each(drop));
        Self { process, ticket }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}
