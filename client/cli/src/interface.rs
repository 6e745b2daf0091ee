//! The command line as an interface of the client library: receives its events, shows them, and asks its questions.
//! Knows no command.

mod peers;
mod plans;
mod questions;
mod transfer_states;

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use quiver_client::InterfaceGuard;
use quiver_client::event::{ClientEvent, ConnectionState, EventKind, EventReceiver};
use quiver_client::peer_store::OfferNumber;
use quiver_client::question::{Question, QuestionId};
use quiver_client::transfers::{TransferEvent, TransferId, TransferState};
use quiver_client::{Client, PreparedTransfer, TransferEnd};
use quiver_control::ClientTransfers;
use quiver_protocol::FilePath;
use quiver_protocol::text::display_safe;

pub use self::peers::PeerDisplay;
use self::questions::ask_question;
use self::transfer_states::FileTally;
use crate::config::ServerEntries;
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::output::{Output, human, json};
use crate::ui_mode::UiMode;

/// The command line's connection to one client.
#[derive(Debug)]
pub struct Interface {
    /// The client.
    pub client: Client,
    /// Prints and asks.
    pub output: Output,
    /// Ctrl-C, for commands that end in their own way.
    pub interrupts: Interrupts,
    /// The folder with the sockets of this user's processes.
    pub runtime_folder: Option<PathBuf>,
    /// The servers to which the configuration file gives names.
    pub servers: ServerEntries,
    /// What other processes see of the transfers.
    pub shown_transfers: Option<Arc<ClientTransfers>>,
    events: EventReceiver,
    /// Events that are shown later: questions, and states of the connection, that were received while something
    /// else was awaited.
    deferred: VecDeque<ClientEvent>,
    /// Registers this interface for questions; `None` if no person can be asked.
    question_guard: Option<InterfaceGuard>,
    styles: HashMap<TransferId, TransferStyle>,
    /// The style of transfers without one of their own.
    default_style: TransferStyle,
    /// Rows of dry-run plans that are not printed yet.
    plan_rows: HashMap<TransferId, String>,
    /// Running transfers whose progress is displayed.
    displayed: HashSet<TransferId>,
    /// Transfers that are paused.
    paused: HashSet<TransferId>,
    /// The files of transfers that have no summary of their own.
    tallies: HashMap<TransferId, FileTally>,
    peer_display: PeerDisplay,
}

/// How a transfer is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct TransferStyle {
    /// Print one JSON object per file.
    pub json: bool,
    /// Whether it is a single file that the person at the prompt waits for: its name is then not repeated.
    pub is_foreground: bool,
    /// The offer whose files are received, for JSON objects that are events.
    pub offer: Option<OfferNumber>,
}

impl Interface {
    /// Receives all later events of `client`. Asks its questions if a person can be asked.
    #[must_use]
    pub fn new(client: Client, output: Output) -> Self {
        let events = client.all_events();
        let question_guard = output.has_person().then(|| client.questions().register_interface());
        Self {
            client,
            output,
            interrupts: Interrupts::default(),
            runtime_folder: None,
            servers: ServerEntries::default(),
            shown_transfers: None,
            displayed: HashSet::new(),
            paused: HashSet::new(),
            events,
            deferred: VecDeque::new(),
            question_guard,
            styles: HashMap::new(),
            default_style: TransferStyle::default(),
            plan_rows: HashMap::new(),
            tallies: HashMap::new(),
            peer_display: PeerDisplay::default(),
        }
    }

    /// Sets the style of transfers for which [`set_style`](Self::set_style) was not called.
    pub fn set_default_style(&mut self, style: TransferStyle) {
        self.default_style = style;
    }

    /// Sets the style of a transfer.
    pub fn set_style(&mut self, id: TransferId, style: TransferStyle) {
        self.styles.insert(id, style);
    }

    /// Runs `work` and shows the events up to its end. States of the connection are left for [`next`](Self::next).
    ///
    /// # Errors
    /// [`Failure`] if the output fails; `work` is then dropped.
    pub async fn drive<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::pin!(work);
        loop {
            while let Some(question) = self.deferred_question() {
                self.show(question).await?;
            }
            // Unbiased: neither branch may starve the other.
            tokio::select! {
                Some(event) = self.events.next() => self.show_or_defer(event).await?,
                result = &mut work => {
                    self.show_pending().await?;
                    return Ok(result);
                }
            }
        }
    }

    /// Waits for the next event, to be [shown](Self::show).
    pub async fn next(&mut self) -> Option<ClientEvent> {
        match self.deferred.pop_front() {
            Some(event) => Some(event),
            None => self.events.next().await,
        }
    }

    /// Returns the next event that is already queued, to be [shown](Self::show).
    pub fn try_next(&mut self) -> Option<ClientEvent> {
        self.deferred.pop_front().or_else(|| self.events.try_next())
    }

    /// Shows all queued events except states of the connection.
    ///
    /// # Errors
    /// [`Failure`] if the output fails.
    pub async fn show_pending(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.events.try_next() {
            self.show_or_defer(event).await?;
        }
        while let Some(question) = self.deferred_question() {
            self.show(question).await?;
        }
        Ok(())
    }

    /// Asks for confirmation; no answer counts as no. Shows the events of running transfers meanwhile.
    ///
    /// # Errors
    /// [`Failure`] if the terminal or the output fails.
    pub async fn confirm(&mut self, question: &str) -> Result<bool, Failure> {
        let output = self.output.clone();
        self.wait_for_answer(output.confirm(question)).await
    }

    /// Waits for an answer. Shows events meanwhile, because transfers would stop once the event queue is full. A
    /// second question is deferred.
    async fn wait_for_answer<T>(
        &mut self,
        answer: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::pin!(answer);
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                Some(event) = self.events.next() => match event.kind {
                    EventKind::Question(..) => self.deferred.push_back(event),
                    // Boxed, because `show` may call this function again.
                    _ => Box::pin(self.show_or_defer(event)).await?,
                },
            }
        }
    }

    async fn show_or_defer(&mut self, event: ClientEvent) -> Result<(), Failure> {
        match event.kind {
            EventKind::Connection(ConnectionState::SigningIn) => {}
            EventKind::Connection(_) => {
                self.deferred.push_back(event);
                return Ok(());
            }
            _ => {}
        }
        self.show(event).await.map(drop)
    }

    fn deferred_question(&mut self) -> Option<ClientEvent> {
        let is_question = |event: &ClientEvent| matches!(event.kind, EventKind::Question(..));
        let index = self.deferred.iter().position(is_question)?;
        self.deferred.remove(index)
    }

    /// Connects, unless the client is connected.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn connect(&mut self) -> Result<(), Failure> {
        let client = self.client.clone();
        self.drive(client.connect()).await??;
        Ok(())
    }

    /// Runs a prepared transfer: settles it with the server, starts it and waits for its end.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn transfer(
        &mut self,
        mut prepared: PreparedTransfer,
        style: TransferStyle,
    ) -> Result<(), Failure> {
        self.connect().await?;
        let client = self.client.clone();
        self.drive(client.check_with_server(&mut prepared)).await??;
        if let Some(reason) = prepared.nothing_to_do().filter(|_| prepared.file_count() == 1) {
            return Err(reason.into());
        }
        let mut running = client.start(prepared)?;
        self.set_style(running.id, style);
        match self.drive(running.wait()).await? {
            TransferEnd::Done => Ok(()),
            TransferEnd::Failed(error) => Err(Failure::Client(error)),
            // A command does not cancel its own transfer.
            TransferEnd::Cancelled => Err(Failure::Cancelled(client.unfinished_share())),
        }
    }

    /// Shows an event. A state of the connection is returned; only the first connection is shown.
    ///
    /// # Errors
    /// [`Failure`] if the output fails.
    pub async fn show(&mut self, event: ClientEvent) -> Result<Option<ConnectionState>, Failure> {
        match event.kind {
            // This reader gets every event, so it needs no snapshot, and no other interface answers its questions.
            EventKind::Snapshot(_) | EventKind::QuestionSettled(_) => {}
            EventKind::Connection(state) => {
                if matches!(state, ConnectionState::SigningIn)
                    && self.output.mode() != UiMode::OneShot
                {
                    self.output.say("Connected to server.").await;
                }
                return Ok(Some(state));
            }
            EventKind::ServerStopping(grace) => {
                if self.output.mode() != UiMode::OneShot {
                    self.output.say(human::server_stopping(grace)).await;
                }
            }
            EventKind::SignInRefused(error) | EventKind::Failed(error) => {
                self.output.failure(&Failure::Client(error)).await;
            }
            EventKind::Notice(notice) => self.output.notice(&notice).await,
            EventKind::Question(id, question) => self.ask(id, &question).await?,
            EventKind::Transfer(id, event) => self.show_transfer(id, event).await?,
            EventKind::Peer(event) => self.show_peer(event).await?,
        }
        Ok(None)
    }

    async fn show_transfer(&mut self, id: TransferId, event: TransferEvent) -> Result<(), Failure> {
        let style = self.styles.get(&id).copied().unwrap_or(self.default_style);
        match event {
            TransferEvent::State(state) => {
                self.show_progress(id, state);
                self.show_pause(id, state).await;
                if state.is_over() {
                    let is_awaited = self.styles.remove(&id).is_some();
                    if !is_awaited && state == TransferState::Failed {
                        self.show_unawaited_failure(id).await;
                    }
                    self.plan_rows.remove(&id);
                    self.show_tally(id, state).await;
                    self.show_end(id).await;
                }
            }
            TransferEvent::Downloaded(file) if style.json => {
                let line = json::DownloadedLine::new(&file);
                let line = match style.offer {
                    Some(number) => json::line(&json::events::FileLine::new(number, line)),
                    None => json::line(&line),
                };
                self.output.data(line + "\n").await?;
            }
            TransferEvent::Downloaded(file) if file.already_there => {
                self.tallies.entry(id).or_default().same += 1;
                self.output.say(human::already_there(&file.path)).await;
            }
            TransferEvent::Downloaded(file) => {
                self.tallies.entry(id).or_default().add(file.size);
                let text = match self.output.mode() {
                    UiMode::Prompt => receipt("File received successfully", style, &file.path),
                    _ => human::received(&file.path, file.size),
                };
                self.output.say(text).await;
            }
            TransferEvent::Uploaded(file) if style.json => {
                self.output.data(json::line(&json::UploadedLine::new(&file)) + "\n").await?;
            }
            TransferEvent::Uploaded(file) if file.already_there => {
                self.tallies.entry(id).or_default().same += 1;
                self.output.say(human::already_there(&file.path)).await;
            }
            TransferEvent::Uploaded(file) => {
                self.tallies.entry(id).or_default().add(file.size);
                let text = match self.output.mode() {
                    UiMode::Prompt => receipt("File stored successfully", style, &file.path),
                    _ => human::stored(&file.path, file.size),
                };
                self.output.say(text).await;
            }
            TransferEvent::FileFailed(error) => {
                self.output.failure(&Failure::Client(error)).await;
            }
            TransferEvent::LeftOut(left_out) => self.show_left_out(&left_out, style).await?,
            TransferEvent::Planned(planned) => self.show_planned(id, &planned, style.json).await?,
            TransferEvent::PlanShown(summary) => {
                self.show_plan_summary(id, &summary, style.json).await?;
            }
            // The end of the offer has its own line.
            TransferEvent::Summary(_) if style.json && style.offer.is_some() => {}
            TransferEvent::Summary(summary) if style.json => {
                self.output.data(json::line(&json::SummaryLine::new(&summary)) + "\n").await?;
            }
            TransferEvent::Summary(summary) => {
                self.tallies.remove(&id);
                if let Ok(status) = self.client.transfer(id) {
                    self.output.say(human::summary(&summary, status.direction)).await;
                }
            }
            // At the prompt, a person would not expect it between the JSON objects.
            TransferEvent::Throughput(_) if style.json && self.output.mode() == UiMode::Prompt => {}
            TransferEvent::Throughput(throughput) => {
                self.output.say(human::throughput(&throughput)).await;
            }
        }
        Ok(())
    }

    async fn ask(&mut self, id: QuestionId, question: &Question) -> Result<(), Failure> {
        let output = self.output.clone();
        match self.wait_for_answer(ask_question(&output, question)).await? {
            // Fails only if the question was withdrawn meanwhile.
            Some(answer) => drop(self.client.questions().answer(id, answer)),
            None => {
                if let Some(guard) = &self.question_guard {
                    guard.dismiss(id);
                }
            }
        }
        Ok(())
    }
}

/// `File received successfully.` in the foreground, else with the path.
fn receipt(text: &str, style: TransferStyle, path: &FilePath) -> String {
    if style.is_foreground {
        format!("{text}.")
    } else {
        format!("{text}: {}", display_safe(path.as_str()))
    }
}
