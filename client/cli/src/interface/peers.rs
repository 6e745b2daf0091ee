//! Shows what other clients do.

use quiver_client::peer_event::PeerEvent;

use super::Interface;
use crate::failure::Failure;
use crate::output::human;

impl Interface {
    /// Shows an event about other clients. A message is data, because its sender knows that it was delivered.
    pub(super) async fn show_peer(&mut self, event: &PeerEvent) -> Result<(), Failure> {
        let Some(text) = human::peers::event(event, self.output.mode()) else { return Ok(()) };
        match event {
            PeerEvent::Message { .. } => self.output.data(text + "\n").await,
            PeerEvent::KeyRefused { .. } => {
                self.output.warn(text).await;
                Ok(())
            }
            _ => {
                self.output.say(text).await;
                Ok(())
            }
        }
    }
}
