//! Decides whether the key of an introduced client is that of its name.
//!
//! The server vouches for the key. A name's first key is remembered, and another one is refused or asked about: so a
//! server that substitutes a key is noticed, unless it does so at the first contact. Comparing digits closes that gap.

use chrono::Utc;
use quiver_protocol::{Fingerprint, Introduction, Timestamp};

use super::Peers;
use crate::error::{ClientError, PeerError};
use crate::peer_event::PeerEvent;
use crate::peer_store::{ContactKey, KeyCheck};
use crate::question::{Answer, Question};

/// The verdict on the client that asked for an introduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// The key is that of the name, or its first one.
    Admit,
    /// A person has to be asked first, who may take long.
    Ask,
    /// The client is refused.
    Refuse,
}

impl Peers {
    /// Checks the key of a client that this one wants to reach. Asks the person about another machine of an account.
    pub(super) async fn check_own_introduction(
        &self,
        introduction: &Introduction,
    ) -> Result<(), ClientError> {
        let Introduction { name, key: presented, .. } = introduction;
        match self.check_key(introduction).await? {
            KeyCheck::New | KeyCheck::Known { .. } => Ok(()),
            KeyCheck::Blocked => Err(PeerError::Blocked(name.clone()).into()),
            KeyCheck::OtherMachine { known } => self.ask_other_machine(introduction, &known).await,
            KeyCheck::Changed { known } => {
                let (name, presented, known) = (name.clone(), *presented, fingerprints(&known));
                Err(PeerError::KeyChanged { name, presented, known }.into())
            }
        }
    }

    /// Checks the key of a client that wants to reach this one. Reports a refused key.
    pub(super) async fn check_foreign_introduction(
        &self,
        introduction: &Introduction,
    ) -> Result<Admission, ClientError> {
        let known = match self.check_key(introduction).await? {
            KeyCheck::New | KeyCheck::Known { .. } => return Ok(Admission::Admit),
            KeyCheck::Blocked => return Ok(Admission::Refuse),
            KeyCheck::OtherMachine { .. } if self.0.reporter.can_ask() => {
                return Ok(Admission::Ask);
            }
            KeyCheck::OtherMachine { known } | KeyCheck::Changed { known } => known,
        };
        let (name, presented) = (introduction.name.clone(), introduction.key);
        let known = fingerprints(&known);
        self.publish(PeerEvent::KeyRefused { name, presented, known }).await;
        Ok(Admission::Refuse)
    }

    async fn check_key(&self, introduction: &Introduction) -> Result<KeyCheck, ClientError> {
        let (server, now) = (self.server_key()?, Timestamp(Utc::now()));
        let Introduction { name, key, account, .. } = introduction.clone();
        let check = self.with_store(move |store| {
            store.check_and_remember_key(server, &name, key, account, now)
        });
        check.await
    }

    /// Asks whether an unknown key is another machine of the same account, and remembers it.
    ///
    /// # Errors
    /// [`PeerError::UnknownMachine`] without a yes.
    pub(super) async fn ask_other_machine(
        &self,
        introduction: &Introduction,
        known: &[ContactKey],
    ) -> Result<(), ClientError> {
        let Introduction { name, key: presented, account, .. } = introduction.clone();
        let known = fingerprints(known);
        let question =
            Question::OtherMachine { name: name.clone(), presented, known: known.clone() };
        if self.0.reporter.ask(question).await != Some(Answer::Confirm(true)) {
            return Err(PeerError::UnknownMachine { name, presented, known }.into());
        }
        let (server, now) = (self.server_key()?, Timestamp(Utc::now()));
        let remembered = self
            .with_store(move |store| store.remember_key(server, &name, presented, account, now));
        remembered.await
    }

    /// Asks about an introduced client whose key is not known.
    pub(super) async fn ask_about(&self, introduction: &Introduction) -> Result<(), ClientError> {
        match self.check_key(introduction).await? {
            KeyCheck::OtherMachine { known } => {
                let Ok(_permit) = self.0.question_permits.try_acquire() else {
                    return Err(ClientError::Interrupted);
                };
                self.ask_other_machine(introduction, &known).await
            }
            _ => Ok(()),
        }
    }

    /// Asks whether an unknown client may learn this client's address.
    pub(super) async fn ask_to_connect_directly(&self, introduction: &Introduction) -> bool {
        let Ok(_permit) = self.0.question_permits.try_acquire() else { return false };
        let (name, key) = (introduction.name.clone(), introduction.key);
        let question = Question::ConnectDirectly { name, key };
        self.0.reporter.ask(question).await == Some(Answer::Confirm(true))
    }

    /// Whether a client that is introduced without a relay may learn this client's address: accepted contacts may, a
    /// person is asked about others.
    pub(super) async fn admit_without_relay(&self, introduction: &Introduction) -> Admission {
        let (Ok(server), name) = (self.server_key(), introduction.name.clone()) else {
            return Admission::Refuse;
        };
        let found = self.with_store(move |store| store.contact(server, &name)).await;
        match found {
            Ok(Some(contact)) if contact.is_accepted => Admission::Admit,
            _ if self.0.reporter.can_ask() => Admission::Ask,
            _ => Admission::Refuse,
        }
    }
}

fn fingerprints(keys: &[ContactKey]) -> Vec<Fingerprint> {
    keys.iter().map(|known| known.key).collect()
}
