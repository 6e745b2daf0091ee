//! The progress of the transfers of the prompt: a line now and then above the line that is being typed.

use std::future::pending;

use tokio::time::{Instant, sleep_until};

use super::Prompt;
use crate::output::PLAIN_LINE_INTERVAL;
use crate::output::human::progress_line::{ProgressFacts, ProgressState, plain_progress_line};

/// Waits until the next report is due; forever if there is none.
pub(super) async fn due(next_report: Option<Instant>) {
    match next_report {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

impl Prompt<'_> {
    /// Reports the progress from now on: first after the interval, so that short transfers say nothing.
    pub(super) fn start_reports(&mut self) {
        self.next_report.get_or_insert_with(|| Instant::now() + PLAIN_LINE_INTERVAL);
    }

    /// Prints the progress of what is running, in one line.
    pub(super) async fn report_progress(&mut self) {
        let is_running = !self.running.is_empty() || !self.open_offers.is_empty();
        self.next_report = is_running.then(|| Instant::now() + PLAIN_LINE_INTERVAL);
        if let Some(facts) = ProgressFacts::of_several(self.running_facts()) {
            let output = &self.interface.output;
            output.say(plain_progress_line(&facts, output.line_width())).await;
        }
    }

    /// The progress of the transfers and offers that move. The others have said why they do not, or are too new.
    fn running_facts(&self) -> Vec<ProgressFacts> {
        let client = &self.interface.client;
        let transfers = self.running.keys().filter_map(|id| client.transfer(*id).ok());
        let offers = client.served_offers();
        let offers = offers.iter().filter(|offer| self.open_offers.contains(&offer.number));
        let transfers = transfers.map(|status| ProgressState::of_transfer(&status));
        transfers
            .chain(offers.map(ProgressState::of_offer))
            .filter_map(|state| match state {
                ProgressState::Running(facts) => Some(facts).filter(|facts| facts.rate.is_some()),
                ProgressState::Starting | ProgressState::Over => None,
            })
            .collect()
    }
}
