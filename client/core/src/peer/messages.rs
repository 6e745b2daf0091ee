//! `tell`: messages between clients, both ends.
//!
//! 1. sender -> Tell {id, text}
//! 2. receiver -> Eof, once it has recorded the id

use chrono::Utc;
use quiver_protocol::{
    ClientName, MessageId, PeerRequest, PlainEnd, Refusal, RefusalCode, Timestamp, limits,
};
use quiver_transport::StreamError;

use super::conversation::{Conversation, PeerPart};
use super::requests::{RequestError, not_admitted};
use super::{PeerLink, Peers};
use crate::error::{ClientError, PeerError};
use crate::exchange::unexpected_reply;
use crate::peer_event::PeerEvent;
use crate::peer_store::{MessageRecord, PeerStoreError, ReceivedText};

/// How often a message is sent, at most: the second time its receiver recognises it.
const ATTEMPTS: u32 = 2;

/// How an attempt to send a message failed.
enum TellFailure {
    /// The message was not sent, or was refused.
    NotDelivered(StreamError),
    /// The connection ended after the message was sent.
    Unknown,
}

impl Peers {
    /// Sends a message to the client of this name, and waits until it has confirmed it.
    ///
    /// # Errors
    /// [`PeerError::NotDelivered`], [`PeerError::MessageUnknown`], and those of [`connect`](Self::connect).
    pub(crate) async fn tell(&self, name: &ClientName, text: &str) -> Result<(), ClientError> {
        let id = MessageId(super::random_id()?);
        let request = PeerRequest::Tell { id, text: text.to_owned() };
        let length = request.encode().len();
        if length > limits::MESSAGE {
            let why =
                format!("it has {length} bytes where at most {} are allowed", limits::MESSAGE);
            let refusal = Refusal::new(RefusalCode::TooLarge, why);
            return Err(ClientError::refused("cannot send the message", refusal));
        }
        let mut is_unknown = false;
        for _ in 0..ATTEMPTS {
            let link = match self.connect(name).await {
                Err(_) if is_unknown => break,
                link => link?,
            };
            self.accept_contact(&link).await?;
            match send(&link, &request, self.0.timeout).await {
                Ok(()) => return Ok(()),
                Err(TellFailure::Unknown) => is_unknown = true,
                Err(TellFailure::NotDelivered(StreamError::Lost(_))) => {}
                Err(TellFailure::NotDelivered(source)) => {
                    let name = link.name().clone();
                    return Err(PeerError::NotDelivered { name, source }.into());
                }
            }
        }
        if is_unknown {
            return Err(PeerError::MessageUnknown { name: name.clone() }.into());
        }
        let why = "the connection is lost again and again".to_owned();
        Err(PeerError::NoPath { name: name.clone(), why }.into())
    }

    /// Records a received message, and reports it unless it was received before. Keeps its text, if that is wanted.
    pub(super) async fn receive_message(
        &self,
        link: &PeerLink,
        id: MessageId,
        text: String,
    ) -> Result<(), RequestError> {
        let server = self.session()?.server_ref().clone();
        let (from, key, at) = (link.name().clone(), link.key(), Timestamp(Utc::now()));
        let kept = self.policy().keeps_history().then(|| text.clone());
        let name = from.clone();
        let recorded = self.with_store(move |store| {
            let own_name = &server.name;
            let kept = kept.as_deref().map(|text| ReceivedText { own_name, text, at });
            store.record_message(server.fingerprint, &name, key, id, kept)
        });
        let recorded = recorded.await.map_err(|error| match error {
            ClientError::Peer(PeerError::Store(PeerStoreError::NotAdmitted { .. })) => {
                not_admitted()
            }
            error => error.into(),
        })?;
        if let MessageRecord::New { number } = recorded {
            self.publish(PeerEvent::Message { from, text, at, number }).await;
        }
        Ok(())
    }
}

async fn send(
    link: &PeerLink,
    request: &PeerRequest,
    timeout: std::time::Duration,
) -> Result<(), TellFailure> {
    let channel = link.channel().map_err(TellFailure::NotDelivered)?;
    let started = Conversation::start(&channel, request, timeout).await;
    let mut conversation = started.map_err(TellFailure::NotDelivered)?;
    conversation.stream.writer.finish();
    match conversation.next::<PlainEnd>().await {
        Ok(PeerPart::End(_)) => Ok(()),
        Ok(PeerPart::Reply(_)) => {
            Err(TellFailure::NotDelivered(unexpected_reply("expected the end")))
        }
        Err(error @ StreamError::Refused(_)) => Err(TellFailure::NotDelivered(error)),
        Err(_) => Err(TellFailure::Unknown),
    }
}
