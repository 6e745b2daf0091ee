//! The messages between the page and this process, as `web/messages.d.ts` describes them.

use std::borrow::Cow;

use quiver_client::question::Answer;
use quiver_client::tree::Decision;
use quiver_control::Failure;
use quiver_control::view::TransferView;
use quiver_protocol::{ClientName, Secret};
use serde::{Deserialize, Serialize};

use crate::peer_name::PeerName;
use crate::spool::DropId;
use crate::views::{
    ConnectionView, ConversationView, IncomingOfferView, MessageView, OutgoingOfferView,
    PageSettings, Person, QuestionView, RecentServer,
};

/// The first message of a page.
#[derive(Debug, Deserialize)]
pub(crate) struct Hello {
    /// The tab's secret.
    pub(crate) secret: Secret,
}

/// The number that a request's reply repeats.
#[derive(Debug, Deserialize)]
pub(crate) struct RequestId {
    pub(crate) id: u64,
}

/// A request.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum PageRequest {
    Connect {
        server: String,
        name: String,
        certificate: Option<String>,
    },
    Disconnect,
    Answer {
        question: u64,
        answer: AnswerText,
    },
    Say {
        to: PeerName,
        text: String,
    },
    Messages {
        with: PeerName,
        before: Option<u64>,
        limit: usize,
    },
    MarkRead {
        with: PeerName,
    },
    ClearHistory {
        with: Option<PeerName>,
    },
    Verify {
        name: ClientName,
    },
    Block {
        name: ClientName,
        blocked: bool,
    },
    Forget {
        name: ClientName,
    },
    Path {
        name: ClientName,
    },
    List {
        folder: String,
        after: Option<String>,
        limit: usize,
    },
    MakeFolder {
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        paths: Vec<String>,
    },
    ListLocal {
        folder: String,
        after: Option<String>,
        limit: usize,
    },
    ShowInFolder {
        path: String,
    },
    Get {
        paths: Vec<String>,
        folder: Option<String>,
        on_conflict: OnConflict,
    },
    Put {
        paths: Vec<String>,
        to: String,
        on_conflict: OnConflict,
    },
    Send {
        name: ClientName,
        paths: Vec<String>,
    },
    Accept {
        offer: u64,
        folder: Option<String>,
    },
    Decline {
        offer: u64,
    },
    Withdraw {
        offer: u64,
    },
    AlwaysAccept {
        name: ClientName,
        folder: Option<String>,
    },
    Transfers,
    Pause {
        transfer: String,
    },
    Resume {
        transfer: String,
    },
    Cancel {
        transfer: String,
    },
    Retry {
        transfer: String,
    },
    RemoveTransfer {
        transfer: String,
    },
    TransferFiles {
        transfer: String,
        after: u64,
        limit: usize,
    },
    PutSpooled {
        #[serde(rename = "drop")]
        dropped: DropText,
        to: String,
        on_conflict: OnConflict,
    },
    SendSpooled {
        #[serde(rename = "drop")]
        dropped: DropText,
        name: ClientName,
    },
    DiscardSpooled {
        #[serde(rename = "drop")]
        dropped: DropText,
    },
    Settings {
        change: SettingsChange,
    },
}

/// The id of a drop, as a page writes it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct DropText(pub(crate) DropId);

impl TryFrom<String> for DropText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        DropId::parse(&text).map(Self).ok_or("not 16 hex digits")
    }
}

/// What to do with files that exist with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnConflict {
    Ask,
    Replace,
    KeepBoth,
    Skip,
}

/// The answer to a question. Exactly one of these is given, beside `for_all`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum AnswerText {
    Trust { trust: bool },
    Name { name: String },
    Password { password: Secret },
    Replace { replace: bool },
    Confirm { confirm: bool },
    Conflict { decision: Decision, for_all: bool },
}

impl From<AnswerText> for Answer {
    fn from(answer: AnswerText) -> Self {
        match answer {
            AnswerText::Trust { trust } => Self::Trust(trust),
            AnswerText::Name { name } => Self::Name(name),
            AnswerText::Password { password } => Self::Password(password),
            AnswerText::Replace { replace } => Self::Replace(replace),
            AnswerText::Confirm { confirm } => Self::Confirm(confirm),
            AnswerText::Conflict { decision, for_all } => Self::Conflict { decision, for_all },
        }
    }
}

/// The settings that a page changes.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct SettingsChange {
    pub(crate) folder: Option<String>,
    pub(crate) history: Option<bool>,
    pub(crate) announce: Option<bool>,
    pub(crate) wait_for_slot: Option<bool>,
}

/// A reply.
#[derive(Debug, Serialize)]
pub(crate) struct PageReply {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) outcome: ReplyOutcome,
}

/// The outcome of a request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReplyOutcome {
    Ok(serde_json::Value),
    Error(Failure),
}

/// An event with its number, or a snapshot with that of the last event that it includes.
#[derive(Debug, Serialize)]
pub(crate) struct NumberedEvent<'a> {
    pub(crate) event: u64,
    #[serde(flatten)]
    pub(crate) content: &'a PageEvent,
}

/// What has changed. Changed objects are whole, and replace those with the same key.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum PageEvent {
    Snapshot { run: String, snapshot: Box<PageSnapshot> },
    Connection { connection: ConnectionView },
    People { people: Vec<Person> },
    Message { message: MessageView },
    Conversation { conversation: ConversationView },
    HistoryCleared { with: Option<PeerName> },
    IncomingOffer { offer: IncomingOfferView },
    OutgoingOffer { offer: OutgoingOfferView },
    Transfers { transfers: Vec<TransferView>, gone: Vec<String> },
    Question { question: QuestionView },
    QuestionSettled { question: u64 },
    Notice { code: Cow<'static, str>, text: String },
    FolderChanged { folder: String },
    Settings { settings: PageSettings },
}

/// All that a page shows.
#[derive(Debug, Serialize)]
pub(crate) struct PageSnapshot {
    pub(crate) version: &'static str,
    pub(crate) connection: ConnectionView,
    pub(crate) recent: Vec<RecentServer>,
    pub(crate) people: Vec<Person>,
    pub(crate) conversations: Vec<ConversationView>,
    pub(crate) incoming: Vec<IncomingOfferView>,
    pub(crate) outgoing: Vec<OutgoingOfferView>,
    pub(crate) transfers: Vec<TransferView>,
    pub(crate) questions: Vec<QuestionView>,
    pub(crate) settings: PageSettings,
    pub(crate) home: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_are_read_as_the_page_writes_them() {
        let text = r#"{"id":7,"do":"answer","question":3,"answer":{"decision":"keep_both","for_all":true}}"#;
        assert_eq!(serde_json::from_str::<RequestId>(text).unwrap().id, 7);
        let PageRequest::Answer { question: 3, answer } = serde_json::from_str(text).unwrap()
        else {
            panic!("another request")
        };
        let expected = Answer::Conflict { decision: Decision::KeepBoth, for_all: true };
        assert_eq!(Answer::from(answer), expected);
        let text = r#"{"id":1,"do":"list","folder":"a","limit":10}"#;
        let request = serde_json::from_str(text).unwrap();
        assert!(matches!(request, PageRequest::List { after: None, limit: 10, .. }));
        for invalid in [r#"{"id":1,"do":"fly"}"#, r#"{"id":1}"#, r#"{"id":1,"do":"list"}"#] {
            assert!(serde_json::from_str::<PageRequest>(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let text = r#"{"id":1,"do":"answer","question":1,"answer":{"password":"opensesame"}}"#;
        let request: PageRequest = serde_json::from_str(text).unwrap();
        assert!(!format!("{request:?}").contains("opensesame"));
        let hello: Hello = serde_json::from_str(r#"{"secret":"opensesame","after":0}"#).unwrap();
        assert!(!format!("{hello:?}").contains("opensesame"));
    }

    #[test]
    fn replies_and_events_have_the_form_of_the_contract() {
        let reply = PageReply { id: 1, outcome: ReplyOutcome::Ok(json!({"removed": 2})) };
        assert_eq!(serde_json::to_value(reply).unwrap(), json!({"id": 1, "ok": {"removed": 2}}));
        let reply = PageReply { id: 2, outcome: ReplyOutcome::Error(Failure::invalid("no")) };
        let expected = json!({"id": 2, "error": {"code": "invalid_request", "text": "no"}});
        assert_eq!(serde_json::to_value(reply).unwrap(), expected);
        let content = PageEvent::QuestionSettled { question: 4 };
        let event = NumberedEvent { event: 9, content: &content };
        let expected = json!({"event": 9, "kind": "question_settled", "question": 4});
        assert_eq!(serde_json::to_value(event).unwrap(), expected);
    }
}
