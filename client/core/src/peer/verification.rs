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

use std::pin::{Pin, pin};
use std::time::Duration;

use chrono::Utc;
use quiver_protocol::{
    ClientName, Commitment, EofPayload as _, Fingerprint, FrameKind, Nonce, PeerReply, PeerRequest,
    RefusalCode, Timestamp, VerifyEnd,
};
use quiver_transport::{Channel, CommandStream, ConnectionEnd, FrameReader, StreamError};
use tokio::time::{sleep, timeout};

use super::conversation::{Conversation, PeerPart, read_part};
use super::key_permits::KeyPermit;
use super::requests::RequestError;
use super::trust::QUESTION_TIMEOUT;
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

/// How long the result of the other person may take, from when the digits are shown: longer than a question is open.
const RESULT_TIMEOUT: Duration = Duration::from_secs(2 * QUESTION_TIMEOUT.as_secs());

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
        self.compare(&link, digits, &mut conversation, None).await
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
        let permit = self.0.question_permits.try_acquire(link.key(), link.is_accepted());
        let Some(permit) = permit else {
            let message = "there are too many questions already";
            return Err(RequestError::refused(RefusalCode::RateLimited, message));
        };
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
        let is_verified = match self.compare(link, digits, conversation, Some(permit)).await {
            Ok(is_verified) => is_verified,
            Err(ClientError::Peer(PeerError::DigitsDiffer(_))) => false,
            Err(error) => return Err(error.into()),
        };
        self.publish(PeerEvent::Compared { name: link.name().clone(), is_verified }).await;
        Ok(())
    }

    /// Asks the person to compare the digits, and tells the other side. The key is marked as verified if both
    /// say yes. The permit is for the question.
    async fn compare(
        &self,
        link: &PeerLink,
        digits: String,
        conversation: &mut Conversation,
        permit: Option<KeyPermit>,
    ) -> Result<bool, ClientError> {
        let name = link.name().clone();
        let failed = |source| ClientError::from(PeerError::Stream { name: name.clone(), source });
        let CommandStream { reader, writer } = &mut conversation.stream;
        let mut result = OtherResult { reading: pin!(read_result(reader)), early: None };
        let asked = self.ask_person(link, digits, writer.stopped(), &mut result).await;
        drop(permit);
        let same = asked.map_err(failed)?;
        let sent = writer.end(FrameKind::Eof, &VerifyEnd { same }.encode()).await;
        if sent.is_ok() {
            // The program may end after this, and the other person would wait.
            writer.delivered(END_TIMEOUT).await;
        }
        if !same {
            return Err(PeerError::DigitsDiffer(name).into());
        }
        let other = match result.early {
            Some(end) => Ok(end),
            None => result.reading.await,
        };
        // An other side that has said no may not read any more; its answer is read all the same.
        let is_confirmed = other.map_err(|error| failed(sent.err().unwrap_or(error)))?.same;
        if is_confirmed {
            let (server, now) = (self.server_key()?, Timestamp(Utc::now()));
            let (key, contact) = (link.key(), name.clone());
            let marked =
                self.with_store(move |store| store.mark_verified(server, &contact, key, now));
            // Forgotten or blocked meanwhile: nothing is verified.
            if !marked.await? {
                return Err(PeerError::UnknownContact(name).into());
            }
            link.set_accepted();
        }
        Ok(is_confirmed)
    }

    /// Asks whether the digits are the same. The question is withdrawn when the other side gives up, and after
    /// [`QUESTION_TIMEOUT`].
    async fn ask_person<R: Future<Output = Result<VerifyEnd, StreamError>>>(
        &self,
        link: &PeerLink,
        digits: String,
        stopped: impl Future<Output = StreamError>,
        result: &mut OtherResult<'_, R>,
    ) -> Result<bool, StreamError> {
        let question = Question::CompareDigits { name: link.name().clone(), digits };
        let mut answer = pin!(timeout(QUESTION_TIMEOUT, self.0.reporter.ask(question)));
        let mut closed = pin!(link.closed());
        let mut stopped = pin!(async {
            let error = stopped.await;
            // A side whose person has said no stops reading, and its result may come later.
            sleep(END_TIMEOUT).await;
            error
        });
        loop {
            let has_refused = result.early.as_ref().is_some_and(|end| !end.same);
            tokio::select! {
                // A result that has arrived counts, also if its side has gone since.
                biased;
                answer = &mut answer => {
                    let answer = answer.map_err(|_| StreamError::TimedOut(QUESTION_TIMEOUT))?;
                    return Ok(answer == Some(Answer::Confirm(true)));
                }
                end = result.reading.as_mut(), if result.early.is_none() => {
                    result.early = Some(end?);
                }
                error = &mut stopped, if !has_refused => return Err(error),
                // A side that has said no may leave at once. This person learns that the digits differ.
                () = &mut closed => {
                    let lost = StreamError::Lost(ConnectionEnd::TimedOut);
                    return if has_refused { Ok(false) } else { Err(lost) };
                }
            }
        }
    }
}

/// The result of the other person, which may come before that of this one.
struct OtherResult<'a, R> {
    reading: Pin<&'a mut R>,
    /// Set while this person is asked.
    early: Option<VerifyEnd>,
}

async fn read_result(reader: &mut FrameReader) -> Result<VerifyEnd, StreamError> {
    match read_part(reader, RESULT_TIMEOUT).await? {
        PeerPart::End(end) => Ok(end),
        PeerPart::Reply(_) => Err(unexpected_reply("expected the end")),
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
