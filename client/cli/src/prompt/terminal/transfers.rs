//! The transfers of the prompt: each is waited for a moment, and then runs in the background.

use std::time::Duration;

use quiver_client::journal::percent;
use quiver_client::peer_store::OfferNumber;
use quiver_client::transfers::TransferId;
use quiver_client::{PreparedTransfer, RunningTransfer, TransferEnd};
use quiver_control::CommandText;
use quiver_protocol::text::display_safe;
use tokio::time::sleep;

use super::{Prompt, PromptEvent};
use crate::cli;
use crate::command;
use crate::failure::Failure;
use crate::interface::TransferStyle;
use crate::output::cut::cut_middle;

/// How long a transfer runs in the foreground, so that a small file is complete before the next line is typed.
const FOREGROUND_TIME: Duration = Duration::from_millis(500);

/// Columns of a line that is named in a message.
const MAX_SHOWN_LINE: usize = 60;

/// What has started a running transfer.
#[derive(Debug, Default)]
pub(super) struct RunningLine {
    /// The line as typed.
    line: String,
    /// The offer whose files are stored.
    offer: Option<OfferNumber>,
}

impl Prompt<'_> {
    pub(super) async fn get(
        &mut self,
        arguments: &cli::GetArgs,
        line: &str,
    ) -> Result<(), Failure> {
        let prepared = command::get::prepare(self.interface, arguments).await?;
        self.check_and_start(prepared, "Nothing was fetched.", arguments.json, line).await
    }

    pub(super) async fn put(
        &mut self,
        arguments: &cli::PutArgs,
        line: &str,
    ) -> Result<(), Failure> {
        let prepared = command::put::prepare(self.interface, arguments)?;
        self.check_and_start(prepared, "Nothing was stored.", arguments.json, line).await
    }

    /// Connects, compares the files that exist on both sides, asks about those that differ, and starts what is left.
    async fn check_and_start(
        &mut self,
        mut prepared: PreparedTransfer,
        nothing_to_do: &str,
        json: bool,
        line: &str,
    ) -> Result<(), Failure> {
        self.reconnect().await?;
        let client = self.interface.client.clone();
        tokio::select! {
            checked = self.interface.drive(client.check_with_server(&mut prepared)) => checked??,
            () = self.interrupts.next() => return Err(Failure::Interrupted(None)),
        }
        if prepared.nothing_to_do().is_some() {
            self.interface.output.say(nothing_to_do).await;
            return Ok(());
        }
        self.start(prepared, json, line).await
    }

    /// Accepts an offer of another client.
    pub(super) async fn accept(
        &mut self,
        arguments: &cli::AcceptArgs,
        line: &str,
    ) -> Result<(), Failure> {
        self.reconnect().await?;
        let accepted = command::accept::start(self.interface, arguments);
        let running = tokio::select! {
            running = accepted => running?,
            () = self.interrupts.next() => return Err(Failure::Interrupted(None)),
        };
        let (json, offer) = (arguments.json, Some(arguments.number));
        let style = TransferStyle { json, is_foreground: false, offer };
        self.wait_in_foreground(running, style, line).await
    }

    /// Starts a transfer.
    async fn start(
        &mut self,
        prepared: PreparedTransfer,
        json: bool,
        line: &str,
    ) -> Result<(), Failure> {
        let is_foreground = prepared.file_count() == 1;
        let running = self.interface.client.start(prepared)?;
        let style = TransferStyle { json, is_foreground, offer: None };
        self.wait_in_foreground(running, style, line).await
    }

    /// Waits for the end of a transfer, at most [`FOREGROUND_TIME`]; then it continues in the background.
    async fn wait_in_foreground(
        &mut self,
        mut running: RunningTransfer,
        style: TransferStyle,
        line: &str,
    ) -> Result<(), Failure> {
        let id = running.id;
        self.interface.set_style(id, style);
        if let Some(shown) = &self.interface.shown_transfers {
            shown.set_command(id, self.command_text(line));
        }
        self.running.insert(id, RunningLine { line: line.to_owned(), offer: style.offer });
        self.start_reports();
        self.transfer_ends.spawn(async move { (id, running.wait().await) });
        let foreground = sleep(FOREGROUND_TIME);
        // Created before the loop, so that a Ctrl-C while an event is shown counts too.
        let interrupts = self.interrupts.clone();
        let interrupted = interrupts.next();
        tokio::pin!(foreground, interrupted);
        loop {
            tokio::select! {
                Some(ended) = self.transfer_ends.join_next() => {
                    if let PromptEvent::TransferEnded(ended_id, end) = transfer_ended(ended) {
                        self.finish(ended_id, end).await?;
                        if ended_id == id {
                            return Ok(());
                        }
                    }
                }
                Some(event) = self.interface.next() => self.show(event).await?,
                () = &mut interrupted => {
                    // The terminal has echoed ^C.
                    self.interface.output.say("").await;
                    self.cancel(id);
                    interrupted.set(interrupts.next());
                }
                () = &mut foreground => {
                    self.interface.set_style(id, TransferStyle { is_foreground: false, ..style });
                    let note = "continues in the background. transfers shows how far it is, Ctrl-C on an empty line cancels it.";
                    self.interface.output.say(format!("{}: {note}", shown_line(line))).await;
                    return Ok(());
                }
            }
        }
    }

    /// The command that does the same as a line.
    fn command_text(&self, line: &str) -> String {
        let settings = self.interface.client.settings();
        let mut command = CommandText::new("quiver");
        command.option("--server", &settings.server.to_string());
        command.path_option("--cert", settings.certificate.as_deref());
        command.option("--name", &self.name);
        let line = line.trim();
        format!("{} {}", command.finish(), line.strip_prefix('/').unwrap_or(line))
    }

    /// Reports how a transfer ended.
    pub(super) async fn finish(&mut self, id: TransferId, end: TransferEnd) -> Result<(), Failure> {
        // Its earlier events are shown first.
        self.interface.show_pending().await?;
        let RunningLine { line, offer } = self.running.remove(&id).unwrap_or_default();
        match end {
            TransferEnd::Done => {}
            TransferEnd::Failed(error) => match offer {
                Some(number) => self.report(Failure::Offer { number, error }).await,
                None => self.report(Failure::Client(error).in_line(&line)).await,
            },
            TransferEnd::Cancelled => {
                let note = match offer {
                    Some(number) => {
                        format!(" /accept {number} continues it, /decline {number} declines it.")
                    }
                    None => self.resume_note(id).unwrap_or_default(),
                };
                let what = shown_line(&line);
                self.interface.output.say(format!("Transfer cancelled: {what}.{note}")).await;
            }
        }
        Ok(())
    }

    /// How to continue a cancelled transfer; `None` if nothing of it is kept.
    fn resume_note(&self, id: TransferId) -> Option<String> {
        let status = self.interface.client.transfer(id).ok()?;
        // Streamed content is not kept, and cannot be paused.
        let is_kept = status.is_pausable && (status.received > 0 || status.files_done > 0);
        let share = status.bytes.filter(|_| status.files == Some(1));
        let place = share.map_or_else(String::new, |bytes| {
            format!(" at {} %", percent(status.received, bytes).min(99))
        });
        is_kept.then(|| format!(" The same command, or quiver resume, continues{place}."))
    }

    fn cancel(&self, id: TransferId) {
        // Fails only if it has ended.
        let _ = self.interface.client.cancel(id);
    }

    pub(super) fn cancel_all(&self) {
        for id in self.running.keys() {
            self.cancel(*id);
        }
    }

    /// Cancels the transfers with the server, and waits for their end. Those of offers are interrupted with the
    /// process: they stay accepted, so that the next one continues them.
    pub(super) async fn end_transfers(&mut self) {
        self.running.retain(|_, running| running.offer.is_none());
        self.cancel_all();
        while !self.running.is_empty()
            && let Some(ended) = self.transfer_ends.join_next().await
        {
            if let PromptEvent::TransferEnded(id, _) = transfer_ended(ended) {
                self.running.remove(&id);
            }
        }
    }
}

/// A line as typed, or its beginning and its end.
fn shown_line(line: &str) -> String {
    cut_middle(&display_safe(line.trim()), MAX_SHOWN_LINE)
}

pub(super) fn transfer_ended(
    ended: Result<(TransferId, TransferEnd), tokio::task::JoinError>,
) -> PromptEvent {
    match ended {
        Ok((id, end)) => PromptEvent::TransferEnded(id, end),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down.
        Err(_) => PromptEvent::Ignored,
    }
}
