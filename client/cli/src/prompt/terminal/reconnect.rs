//! Connecting again after a loss: in the background, so that a person need not do anything, and for a command.

use quiver_client::ClientError;
use tokio::task::JoinError;

use super::{Prompt, PromptEvent};
use crate::failure::Failure;

impl Prompt<'_> {
    /// Connects again in the background until that succeeds or cannot succeed.
    pub(super) async fn reconnect_in_background(&mut self, why: &str) {
        if self.interface.client.is_connected() || !self.reconnecting.is_empty() {
            return;
        }
        // Running transfers report the loss themselves, and how long they retry.
        if self.running.is_empty() && !std::mem::replace(&mut self.is_loss_reported, true) {
            let text = format!("Connection lost: {why}. Connecting again ...");
            self.interface.output.say(text).await;
        }
        let client = self.interface.client.clone();
        self.reconnecting.spawn(async move { client.connect_again(|_| {}).await.map(drop) });
    }

    /// Reports why the background could not connect again. A success has an event of its own.
    pub(super) async fn finish_reconnecting(&mut self, result: Result<(), ClientError>) {
        if let Err(error) = result {
            self.interface.output.failure(&error.into()).await;
            self.interface.output.say("The next command connects again.").await;
        }
    }

    /// Connects for a command if the connection is lost; tries once.
    pub(super) async fn reconnect(&mut self) -> Result<(), Failure> {
        if self.interface.client.is_connected() {
            return Ok(());
        }
        // The result of this attempt is reported instead of the loss.
        self.is_loss_reported = true;
        let client = self.interface.client.clone();
        tokio::select! {
            connected = self.interface.drive(client.connect()) => drop(connected??),
            () = self.interrupts.next() => return Err(Failure::Interrupted(None)),
        }
        while let Some(event) = self.interface.try_next() {
            self.show(event).await?;
        }
        Ok(())
    }
}

/// The event for a task that connected again.
pub(super) fn ended(result: Result<Result<(), ClientError>, JoinError>) -> PromptEvent {
    match result {
        Ok(result) => PromptEvent::Reconnected(result),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // Aborted at the end.
        Err(_) => PromptEvent::Ignored,
    }
}
