//! A transfer of one file between a client in a lab and the server, while the path between them changes.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::path::PathBuf;

use quiver_e2e::kills::TransferKind;
use quiver_e2e::nat_lab::{Lab, Side, Topology};
use quiver_e2e::process::Process;
use quiver_e2e::random::Random;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use serde_json::Value;

/// A running transfer of `big`, of which some content is stored.
pub(crate) struct RunningTransfer {
    pub(crate) lab: Lab,
    pub(crate) server: Server,
    pub(crate) kind: TransferKind,
    pub(crate) process: Process,
    home: Home,
    content: Vec<u8>,
}

/// What the client has reported of a transfer that has succeeded.
pub(crate) struct FinishedTransfer {
    /// Bytes of content that were sent, as often as they were.
    pub(crate) moved: u64,
    /// Where the last attempt started.
    pub(crate) resumed_at: u64,
    /// What the client has printed to standard error.
    pub(crate) stderr: String,
}

impl RunningTransfer {
    /// Starts a transfer of `size` bytes with a limit of the rate, and waits until more than a twelfth is stored.
    pub(crate) async fn start(
        kind: TransferKind,
        topology: Topology,
        size: u64,
        limit: &str,
    ) -> Self {
        let lab = Lab::new(topology);
        let options = Server::options().argument("--allow-upload");
        let server = options.on_host(lab.server()).start().await;
        let home = Home::new();
        let content = Random::new(16).bytes(size as usize);
        let command = match kind {
            TransferKind::Get => {
                server.add_file("big", &content);
                "get"
            }
            TransferKind::Put => {
                fs::write(home.file("big"), &content).unwrap();
                "put"
            }
        };
        let arguments = [command, "big", "--json", "--limit", limit];
        let process =
            home.quiver_as(&server, "Ron", arguments).on_host(lab.client(Side::A)).start();
        let running = Self { lab, server, kind, process, home, content };
        running.wait_until_stored(size / 12).await;
        running
    }

    /// Waits until more than so many bytes are stored.
    pub(crate) async fn wait_until_stored(&self, bytes: u64) {
        wait_until("some of the content", || self.stored() > bytes).await;
    }

    /// Bytes that the receiver has stored in a partial file.
    pub(crate) fn stored(&self) -> u64 {
        let files = match self.kind {
            TransferKind::Get => self.home.partial_files(),
            TransferKind::Put => {
                let is_partial = |name: &String| name.starts_with(".quiver-");
                let names = quiver_e2e::quiver::names(&self.server.files());
                let names = names.into_iter().filter(is_partial);
                names.map(|name| self.server.files().join(name)).collect()
            }
        };
        let lengths = files.iter().filter_map(|file| fs::metadata(file).ok());
        lengths.map(|metadata| metadata.len()).max().unwrap_or(0)
    }

    pub(crate) fn target(&self) -> PathBuf {
        match self.kind {
            TransferKind::Get => self.home.file("big"),
            TransferKind::Put => self.server.files().join("big"),
        }
    }

    /// Waits until the transfer has succeeded. Checks what was stored, and that the client leaves no journal.
    pub(crate) async fn finish(mut self) -> FinishedTransfer {
        let status = self.process.wait_for_exit(2 * TIMEOUT).await;
        let stderr = self.process.stderr.lines().join("\n");
        assert_eq!(status.code(), Some(0), "{stderr}");
        assert!(fs::read(self.target()).unwrap() == self.content, "the content differs");
        assert!(self.home.journal().is_empty());
        let line: Value = serde_json::from_str(&self.process.stdout.lines()[0]).unwrap();
        let moved = match self.kind {
            TransferKind::Get => line["received"].as_u64().unwrap(),
            TransferKind::Put => line["sent"].as_u64().unwrap(),
        };
        let resumed_at = line["resumed_at"].as_u64().unwrap();
        FinishedTransfer { moved, resumed_at, stderr }
    }
}
