//! What `--verbose` says: how the connection was made, and how transfers have ended. Pure.

use quiver_client::connection_detail::{ConnectionDetail, TrustSource};
use quiver_client::journal::Direction;
use quiver_client::transfers::{TransferState, TransferStatus};
use quiver_protocol::text::{display_path, display_safe};
use quiver_protocol::units;
use quiver_transport::PathFacts;

use crate::output::SERVER;

/// The sentence about a step on the way to a session.
#[must_use]
pub fn connection(detail: &ConnectionDetail) -> String {
    match detail {
        ConnectionDetail::Trusted { fingerprint, source } => {
            let source = match source {
                TrustSource::Certificate(path) => format!("from {}", display_path(path)),
                TrustSource::KnownServers { file, line } => {
                    format!("from {}, line {line}", display_path(file))
                }
                TrustSource::Confirmed => "as you have confirmed".to_owned(),
            };
            format!("The server's key must have the fingerprint {fingerprint}, {source}.")
        }
        ConnectionDetail::Dialling { server } => format!("Connecting to {server}."),
        ConnectionDetail::Dialled { path, took } => {
            let PathFacts { address, congestion, .. } = path;
            format!(
                "Connected to {address} in {:.1} ms, with QUIC, TLS 1.3 and congestion control by {}.",
                took.as_secs_f64() * 1000.0,
                congestion.algorithm.describe(),
            )
        }
        ConnectionDetail::SignedIn { name, client, may_upload } => {
            let rights = if *may_upload { "may change files" } else { "may read files" };
            format!("Signed in as {name}, client {client}, who {rights} on the server.")
        }
    }
}

/// The path of a connection, once it has carried something.
#[must_use]
pub fn path(facts: &PathFacts) -> String {
    let PathFacts { address, mtu, .. } = facts;
    format!("The path to {address}: {facts}, datagrams of up to {mtu} bytes.")
}

/// How a transfer has ended.
#[must_use]
pub fn ended(status: &TransferStatus) -> String {
    let name = status.named.first().map_or("", String::as_str);
    let more = match status.named.len() {
        0 | 1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let result = match status.state {
        TransferState::Done => "is complete",
        TransferState::Failed => "has failed",
        TransferState::Cancelled => "was cancelled",
        TransferState::Planning
        | TransferState::WaitingForAnswer
        | TransferState::Running
        | TransferState::Paused
        | TransferState::Reconnecting => "has not ended",
    };
    let what = match status.direction {
        Direction::Get => "download",
        Direction::Put => "upload",
    };
    let (files, received) =
        (units::counted(status.files_done, "file"), units::bytes(status.received));
    let limit = status
        .limited_by
        .map_or_else(String::new, |limit| format!(", limited by {}", limit.describe(SERVER)));
    format!(
        "The {what} of {}{more} {result}: {files} finished, {received} received, {} verified{limit}.",
        display_safe(name),
        units::bytes(status.verified),
    )
}

#[cfg(test)]
mod tests {
    use quiver_protocol::Fingerprint;

    use super::*;

    #[test]
    fn the_source_of_a_key_is_named() {
        let trusted = |source| {
            let fingerprint = Fingerprint([1; 32]);
            connection(&ConnectionDetail::Trusted { fingerprint, source })
        };
        let file = "/s/known\u{202e}".into();
        let known = trusted(TrustSource::KnownServers { file, line: 3 });
        assert!(known.ends_with(", from /s/known\\u{202e}, line 3."), "{known}");
        assert!(known.contains(&"01".repeat(32)), "{known}");
        assert!(trusted(TrustSource::Confirmed).ends_with(", as you have confirmed."));
    }
}
