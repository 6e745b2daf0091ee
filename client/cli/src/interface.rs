//! The command line as one interface of the client: takes its events, shows them, and asks its questions. Knows no
//! command.

use std::collections::{HashMap, VecDeque};

use quiver_client::InterfaceGuard;
use quiver_client::event::{ClientEvent, ConnectionState, EventKind, EventReceiver};
use quiver_client::question::{Answer, Question, QuestionId};
use quiver_client::transfers::{PlannedFile, TransferEvent, TransferId};
use quiver_client::tree::Decision;
use quiver_client::{Client, ClientError, PreparedTransfer, TransferEnd};
use quiver_protocol::FilePath;
use quiver_protocol::text::display_safe;

use crate::failure::Failure;
use crate::output::{GATHER, Output, human, json, plan};
use crate::ui_mode::UiMode;

/// One interface of one client.
#[derive(Debug)]
pub struct Interface {
    /// The client.
    pub client: Client,
    /// Where everything is said.
    pub output: Output,
    events: EventReceiver,
    /// What happened while something else was waited for, and is not shown yet: questions, and states of the
    /// connection.
    deferred: VecDeque<ClientEvent>,
    /// Where there is somebody to ask.
    attendant: Option<InterfaceGuard>,
    styles: HashMap<TransferId, TransferStyle>,
    /// Of transfers that were started by other means.
    style: TransferStyle,
    /// Rows of plans that wait until there are some more.
    rows: HashMap<TransferId, String>,
}

/// How a transfer is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct TransferStyle {
    /// One JSON object a file.
    pub json: bool,
    /// Whether it is the one file that a person waits for at the prompt: it needs no name.
    pub is_awaited: bool,
}

impl Interface {
    /// Takes all events of a client from now on. Questions are asked where there is somebody to ask.
    #[must_use]
    pub fn new(client: Client, output: Output) -> Self {
        let events = client.all_events();
        let attendant = output.can_ask().then(|| client.questions().register_interface());
        Self {
            client,
            output,
            events,
            deferred: VecDeque::new(),
            attendant,
            styles: HashMap::new(),
            style: TransferStyle::default(),
            rows: HashMap::new(),
        }
    }

    /// How transfers are shown that are not [styled](Self::style).
    pub fn style_all(&mut self, style: TransferStyle) {
        self.style = style;
    }

    /// How a transfer is shown.
    pub fn style(&mut self, id: TransferId, style: TransferStyle) {
        self.styles.insert(id, style);
    }

    /// Does some work, and shows what happens meanwhile, up to its end. States of the connection are left for
    /// [`next`](Self::next).
    ///
    /// # Errors
    /// [`Failure`] where nothing can be shown any more; the work is given up then.
    pub async fn drive<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::pin!(work);
        loop {
            while let Some(question) = self.deferred_question() {
                self.show(question).await?;
            }
            // In no order: neither may keep the other waiting for ever.
            tokio::select! {
                Some(event) = self.events.next() => self.show_or_defer(event).await?,
                done = &mut work => {
                    self.show_what_waits().await?;
                    return Ok(done);
                }
            }
        }
    }

    /// The next event, to be [shown](Self::show).
    pub async fn next(&mut self) -> Option<ClientEvent> {
        match self.deferred.pop_front() {
            Some(event) => Some(event),
            None => self.events.next().await,
        }
    }

    /// The next event that has happened already, to be [shown](Self::show).
    pub fn try_next(&mut self) -> Option<ClientEvent> {
        self.deferred.pop_front().or_else(|| self.events.try_next())
    }

    /// Shows all events that have happened, but states of the connection.
    ///
    /// # Errors
    /// [`Failure`] where nothing can be shown any more.
    pub async fn show_what_waits(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.events.try_next() {
            self.show_or_defer(event).await?;
        }
        while let Some(question) = self.deferred_question() {
            self.show(question).await?;
        }
        Ok(())
    }

    /// Asks whether something may be done; no answer is a no. Transfers go on meanwhile, and are shown.
    ///
    /// # Errors
    /// [`Failure`] where nothing can be asked or shown.
    pub async fn confirm(&mut self, question: &str) -> Result<bool, Failure> {
        let output = self.output.clone();
        self.wait_for_person(output.confirm(question)).await
    }

    /// Waits for an answer. Transfers would stop once no more of their events can wait, so they are shown; a second
    /// question waits for the first.
    async fn wait_for_person<T>(
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
                    // In a box, because what is shown may have asked.
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
        let at = self.deferred.iter().position(is_question)?;
        self.deferred.remove(at)
    }

    /// Makes sure that there is a connection.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn connect(&mut self) -> Result<(), Failure> {
        let client = self.client.clone();
        self.drive(client.connect()).await??;
        Ok(())
    }

    /// Carries out a transfer that was prepared: settles it with the server, starts it and waits for its end.
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
        if let Some(kept) = prepared.nothing_to_do() {
            return Err(kept.into());
        }
        let mut running = client.start(prepared)?;
        self.style(running.id, style);
        match self.drive(running.wait()).await? {
            TransferEnd::Done => Ok(()),
            TransferEnd::Failed(error) => Err(Failure::Client(error)),
            TransferEnd::Cancelled => Err(ClientError::Interrupted.into()),
        }
    }

    /// Shows an event. Of the connection's state only what a person waits for is shown; the rest comes back.
    ///
    /// # Errors
    /// [`Failure`] where nothing can be shown any more.
    pub async fn show(&mut self, event: ClientEvent) -> Result<Option<ConnectionState>, Failure> {
        match event.kind {
            // This reader misses nothing, and questions are asked here alone.
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
                    self.output.say(human::stopping(grace)).await;
                }
            }
            EventKind::SignInRefused(error) | EventKind::Failed(error) => {
                self.output.failure(&Failure::Client(error)).await;
            }
            EventKind::Notice(notice) => self.output.say(human::notice(&notice)).await,
            EventKind::Question(id, question) => self.ask(id, &question).await?,
            EventKind::Transfer(id, event) => self.show_transfer(id, event).await?,
        }
        Ok(None)
    }

    async fn show_transfer(&mut self, id: TransferId, event: TransferEvent) -> Result<(), Failure> {
        let style = self.styles.get(&id).copied().unwrap_or(self.style);
        match event {
            TransferEvent::State(state) => {
                if state.is_over() {
                    self.styles.remove(&id);
                    self.rows.remove(&id);
                }
            }
            TransferEvent::Started(progress) => self.output.bars().show(progress),
            TransferEvent::Downloaded(file) if style.json => {
                self.output.data(json::line(&json::FileLine::new(&file)) + "\n").await?;
            }
            TransferEvent::Downloaded(file) => {
                let said = match self.output.mode() {
                    UiMode::Prompt => receipt("File received successfully", style, &file.path),
                    _ => human::received(&file.path, file.size),
                };
                self.output.say(said).await;
            }
            TransferEvent::Uploaded(file) if style.json => {
                self.output.data(json::line(&json::StoredLine::new(&file)) + "\n").await?;
            }
            TransferEvent::Uploaded(file) => {
                let said = match self.output.mode() {
                    UiMode::Prompt => receipt("File stored successfully", style, &file.path),
                    _ => human::stored(&file.path, file.size),
                };
                self.output.say(said).await;
            }
            TransferEvent::FileFailed(error) => {
                self.output.failure(&Failure::Client(error)).await;
            }
            TransferEvent::Planned(planned) => self.show_planned(id, &planned, style.json).await?,
            TransferEvent::PlanShown => {
                let rows = self.rows.remove(&id).unwrap_or_default();
                self.output.data(rows).await?;
            }
            TransferEvent::Summary(summary) if style.json => {
                self.output.data(json::line(&json::SummaryCounts::new(&summary)) + "\n").await?;
            }
            TransferEvent::Summary(summary) => {
                if let Ok(status) = self.client.transfer(id) {
                    self.output.say(human::summary(&summary, status.direction)).await;
                }
            }
            TransferEvent::Throughput(throughput) => {
                if self.output.mode() != UiMode::Prompt {
                    self.output.say(human::throughput(&throughput)).await;
                }
            }
        }
        Ok(())
    }

    async fn show_planned(
        &mut self,
        id: TransferId,
        planned: &PlannedFile,
        json: bool,
    ) -> Result<(), Failure> {
        let rows = self.rows.entry(id).or_default();
        *rows += &if json { plan::object(planned) } else { plan::line(planned) };
        rows.push('\n');
        if rows.len() >= GATHER {
            self.output.data(std::mem::take(rows)).await?;
        }
        Ok(())
    }

    async fn ask(&mut self, id: QuestionId, question: &Question) -> Result<(), Failure> {
        let output = self.output.clone();
        match self.wait_for_person(answer(&output, question)).await? {
            // Fails only where the question was given up meanwhile.
            Some(answer) => drop(self.client.questions().answer(id, answer)),
            None => {
                if let Some(attendant) = &self.attendant {
                    attendant.dismiss(id);
                }
            }
        }
        Ok(())
    }
}

/// What the person says to a question; `None` where there is no answer.
async fn answer(output: &Output, question: &Question) -> Result<Option<Answer>, Failure> {
    Ok(match question {
        Question::Trust { server, fingerprint, not_remembered } => {
            let question = human::trust(server, fingerprint, not_remembered.as_deref());
            Some(Answer::Trust(ask_yes_or_no(output, question).await?))
        }
        Question::Name => output.ask("Enter your client name: ").await?.map(Answer::Name),
        Question::Password => output.ask_hidden("Password: ").await?.map(Answer::Password),
        Question::Replace { path, on_server } => {
            let place = if *on_server { " on the server" } else { "" };
            let question = format!("{path} exists{place} already. Replace it? [y/N] ");
            Some(Answer::Replace(output.confirm(&question).await?))
        }
        // The prompt's line is no place for it.
        Question::Conflict { .. } if output.mode() == UiMode::Prompt => None,
        Question::Conflict { path } => Some(ask_conflict(output, path).await?),
    })
}

async fn ask_yes_or_no(output: &Output, mut question: String) -> Result<bool, Failure> {
    loop {
        match output.ask(&question).await?.map(|answer| answer.to_ascii_lowercase()) {
            Some(answer) if answer == "yes" => return Ok(true),
            Some(answer) if answer != "no" => {
                "Please type yes or no: ".clone_into(&mut question);
            }
            _ => return Ok(false),
        }
    }
}

async fn ask_conflict(output: &Output, path: &str) -> Result<Answer, Failure> {
    let question = format!(
        "{path} is there already, with other content. [r]eplace it, keep [b]oth, or [s]kip it? \
         (a capital letter: all that follow) "
    );
    let answer = output.ask(&question).await?.unwrap_or_default();
    let decision = match answer.to_ascii_lowercase().as_str() {
        "r" | "replace" => Decision::Replace,
        "b" | "both" => Decision::KeepBoth,
        _ => Decision::Skip,
    };
    Ok(Answer::Conflict { decision, for_all: answer.starts_with(char::is_uppercase) })
}

fn receipt(said: &str, style: TransferStyle, path: &FilePath) -> String {
    if style.is_awaited {
        format!("{said}.")
    } else {
        format!("{said}: {}", display_safe(path.as_str()))
    }
}
