//! A running `quiver transfers --watch --json`: the transfers of all processes of a home, as they change.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::deadline::{TIMEOUT, wait_within};
use crate::process::Process;
use crate::quiver::QuiverCommand;

/// The transfers as its lines report them.
#[derive(Debug)]
pub struct TransferWatch {
    /// The process.
    pub process: Process,
    read: usize,
    transfers: BTreeMap<String, Value>,
}

impl TransferWatch {
    /// Starts it with the home and the variables of a command without arguments.
    #[must_use]
    pub fn start(command: QuiverCommand) -> Self {
        let process = command.arguments(["transfers", "--watch", "--json"]).start();
        Self { process, read: 0, transfers: BTreeMap::new() }
    }

    /// Waits until `wanted` accepts one of the transfers, and returns it.
    ///
    /// # Panics
    /// If there is none within [`TIMEOUT`].
    pub async fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait(what, |transfers| transfers.values().find(|view| wanted(view)).cloned()).await
    }

    /// Waits until there is no transfer.
    ///
    /// # Panics
    /// If there is one after [`TIMEOUT`].
    pub async fn wait_for_none(&mut self) {
        self.wait("no transfer", |transfers| transfers.is_empty().then_some(())).await;
    }

    async fn wait<T>(
        &mut self,
        what: &str,
        find: impl Fn(&BTreeMap<String, Value>) -> Option<T>,
    ) -> T {
        let (lines, transfers, read) =
            (self.process.stdout.clone(), &mut self.transfers, &mut self.read);
        if *read > 0
            && let Some(found) = find(transfers)
        {
            return found;
        }
        let (skipped, mut seen) = (*read, 0);
        let found = lines.wait(|line| {
            seen += 1;
            if seen <= skipped {
                return None;
            }
            *read = seen;
            apply(transfers, line);
            find(transfers)
        });
        let found = wait_within(TIMEOUT, what, found).await;
        found.unwrap_or_else(|| panic!("no {what}: {:?}", self.process.stderr.lines()))
    }
}

fn apply(transfers: &mut BTreeMap<String, Value>, line: &str) {
    let event: Value = serde_json::from_str(line).unwrap();
    assert_eq!(event["kind"], "transfers", "{line}");
    for view in event["transfers"].as_array().unwrap() {
        transfers.insert(view["transfer"].as_str().unwrap().to_owned(), view.clone());
    }
    for name in event["gone"].as_array().unwrap() {
        transfers.remove(name.as_str().unwrap());
    }
}
