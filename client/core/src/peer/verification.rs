//! `verify`: two people compare twelve digits, which are equal only if no third party is between their clients.
//!
//! 1. requester -> Verify {commitment}
//! 2. responder -> Nonce
//! 3. requester -> Nonce
//! 4. both -> Eof {same}, once their person has compared the digits
//!
//! The requester commits to its nonce before it knows that of the responder, and the responder sends its nonce before
//! it knows that of the requester. So neither, and no one between them, can choose a nonce for which the digits of two
//! different pairs of keys are equal, except by chance: once in 10^12.

use std::time::Duration;

use chrono::Utc;
use quiver_protocol::{
    ClientName, Commitment, Fingerprint, Nonce, PeerReply, PeerRequest, RefusalCode, Timestamp,
    VerifyEnd,
};
use quiver_transport::{Channel, ConnectionEnd, StreamError};

use super::conversation::{Conversation, PeerPart};
use super::requests::RequestError;
use super::{PeerLink, Peers, random_id};
use crate::error::{ClientError, PeerError};
use crate::exchange::unexpected_reply;
use crate::peer_event::PeerEvent;
use crate::question::{Answer, Question};

/// The context strings of the hashes, different from those of any other hash.
const COMMITMENT_CONTEXT: &str = "quiver-peer/1 2026-11-29 commitment";
const DIGITS_CONTEXT: &str = "quiver-peer/1 2026-11-29 verify";

/// The label of the TLS exporter (RFC 8446, 7.5).
const EXPORTER_LABEL: &[u8] = b"EXPORTER-quiver-peer/1";

/// How long a person may take to compare the digits.
const COMPARISON_TIMEOUT: Duration = Duration::from_secs(600);

/// How long the other client may take to receive what this person has said.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// The keys and nonces of both sides.
struct Comparison {
    requester: (Fingerprint, Nonce),
    responder: (Fingerprint, Nonce),
}

impl Peers {
    /// Compares keys with the client of this name. Returns whether the other person sees the same digits too.
    ///
    /// # Errors
    /// [`PeerError::DigitsDiffer`] if this person sees other digits.
    pub(crate) async fn verify(&self, name: &ClientName) -> Result<bool, ClientError> {
        let link = self.connect(name).await?;
        let failed =
            |source| ClientError::from(PeerError::Stream { name: link.name().clone(), source });
        let nonce = Nonce(random_id()?);
        let request = PeerRequest::Verify { commitment: commitment(nonce) };
        let channel = link.channel().map_err(failed)?;
        let started = Conversation::start(&channel, &request, self.0.timeout).await;
        let mut conversation = started.map_err(failed)?;
        let other = match conversation.next::<VerifyEnd>().await.map_err(failed)? {
            PeerPart::Reply(PeerReply::Nonce { nonce }) => nonce,
            _ => return Err(failed(unexpected_reply("expected a nonce"))),
        };
        conversation.reply(&PeerReply::Nonce { nonce }).await.map_err(failed)?;
        let comparison = Comparison {
            requester: (self.0.identity.fingerprint(), nonce),
            responder: (link.key(), other),
        };
        let digits = comparison.digits(&channel).map_err(failed)?;
        self.compare(&link, digits, &mut conversation).await
    }

    /// The other end of [`verify`](Self::verify).
    pub(super) async fn respond_verification(
        &self,
        link: &PeerLink,
        commitment_of_requester: Commitment,
        conversation: &mut Conversation,
    ) -> Result<(), RequestError> {
        if !self.0.reporter.can_ask() {
            return Err(RequestError::refused(RefusalCode::Declined, "no person can be asked"));
        }
        let nonce = Nonce(random_id()?);
        conversation.reply(&PeerReply::Nonce { nonce }).await?;
        let other = match conversation.next::<VerifyEnd>().await? {
            PeerPart::Reply(PeerReply::Nonce { nonce }) => nonce,
            _ => return Err(unexpected_reply("expected a nonce").into()),
        };
        if commitment(other) != commitment_of_requester {
            let why = "the nonce is not the one of the commitment";
            return Err(RequestError::refused(RefusalCode::BadRequest, why));
        }
        let comparison = Comparison {
            requester: (link.key(), other),
            responder: (self.0.identity.fingerprint(), nonce),
        };
        let digits = comparison.digits(&conversation.channel)?;
        let is_verified = match self.compare(link, digits, conversation).await {
            Ok(is_verified) => is_verified,
            Err(ClientError::Peer(PeerError::DigitsDiffer(_))) => false,
            Err(error) => return Err(error.into()),
        };
        self.publish(PeerEvent::Compared { name: link.name().clone(), is_verified }).await;
        Ok(())
    }

    /// Asks the person to compare the digits, and tells the other side. The key is marked as verified if both
    /// say yes.
    async fn compare(
        &self,
        link: &PeerLink,
        digits: String,
        conversation: &mut Conversation,
    ) -> Result<bool, ClientError> {
        let name = link.name().clone();
        let failed = |source| ClientError::from(PeerError::Stream { name: name.clone(), source });
        let question = Question::CompareDigits { name: name.clone(), digits };
        let same = tokio::select! {
            answer = self.0.reporter.ask(question) => answer == Some(Answer::Confirm(true)),
            // The question is withdrawn: the other person has given up.
            () = link.closed() => {
                return Err(failed(StreamError::Lost(ConnectionEnd::TimedOut)));
            }
        };
        let sent = conversation.end(&VerifyEnd { same }).await;
        if sent.is_ok() {
            // The program may end after this, and the other person would wait.
            conversation.stream.writer.delivered(END_TIMEOUT).await;
        }
        if !same {
            return Err(PeerError::DigitsDiffer(name).into());
        }
        conversation.set_idle_timeout(COMPARISON_TIMEOUT);
        let is_confirmed = match conversation.next::<VerifyEnd>().await {
            Ok(PeerPart::End(end)) => end.same,
            Ok(PeerPart::Reply(_)) => return Err(failed(unexpected_reply("expected the end"))),
            // An other side that has said no may not read any more; its answer is read all the same.
            Err(error) => return Err(failed(sent.err().unwrap_or(error))),
        };
        if is_confirmed {
            let (server, now) = (self.server_key()?, Timestamp(Utc::now()));
            let key = link.key();
            link.set_accepted();
            self.with_store(move |store| store.mark_verified(server, &name, key, now)).await?;
        }
        Ok(is_confirmed)
    }
}

impl Comparison {
    /// Twelve digits, in groups of four.
    fn digits(&self, channel: &Channel) -> Result<String, StreamError> {
        let mut exported = [0; 32];
        channel
            .export_keying_material(&mut exported, EXPORTER_LABEL, b"")
            .map_err(|_| StreamError::Lost(ConnectionEnd::ClosedLocally))?;
        let ((requester, requester_nonce), (responder, responder_nonce)) =
            (self.requester, self.responder);
        let mut hasher = blake3::Hasher::new_derive_key(DIGITS_CONTEXT);
        for part in [exported, requester.0, responder.0, requester_nonce.0, responder_nonce.0] {
            hasher.update(&part);
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        let digits = format!("{:012}", u64::from_be_bytes(first) % 1_000_000_000_000);
        Ok(format!("{} {} {}", &digits[..4], &digits[4..8], &digits[8..]))
    }
}

fn commitment(nonce: Nonce) -> Commitment {
    let mut hasher = blake3::Hasher::new_derive_key(COMMITMENT_CONTEXT);
    hasher.update(&nonce.0);
    Commitment(*hasher.finalize().as_bytes())
}
