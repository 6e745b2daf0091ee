//! Decides whether the key of an introduced client is that of its name.
//!
//! The server vouches for the key. A name's first key is remembered, and another one is refused or asked about: so a
//! server that substitutes a key is noticed, unless it does so at the first contact. Comparing digits closes that gap.

use std::time::Duration;

use chrono::Utc;
use quiver_protocol::{ClientName, Fingerprint, Introduction, Timestamp};
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::direct::PERSON_TIMEOUT;
use super::{PeerLink, Peers};
use crate::error::{ClientError, PeerError};
use crate::peer_event::PeerEvent;
use crate::peer_store::{Contact, ContactKey, KeyCheck};
use crate::question::{Answer, Question};

/// How long a person may take to answer a question that another client has caused.
pub(super) const QUESTION_TIMEOUT: Duration = Duration::from_secs(600);

/// How often the records are read for contacts that another process has blocked or forgotten.
const CONTACT_INTERVAL: Duration = Duration::from_secs(1);

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
                let permit = self.0.question_permits.try_acquire(introduction.key, false);
                let _permit = permit.ok_or(ClientError::Interrupted)?;
                let asked = timeout(QUESTION_TIMEOUT, self.ask_other_machine(introduction, &known));
                asked.await.unwrap_or(Err(ClientError::Interrupted))
            }
            // Another process has remembered the key meanwhile, or has forgotten the contact.
            KeyCheck::Known { .. } | KeyCheck::New => Ok(()),
            KeyCheck::Blocked => Err(PeerError::Blocked(introduction.name.clone()).into()),
            KeyCheck::Changed { known } => {
                let (name, presented) = (introduction.name.clone(), introduction.key);
                let known = fingerprints(&known);
                Err(PeerError::KeyChanged { name, presented, known }.into())
            }
        }
    }

    /// Asks whether an unknown client may learn this client's address.
    pub(super) async fn ask_to_connect_directly(&self, introduction: &Introduction) -> bool {
        let (name, key) = (introduction.name.clone(), introduction.key);
        let Some(_permit) = self.0.question_permits.try_acquire(key, false) else { return false };
        let asked = self.0.reporter.ask(Question::ConnectDirectly { name, key });
        // The other client waits no longer.
        timeout(PERSON_TIMEOUT, asked).await == Ok(Some(Answer::Confirm(true)))
    }

    /// Whether a client that is introduced without a relay may learn this client's address: accepted contacts may, a
    /// person is asked about others.
    pub(super) async fn admit_without_relay(&self, introduction: &Introduction) -> Admission {
        if self.has_accepted(&introduction.name, introduction.key).await {
            Admission::Admit
        } else if self.0.reporter.can_ask() {
            Admission::Ask
        } else {
            Admission::Refuse
        }
    }

    /// Whether the person has accepted the contact with this name and key.
    pub(super) async fn has_accepted(&self, name: &ClientName, key: Fingerprint) -> bool {
        matches!(self.admitted_contact(name, key).await, Ok(Some(contact)) if contact.is_accepted)
    }

    /// The contact with this name and key, unless it is blocked. Read for each use, because other processes of this
    /// user block and forget contacts too.
    ///
    /// # Errors
    /// [`ClientError`]: the records cannot be read.
    async fn admitted_contact(
        &self,
        name: &ClientName,
        key: Fingerprint,
    ) -> Result<Option<Contact>, ClientError> {
        let (server, name) = (self.server_key()?, name.clone());
        self.with_store(move |store| store.admitted_contact(server, &name, key)).await
    }

    /// Checks that a name is not blocked, before the server is asked for an introduction.
    ///
    /// # Errors
    /// [`PeerError::Blocked`], and those of the records.
    pub(super) async fn check_not_blocked(&self, name: &ClientName) -> Result<(), ClientError> {
        let (server, wanted) = (self.server_key()?, name.clone());
        let found = self.with_store(move |store| store.contact(server, &wanted)).await?;
        if found.is_some_and(|contact| contact.is_blocked) {
            return Err(PeerError::Blocked(name.clone()).into());
        }
        Ok(())
    }

    /// Whether this person still takes the client of a link: has neither blocked nor forgotten it.
    ///
    /// # Errors
    /// [`ClientError`]: the records cannot be read.
    pub(super) async fn is_admitted(&self, link: &PeerLink) -> Result<bool, ClientError> {
        Ok(self.admitted_contact(link.name(), link.key()).await?.is_some())
    }

    /// As [`is_admitted`](Self::is_admitted). If not, the link is closed.
    ///
    /// # Errors
    /// [`ClientError`]: the records cannot be read.
    pub(super) async fn keeps_link(&self, link: &PeerLink) -> Result<bool, ClientError> {
        let is_admitted = self.is_admitted(link).await?;
        if !is_admitted {
            debug!(name = %link.name(), "closing the link with a contact that is blocked or forgotten");
            link.close();
        }
        Ok(is_admitted)
    }

    /// Closes a link when its contact is blocked or forgotten, also by another process. Then it returns.
    pub(super) async fn watch_contact(self, link: PeerLink) {
        loop {
            sleep(CONTACT_INTERVAL).await;
            match self.keeps_link(&link).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => debug!(%error, "cannot read the contacts"),
            }
        }
    }
}

fn fingerprints(keys: &[ContactKey]) -> Vec<Fingerprint> {
    keys.iter().map(|known| known.key).collect()
}
