//! The prompt at a terminal: reads lines and runs their commands, and prints events above the line that is being
//! typed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use quiver_client::event::{ClientEvent, ConnectionState};
use quiver_client::folders::Folders;
use quiver_client::transfers::TransferId;
use quiver_client::{Client, PreparedTransfer, TransferEnd};
use quiver_protocol::text::display_safe;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::complete::CompletionQuery;
use super::editor::{EditorEvent, EditorHandle};
use super::line::ParsedLine;
use super::{CONNECTED_AGAIN, Interrupts, connection_lost};
use crate::cli::{self, CommandArgs};
use crate::command;
use crate::command::PROMPT_HELP;
use crate::failure::{Exit, Failure};
use crate::interface::{Interface, TransferStyle};

/// How long a transfer runs in the foreground, so that a small file is complete before the next line is typed.
const FOREGROUND_TIME: Duration = Duration::from_millis(500);

/// Connects, asks for a missing name or password, and runs lines until the person leaves.
///
/// # Errors
/// [`Failure`] if the first connection or the terminal fails.
pub async fn run_terminal(
    interface: &mut Interface,
    folders: &Folders,
    interrupts: Interrupts,
) -> Result<Exit, Failure> {
    interface.connect().await?;
    interface.output.say("Connected to the server successfully.").await;
    let history = folders.state().ok().map(|state| state.join("history"));
    let (editor, queries, print_above) = EditorHandle::start(history).await?;
    let editor = Arc::new(Mutex::new(editor));
    interface.output.set_print_above(print_above).await;
    let confirm_editor = editor.clone();
    interface.output.set_confirm(Some(Box::new(move |question| {
        let editor = confirm_editor.clone();
        Box::pin(async move { editor.lock().await.confirm(&question).await })
    })));
    interrupts.enable();
    let name = interface.client.welcome()?.name.to_string();
    let mut prompt = Prompt {
        interface,
        name,
        editor,
        queries,
        interrupts,
        running: HashMap::new(),
        transfer_ends: JoinSet::new(),
        lookups: JoinSet::new(),
        is_loss_reported: false,
        is_exit_warned: false,
    };
    let result = prompt.run().await;
    // Without the editor, texts that wait for a line are printed.
    drop(prompt);
    interface.output.set_confirm(None);
    interface.output.set_print_above(None).await;
    result.map(|()| Exit::Done)
}

struct Prompt<'a> {
    interface: &'a mut Interface,
    name: String,
    /// Locked while a line is read or a question is asked, so that only one of them uses the editor.
    editor: Arc<Mutex<EditorHandle>>,
    /// The queries of Tab completion.
    queries: mpsc::Receiver<CompletionQuery>,
    interrupts: Interrupts,
    /// Running transfers, each with the line that started it.
    running: HashMap<TransferId, String>,
    /// Wait for the ends of running transfers.
    transfer_ends: JoinSet<(TransferId, TransferEnd)>,
    /// Running Tab completions.
    lookups: JoinSet<()>,
    /// Whether the current loss of the connection was reported.
    is_loss_reported: bool,
    /// Whether the last line was `exit`, and warned about running transfers.
    is_exit_warned: bool,
}

/// An event while a line is typed.
enum PromptEvent {
    Editor(EditorEvent),
    Client(ClientEvent),
    TransferEnded(TransferId, TransferEnd),
    Completion(CompletionQuery),
    Interrupted,
    /// Needs no action.
    Ignored,
}

impl Prompt<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        loop {
            self.editor.lock().await.read_line(format!("{}: ", self.name));
            let editor_event = loop {
                match self.next().await {
                    PromptEvent::Editor(event) => break event,
                    PromptEvent::Client(event) => self.show(event).await?,
                    PromptEvent::TransferEnded(id, end) => self.finish(id, end).await?,
                    PromptEvent::Completion(query) => self.look_up(query),
                    PromptEvent::Interrupted => self.cancel_all(),
                    PromptEvent::Ignored => {}
                }
            };
            let exits = match editor_event {
                EditorEvent::Line(line) => self.run_line(&line).await?,
                EditorEvent::Interrupted { on_empty_line } => {
                    self.interrupt(on_empty_line).await;
                    false
                }
                EditorEvent::End => self.may_exit().await,
                EditorEvent::Failed(source) => {
                    return Err(Failure::system("cannot use the terminal", source));
                }
            };
            if exits {
                return self.exit().await;
            }
        }
    }

    async fn next(&mut self) -> PromptEvent {
        let editor = self.editor.clone();
        let editor_event = async move { editor.lock().await.next_event().await };
        tokio::select! {
            event = editor_event => PromptEvent::Editor(event),
            Some(ended) = self.transfer_ends.join_next() => transfer_ended(ended),
            Some(event) = self.interface.next() => PromptEvent::Client(event),
            // On a terminal that cannot move its cursor, the editor does not handle Ctrl-C.
            () = self.interrupts.next() => PromptEvent::Interrupted,
            Some(query) = self.queries.recv() => PromptEvent::Completion(query),
            Some(_) = self.lookups.join_next() => PromptEvent::Ignored,
        }
    }

    async fn show(&mut self, event: ClientEvent) -> Result<(), Failure> {
        match self.interface.show(event).await? {
            Some(ConnectionState::Reconnected(_)) => {
                self.is_loss_reported = false;
                self.interface.output.say(CONNECTED_AGAIN).await;
            }
            // Running transfers report the loss themselves, and how long they retry.
            Some(ConnectionState::Lost(why))
                if self.running.is_empty()
                    && !self.is_loss_reported
                    && !self.interface.client.is_connected() =>
            {
                self.is_loss_reported = true;
                self.interface.output.say(connection_lost(&why)).await;
            }
            _ => {}
        }
        Ok(())
    }

    fn look_up(&mut self, query: CompletionQuery) {
        self.lookups.spawn(query.respond(self.interface.client.clone()));
    }

    /// Runs a line. Returns whether the prompt exits.
    async fn run_line(&mut self, line: &str) -> Result<bool, Failure> {
        let parsed = match ParsedLine::parse(line) {
            Ok(parsed) => parsed,
            Err(failure) => {
                self.interface.output.failure(&failure).await;
                return Ok(false);
            }
        };
        if matches!(parsed, ParsedLine::Exit) {
            return Ok(self.may_exit().await);
        }
        self.is_exit_warned = false;
        let result = match parsed {
            ParsedLine::Blank | ParsedLine::Exit => Ok(()),
            ParsedLine::Help => {
                self.interface.output.say(PROMPT_HELP).await;
                Ok(())
            }
            ParsedLine::Command(CommandArgs::Get(arguments)) => self.get(&arguments, line).await,
            ParsedLine::Command(CommandArgs::Put(arguments)) => self.put(&arguments, line).await,
            parsed => self.run_command(parsed).await,
        };
        if let Err(failure) = result {
            self.report(failure.in_line(line)).await;
        }
        Ok(false)
    }

    /// Runs a command or sends a message, and waits for its end.
    async fn run_command(&mut self, parsed: ParsedLine) -> Result<(), Failure> {
        // Asks before connecting, so that no connection waits for the answer, and Ctrl-C counts as no.
        let removal = match &parsed {
            ParsedLine::Command(CommandArgs::Rm(arguments)) => {
                match command::rm::confirm(self.interface, arguments).await? {
                    Some(request) => Some((request, arguments.json)),
                    None => return Ok(()),
                }
            }
            _ => None,
        };
        self.reconnect().await?;
        let interface = &mut *self.interface;
        let output = interface.output.clone();
        let run = async {
            match (removal, &parsed) {
                (Some((request, json)), _) => request.execute(interface, json).await,
                (None, ParsedLine::Message(text)) => command::send_message(interface, text).await,
                (None, ParsedLine::Command(command)) => command::run(interface, command).await,
                (None, ParsedLine::Blank | ParsedLine::Help | ParsedLine::Exit) => Ok(()),
            }
        };
        tokio::select! {
            result = run => result,
            () = self.interrupts.next() => {
                // The terminal has echoed ^C.
                output.say("\nCancelled.").await;
                Ok(())
            }
        }
    }

    async fn get(&mut self, arguments: &cli::GetArgs, line: &str) -> Result<(), Failure> {
        let prepared = command::get::prepare(self.interface, arguments).await?;
        if prepared.nothing_to_do().is_some() {
            self.interface.output.say("Nothing was fetched.").await;
            return Ok(());
        }
        self.reconnect().await?;
        self.start(prepared, arguments.json, line).await
    }

    async fn put(&mut self, arguments: &cli::PutArgs, line: &str) -> Result<(), Failure> {
        let mut prepared = command::put::prepare(self.interface, arguments)?;
        self.reconnect().await?;
        let client = self.interface.client.clone();
        self.interface.drive(client.check_with_server(&mut prepared)).await??;
        if prepared.nothing_to_do().is_some() {
            self.interface.output.say("Nothing was stored.").await;
            return Ok(());
        }
        self.start(prepared, arguments.json, line).await
    }

    /// Starts a transfer and waits for its end, at most [`FOREGROUND_TIME`]; then it continues in the background.
    async fn start(
        &mut self,
        prepared: PreparedTransfer,
        json: bool,
        line: &str,
    ) -> Result<(), Failure> {
        let is_foreground = prepared.file_count() == 1;
        let mut running = self.interface.client.start(prepared)?;
        let id = running.id;
        self.interface.set_style(id, TransferStyle { json, is_foreground });
        self.running.insert(id, line.to_owned());
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
                    self.interface.set_style(id, TransferStyle { json, is_foreground: false });
                    let line = display_safe(line.trim()).into_owned();
                    let note = "continues in the background. Ctrl-C on an empty line cancels it.";
                    self.interface.output.say(format!("{line}: {note}")).await;
                    return Ok(());
                }
            }
        }
    }

    /// Reports how a transfer ended.
    async fn finish(&mut self, id: TransferId, end: TransferEnd) -> Result<(), Failure> {
        // Its earlier events are shown first.
        self.interface.show_pending().await?;
        let line = self.running.remove(&id).unwrap_or_default();
        match end {
            TransferEnd::Done => {}
            TransferEnd::Failed(error) => self.report(Failure::Client(error).in_line(&line)).await,
            TransferEnd::Cancelled => self.interface.output.say("Transfer cancelled.").await,
        }
        Ok(())
    }

    /// Reports a failure and, if it is a connection loss, that the next command reconnects.
    async fn report(&mut self, failure: Failure) {
        self.interface.output.failure(&failure).await;
        if !failure.is_lost_connection() {
            return;
        }
        // A transfer may report the loss of a connection that has already been replaced.
        if !self.interface.client.is_connected() && self.running.is_empty() {
            self.is_loss_reported = true;
            self.interface.output.say("The next command connects again.").await;
        }
    }

    /// Handles Ctrl-C while a line is typed.
    async fn interrupt(&mut self, on_empty_line: bool) {
        if on_empty_line && !self.running.is_empty() {
            self.cancel_all();
        } else if on_empty_line {
            self.interface.output.say("To leave, type exit or press Ctrl-D.").await;
        }
    }

    fn cancel(&self, id: TransferId) {
        // Fails only if it has ended.
        let _ = self.interface.client.cancel(id);
    }

    fn cancel_all(&self) {
        for id in self.running.keys() {
            self.cancel(*id);
        }
    }

    /// Connects if the connection is lost; tries once.
    async fn reconnect(&mut self) -> Result<(), Failure> {
        if self.interface.client.is_connected() {
            return Ok(());
        }
        // The result of this attempt is reported instead of the loss.
        self.is_loss_reported = true;
        let client: Client = self.interface.client.clone();
        tokio::select! {
            connected = self.interface.drive(client.connect()) => drop(connected??),
            () = self.interrupts.next() => return Err(Failure::Interrupted(None)),
        }
        while let Some(event) = self.interface.try_next() {
            self.show(event).await?;
        }
        Ok(())
    }

    /// Whether to exit. Warns once if transfers are running; the next `exit` then exits.
    async fn may_exit(&mut self) -> bool {
        let running = self.running.len();
        if running == 0 || std::mem::replace(&mut self.is_exit_warned, true) {
            return true;
        }
        let what = if running == 1 { "1 transfer is" } else { &format!("{running} transfers are") };
        let text = format!("{what} still running: type exit again to cancel and leave.");
        self.interface.output.say(text).await;
        false
    }

    /// Cancels all transfers and disconnects.
    async fn exit(&mut self) -> Result<(), Failure> {
        self.cancel_all();
        while self.transfer_ends.join_next().await.is_some() {}
        self.interface.output.say("Closing connection to server...").await;
        self.interface.client.disconnect().await;
        self.interface.output.say("Connection closed.").await;
        Ok(())
    }
}

fn transfer_ended(ended: Result<(TransferId, TransferEnd), tokio::task::JoinError>) -> PromptEvent {
    match ended {
        Ok((id, end)) => PromptEvent::TransferEnded(id, end),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down.
        Err(_) => PromptEvent::Ignored,
    }
}
