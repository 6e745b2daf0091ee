//! A user of the page of `quiver gui` who has signed in and drops files on it, and what the process keeps of those.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::deadline::wait_until;
use crate::page_program::{PageProgram, SpooledFile};
use crate::page_socket::PageSocket;
use crate::quiver::Home;
use crate::server::Server;

/// When dropped files were modified, in milliseconds since 1970.
pub const DROPPED_AT: i64 = 1_500_000_000_123;

/// A page that has signed in.
#[derive(Debug)]
pub struct PageUser {
    /// The process.
    pub page: PageProgram,
    /// The secret of the tab.
    pub secret: String,
    /// The tab's WebSocket.
    pub socket: PageSocket,
}

impl PageUser {
    /// Opens a page that other clients can reach.
    ///
    /// # Panics
    /// If it cannot sign in.
    pub async fn open(home: &Home, server: &Server, name: &str, arguments: &[&str]) -> Self {
        Self::open_at(home, server, &server.address().to_string(), name, arguments).await
    }

    /// Opens a page that reaches the server at this address.
    ///
    /// # Panics
    /// If it cannot sign in.
    pub async fn open_at(
        home: &Home,
        server: &Server,
        address: &str,
        name: &str,
        arguments: &[&str],
    ) -> Self {
        let arguments = ["gui", "--no-open"].iter().chain(arguments);
        let page = PageProgram::start(&home.quiver(arguments)).await;
        let secret = page.secret().await;
        let mut socket = PageSocket::open(page.address(), &secret).await;
        let request = json!({
            "do": "connect", "server": address, "name": name, "certificate": server.certificate(),
        });
        let id = socket.start_request(request).await;
        let is_listening = |event: &Value| event["connection"]["listening"] == true;
        socket.wait_for_event("connection", is_listening).await;
        socket.wait_for_reply(id).await.unwrap();
        Self { page, secret, socket }
    }

    /// Hands over a file. Returns the status and the code of a refusal.
    ///
    /// # Panics
    /// If the response has another form.
    pub async fn spool(&self, dropped: &str, path: &str, content: &[u8]) -> (u16, Value) {
        let file = SpooledFile { dropped, path, content, modified: DROPPED_AT };
        let response = self.page.spool(&self.secret, file).await;
        let body: Value = serde_json::from_str(&response.body).unwrap();
        if response.status == 200 {
            assert_eq!(body, json!({ "spooled": content.len() }));
        }
        (response.status, body["code"].clone())
    }

    /// Stores a drop on the server. Returns the transfer.
    ///
    /// # Errors
    /// The failure.
    pub async fn put(&mut self, dropped: &str, to: &str) -> Result<Value, Value> {
        let put =
            json!({ "do": "put_spooled", "drop": dropped, "to": to, "on_conflict": "replace" });
        self.socket.request(put).await.map(|mut reply| reply["transfer"].take())
    }

    /// Waits until a transfer has this state.
    ///
    /// # Panics
    /// If it has not.
    pub async fn wait_for_transfer(&mut self, transfer: &Value, state: &str) -> Value {
        let find = |event: &Value| {
            let transfers = event["transfers"].as_array().unwrap();
            let is_found = |view: &&Value| view["transfer"] == *transfer && view["state"] == state;
            transfers.iter().find(is_found).cloned()
        };
        let event = self.socket.wait_for_event("transfers", |event| find(event).is_some()).await;
        find(&event).unwrap()
    }
}

/// The folder of dropped content.
#[must_use]
pub fn spool_folder(home: &Home) -> PathBuf {
    home.root().join("cache/quiver/spool")
}

/// The files in it.
#[must_use]
pub fn spooled_files(home: &Home) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![spool_folder(home)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "lock") => {}
                false => found.push(path),
            }
        }
    }
    found
}

/// Waits until there is none.
pub async fn wait_for_empty_spool(home: &Home) {
    wait_until("an empty spool", || spooled_files(home).is_empty()).await;
}
