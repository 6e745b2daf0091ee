//! The offers that are made at the prompt, which run in the background, and questions that come while a line is typed.

use quiver_client::ClientError;
use quiver_client::event::{ClientEvent, EventKind};
use quiver_client::question::Question;
use tokio::task::JoinError;

use super::{Prompt, PromptEvent};
use crate::cli;
use crate::command;
use crate::command::send::SentOffer;
use crate::failure::Failure;
use crate::output::human;

/// How an offer that was made at the prompt has ended.
#[derive(Debug)]
pub(super) struct OfferEnd {
    sent: SentOffer,
    line: String,
    result: Result<(), ClientError>,
}

impl Prompt<'_> {
    /// Offers files. The recipient answers while further lines are typed.
    pub(super) async fn send(
        &mut self,
        arguments: &cli::SendArgs,
        line: &str,
    ) -> Result<(), Failure> {
        let request = command::send::request(arguments, self.interface.output.mode())?;
        self.reconnect().await?;
        let offering = command::send::make_offer(self.interface, request, arguments.json);
        let sent = tokio::select! {
            sent = offering => sent?,
            () = self.interrupts.next() => return Err(Failure::Interrupted(None)),
        };
        let (client, wait, line) = (self.interface.client.clone(), arguments.wait, line.to_owned());
        self.open_offers.insert(sent.offer.number);
        self.start_reports();
        self.offer_ends.spawn(async move {
            let result = client.deliver(sent.offer.number, wait).await;
            OfferEnd { sent, line, result }
        });
        Ok(())
    }

    /// Reports how an offer has ended.
    pub(super) async fn finish_offer(&mut self, end: OfferEnd) -> Result<(), Failure> {
        let OfferEnd { sent, line, result } = end;
        self.open_offers.remove(&sent.offer.number);
        match command::send::finish(self.interface, &sent, result).await {
            Err(failure) if failure.is_output_failure() => return Err(failure),
            Err(failure) => self.report(failure.in_line(&line)).await,
            Ok(()) => {}
        }
        Ok(())
    }

    /// Says what becomes of offers that are not settled when the person leaves.
    pub(super) async fn leave_offers(&mut self) {
        self.offer_ends.abort_all();
        for number in std::mem::take(&mut self.open_offers) {
            self.interface.output.say(human::offers::offer_stays_open(number)).await;
        }
    }

    /// Shows an event while a line is typed. A question has to wait for the end of that line.
    pub(super) async fn show_above(&mut self, event: ClientEvent) -> Result<(), Failure> {
        match &event.kind {
            EventKind::Question(_, question) if can_wait(question) => {
                let text = human::questions::question_note(question);
                self.questions.push_back(event);
                self.interface.output.warn("question", text).await;
                return Ok(());
            }
            EventKind::QuestionSettled(settled) => {
                self.questions.retain(
                    |event| !matches!(&event.kind, EventKind::Question(id, _) if id == settled),
                );
            }
            _ => {}
        }
        self.show(event).await
    }

    /// Asks the questions that came while a line was typed.
    pub(super) async fn ask_questions(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.questions.pop_front() {
            self.show(event).await?;
        }
        Ok(())
    }
}

/// Whether a question is asked after the line that is typed. Others get no answer then.
fn can_wait(question: &Question) -> bool {
    !matches!(question, Question::Conflict { .. })
}

pub(super) fn offer_ended(ended: Result<OfferEnd, JoinError>) -> PromptEvent {
    match ended {
        Ok(end) => PromptEvent::OfferEnded(Box::new(end)),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The program ends.
        Err(_) => PromptEvent::Ignored,
    }
}
