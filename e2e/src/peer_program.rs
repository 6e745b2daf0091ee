//! A `quiver` whose standard output is JSON events about other clients, one on each line.

use std::io::PipeWriter;

use serde_json::Value;

use crate::deadline::{TIMEOUT, wait_within};
use crate::process::{Process, Signal};
use crate::quiver::{Home, QuiverCommand};
use crate::server::Server;

/// A running `quiver receive --json`, or another command with such events.
#[derive(Debug)]
pub struct PeerProgram {
    /// The process.
    pub process: Process,
    /// Events that were waited for, or passed over.
    read: usize,
}

impl PeerProgram {
    /// Starts a command.
    #[must_use]
    pub fn start(command: &QuiverCommand) -> Self {
        Self { process: command.start(), read: 0 }
    }

    /// Starts a command whose standard input is a pipe.
    #[must_use]
    pub fn start_with_pipe(command: &QuiverCommand) -> (Self, PipeWriter) {
        let (process, writer) = command.start_with_pipe();
        (Self { process, read: 0 }, writer)
    }

    /// Starts `receive --json` with more arguments, and waits until other clients can reach it.
    ///
    /// # Panics
    /// If it ends before.
    pub async fn receive(server: &Server, home: &Home, name: &str, arguments: &[&str]) -> Self {
        let command = home.quiver_as(server, name, ["receive", "--json"]).arguments(arguments);
        let program = Self::start(&command);
        program.wait_until_listening().await;
        program
    }

    /// Waits until other clients can reach a `receive --json`.
    ///
    /// # Panics
    /// If it ends before.
    pub async fn wait_until_listening(&self) {
        let listening = |line: &str| line.contains("\"listening\"").then_some(());
        let found = wait_within(TIMEOUT, "listening", self.process.stdout.wait(listening)).await;
        assert!(found.is_some(), "{:?}", self.process.stderr.lines());
    }

    /// Waits for a line of standard error with this text, and returns it.
    ///
    /// # Panics
    /// If there is none.
    pub async fn wait_for_text(&self, text: &str) -> String {
        let line = self.process.stderr.wait(|line| line.contains(text).then(|| line.to_owned()));
        let line = wait_within(TIMEOUT, text, line).await;
        line.unwrap_or_else(|| panic!("no {text:?}: {:?}", self.process.stderr.lines()))
    }

    /// Waits for the next event of this name, and returns it. Passes over others.
    ///
    /// # Panics
    /// If there is none.
    pub async fn next_event(&mut self, name: &str) -> Value {
        let (mut seen, read) = (0, self.read);
        let found = self.process.stdout.wait(|line| {
            seen += 1;
            let event: Value = serde_json::from_str(line).unwrap();
            (seen > read && event["event"] == name).then_some(event)
        });
        let found = wait_within(TIMEOUT, name, found).await;
        self.read = seen;
        found.unwrap_or_else(|| {
            let (events, errors) = (self.process.stdout.lines(), self.process.stderr.lines());
            panic!("no {name}: {events:#?} {errors:#?}")
        })
    }

    /// All events so far.
    ///
    /// # Panics
    /// If a line is no JSON.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        let lines = self.process.stdout.lines();
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The events of this name so far.
    #[must_use]
    pub fn events_called(&self, name: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["event"] == name);
        events
    }

    /// Ends it as Ctrl-C does, so that it leaves the server at once.
    ///
    /// # Panics
    /// If it keeps running.
    pub async fn interrupt(mut self) {
        self.process.signal(Signal::INT);
        self.expect_exit(130).await;
    }

    /// Waits for the end, and checks the exit code.
    ///
    /// # Panics
    /// If it is another.
    pub async fn expect_exit(&mut self, code: i32) {
        let status = self.process.wait_for_exit(TIMEOUT).await;
        let (events, errors) = (self.process.stdout.lines(), self.process.stderr.lines());
        assert_eq!(status.code(), Some(code), "{events:#?} {errors:#?}");
    }
}
