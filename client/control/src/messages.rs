//! The messages between processes, as `client/page/web/messages.d.ts` describes them, each a line.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;
use crate::view::TransferView;

/// Bytes of a request.
pub(crate) const MAX_REQUEST: usize = 64 * 1024;

/// Bytes of a reply or an event: a list of transfers with long names.
pub(crate) const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// A request with the number that its reply repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NumberedRequest<T> {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) request: T,
}

/// The number of a request that may be invalid otherwise.
#[derive(Debug, Deserialize)]
pub(crate) struct RequestNumber {
    pub(crate) id: u64,
}

/// A request to another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum ControlRequest {
    Transfers,
    #[serde(rename = "watch")]
    WatchTransfers,
    Pause {
        transfer: String,
    },
    Resume {
        transfer: String,
    },
    Cancel {
        transfer: String,
    },
    TransferFiles {
        transfer: String,
        after: u64,
        limit: usize,
    },
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ControlReply {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) outcome: ControlOutcome,
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ControlOutcome {
    Ok(Value),
    Error(Failure),
}

/// The transfers of a process: the reply to `transfers`, and without the entries of the journal to `watch`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessSnapshot {
    pub(crate) transfers: Vec<TransferView>,
    /// The entries of the journal whose transfers the process runs, by id in hexadecimal digits.
    #[serde(default)]
    pub(crate) journal: Vec<String>,
}

/// What has changed since the event before. Events of a connection have consecutive numbers from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ControlEvent {
    pub(crate) event: u64,
    #[serde(flatten)]
    pub(crate) content: ControlEventContent,
}

/// What an event reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum ControlEventContent {
    Transfers { transfers: Vec<TransferView>, gone: Vec<String> },
}

/// What a process sends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum ControlMessage {
    Event(ControlEvent),
    Reply(ControlReply),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_have_the_form_of_the_contract() {
        let request = ControlRequest::Pause { transfer: "7:1".to_owned() };
        let numbered = NumberedRequest { id: 3, request };
        let text = json!({"id": 3, "do": "pause", "transfer": "7:1"});
        assert_eq!(serde_json::to_value(&numbered).unwrap(), text);
        assert_eq!(serde_json::from_value::<NumberedRequest<_>>(text).unwrap(), numbered);
        let text =
            json!({"id": 4, "do": "transfer_files", "transfer": "7:1", "after": 0, "limit": 9});
        assert!(serde_json::from_value::<ControlRequest>(text).is_ok());
        for invalid in [json!({"id": 1}), json!({"id": 1, "do": "say"}), json!({"do": "pause"})] {
            assert!(serde_json::from_value::<NumberedRequest<ControlRequest>>(invalid).is_err());
        }
        let reply = ControlReply { id: 3, outcome: ControlOutcome::Ok(json!({})) };
        assert_eq!(serde_json::to_value(reply).unwrap(), json!({"id": 3, "ok": {}}));
        let failure = Failure::new("not_found", "no");
        let reply = ControlReply { id: 4, outcome: ControlOutcome::Error(failure) };
        let text = json!({"id": 4, "error": {"code": "not_found", "text": "no"}});
        assert_eq!(serde_json::to_value(&reply).unwrap(), text);
        let message: ControlMessage = serde_json::from_value(text).unwrap();
        assert_eq!(message, ControlMessage::Reply(reply));
        let text = json!({"event": 1, "kind": "transfers", "transfers": [], "gone": ["7:1"]});
        let message: ControlMessage = serde_json::from_value(text).unwrap();
        let gone = vec!["7:1".to_owned()];
        let content = ControlEventContent::Transfers { transfers: Vec::new(), gone };
        assert_eq!(message, ControlMessage::Event(ControlEvent { event: 1, content }));
    }
}
