//! The prompt at a terminal: reads lines and runs their commands, and prints events above the line that is being
//! typed.

mod offers;
mod progress;
mod reconnect;
mod transfers;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use quiver_client::event::{ClientEvent, ConnectionState};
use quiver_client::folders::Folders;
use quiver_client::peer_store::OfferNumber;
use quiver_client::transfers::TransferId;
use quiver_client::{ClientError, TransferEnd};
use quiver_protocol::units;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::offers::OfferEnd;
use self::transfers::{RunningLine, transfer_ended};
use super::complete::CompletionQuery;
use super::editor::{EditorEvent, EditorHandle};
use super::line::ParsedLine;
use super::{CONNECTED_AGAIN, parse_line};
use crate::cli::{CommandArgs, RmArgs};
use crate::command;
use crate::command::rm::RemoveRequest;
use crate::failure::{Exit, Failure};
use crate::interface::Interface;
use crate::interrupts::Interrupts;
use crate::prompt_help;

/// Connects, asks for a missing name or password, and runs lines until the person leaves.
///
/// # Errors
/// [`Failure`] if the first connection or the terminal fails.
pub async fn run_terminal(interface: &mut Interface, folders: &Folders) -> Result<Exit, Failure> {
    interface.connect().await?;
    interface.output.say("Connected to the server successfully.").await;
    let interrupts = interface.interrupts.clone();
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
        offer_ends: JoinSet::new(),
        open_offers: BTreeSet::new(),
        questions: VecDeque::new(),
        next_report: None,
        lookups: JoinSet::new(),
        reconnecting: JoinSet::new(),
        is_lost: false,
        is_loss_reported: false,
        is_exit_warned: false,
        held: None,
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
    /// Running transfers, each with what started it.
    running: HashMap<TransferId, RunningLine>,
    /// Wait for the ends of running transfers.
    transfer_ends: JoinSet<(TransferId, TransferEnd)>,
    /// Wait for the ends of offers that were made here.
    offer_ends: JoinSet<OfferEnd>,
    /// Those of them that are not settled.
    open_offers: BTreeSet<OfferNumber>,
    /// Questions that came while a line was typed, to be asked after it.
    questions: VecDeque<ClientEvent>,
    /// When the progress of running transfers is printed next.
    next_report: Option<Instant>,
    /// Running Tab completions.
    lookups: JoinSet<()>,
    /// Connects again after a loss: at most one task.
    reconnecting: JoinSet<Result<(), ClientError>>,
    /// Whether the connection was lost, and there is no other one yet.
    is_lost: bool,
    /// Whether the current loss of the connection was reported.
    is_loss_reported: bool,
    /// Whether the last line was `exit`, and warned about running transfers.
    is_exit_warned: bool,
    /// The last line, if it looks like a mistyped command: Enter sends it.
    held: Option<String>,
}

/// An event while a line is typed.
enum PromptEvent {
    Editor(EditorEvent),
    Client(ClientEvent),
    TransferEnded(TransferId, TransferEnd),
    OfferEnded(Box<OfferEnd>),
    Completion(CompletionQuery),
    Reconnected(Result<(), ClientError>),
    Interrupted,
    /// The progress of running transfers is to be printed.
    ReportDue,
    /// Needs no action.
    Ignored,
}

impl Prompt<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        self.interface.listen().await?;
        loop {
            self.ask_questions().await?;
            let initial = self.held.clone().unwrap_or_default();
            self.editor.lock().await.read_line(format!("{}: ", self.name), initial);
            let editor_event = loop {
                match self.next().await {
                    PromptEvent::Editor(event) => break event,
                    PromptEvent::Client(event) => self.show_above(event).await?,
                    PromptEvent::TransferEnded(id, end) => self.finish(id, end).await?,
                    PromptEvent::OfferEnded(end) => self.finish_offer(*end).await?,
                    PromptEvent::Completion(query) => self.look_up(query),
                    PromptEvent::Reconnected(result) => self.finish_reconnecting(result).await,
                    PromptEvent::Interrupted => self.cancel_all(),
                    PromptEvent::ReportDue => self.report_progress().await,
                    PromptEvent::Ignored => {}
                }
            };
            let exits = match editor_event {
                EditorEvent::Line { text, is_pasted } => self.run_line(&text, is_pasted).await?,
                EditorEvent::Interrupted { on_empty_line } => {
                    self.held = None;
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
            Some(ended) = self.offer_ends.join_next() => offers::offer_ended(ended),
            Some(event) = self.interface.next() => PromptEvent::Client(event),
            // On a terminal that cannot move its cursor, the editor does not handle Ctrl-C.
            () = self.interrupts.next() => PromptEvent::Interrupted,
            Some(query) = self.queries.recv() => PromptEvent::Completion(query),
            Some(_) = self.lookups.join_next() => PromptEvent::Ignored,
            Some(ended) = self.reconnecting.join_next() => reconnect::ended(ended),
            () = progress::due(self.next_report) => PromptEvent::ReportDue,
        }
    }

    async fn show(&mut self, event: ClientEvent) -> Result<(), Failure> {
        match self.interface.show(event).await? {
            Some(ConnectionState::Reconnected(_)) => {
                self.is_loss_reported = false;
                // A silent connection may be replaced without a loss.
                if std::mem::take(&mut self.is_lost) {
                    self.interface.output.say(CONNECTED_AGAIN).await;
                }
            }
            Some(ConnectionState::Lost(why)) => {
                self.is_lost = true;
                self.reconnect_in_background(&why).await;
            }
            _ => {}
        }
        Ok(())
    }

    fn look_up(&mut self, query: CompletionQuery) {
        self.lookups.spawn(query.respond(self.interface.client.clone()));
    }

    /// Runs a line. Returns whether the prompt exits.
    async fn run_line(&mut self, line: &str, is_pasted: bool) -> Result<bool, Failure> {
        let (line, is_confirmed) = self.take_held(line, is_pasted).await;
        let parsed = match parse(&line, is_confirmed).await {
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
        let line = line.as_str();
        let result = match parsed {
            ParsedLine::Blank | ParsedLine::Exit => Ok(()),
            ParsedLine::NearMiss(near) => {
                let how = "Enter sends the line as a message, or correct it.";
                self.interface.output.say(format!("{}. {how}", near.what())).await;
                self.held = Some(near.line);
                Ok(())
            }
            ParsedLine::Help => {
                let width = self.interface.output.message_width();
                self.interface.output.say(prompt_help::wrapped(width)).await;
                Ok(())
            }
            ParsedLine::Command(CommandArgs::Get(arguments)) => self.get(&arguments, line).await,
            ParsedLine::Command(CommandArgs::Put(arguments)) => self.put(&arguments, line).await,
            ParsedLine::Command(CommandArgs::Accept(arguments)) => {
                self.accept(&arguments, line).await
            }
            ParsedLine::Command(CommandArgs::Send(arguments)) if arguments.cancel.is_none() => {
                self.send(&arguments, line).await
            }
            parsed => self.run_command(parsed).await,
        };
        if let Err(failure) = result {
            self.report(failure.in_line(line)).await;
        }
        Ok(false)
    }

    /// The line to run, and whether it is the held one again, which is then a message.
    async fn take_held(&mut self, line: &str, is_pasted: bool) -> (String, bool) {
        let Some(held) = self.held.take() else { return (line.to_owned(), false) };
        let can_prefill = self.editor.lock().await.can_prefill();
        if line.trim() == held || (line.trim().is_empty() && !can_prefill) {
            return (held, true);
        }
        // The next line of a paste is typed behind the held one.
        let next = line.strip_prefix(&held).filter(|_| is_pasted);
        (next.unwrap_or(line).to_owned(), false)
    }

    /// Runs a command or sends a message, and waits for its end.
    async fn run_command(&mut self, parsed: ParsedLine) -> Result<(), Failure> {
        let removal = match &parsed {
            ParsedLine::Command(CommandArgs::Rm(arguments)) => {
                match self.confirm_removal(arguments).await? {
                    Some(request) => Some(request),
                    None => return Ok(()),
                }
            }
            _ => None,
        };
        if parsed.needs_connection() {
            self.reconnect().await?;
        }
        let interface = &mut *self.interface;
        let output = interface.output.clone();
        let run = async {
            match (removal, &parsed) {
                (Some(request), _) => request.execute(interface).await,
                (None, ParsedLine::Message(text)) => {
                    command::send_message(interface, text, false).await
                }
                (None, ParsedLine::Command(command)) => command::run(interface, command).await,
                (
                    None,
                    ParsedLine::Blank
                    | ParsedLine::NearMiss(_)
                    | ParsedLine::Help
                    | ParsedLine::Exit,
                ) => Ok(()),
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

    /// Finds out what `rm` would remove, and asks; `None` if the answer is no. Asks before connecting where it can, so
    /// that no connection waits for the answer. Ctrl-C counts as no.
    async fn confirm_removal(
        &mut self,
        arguments: &RmArgs,
    ) -> Result<Option<RemoveRequest>, Failure> {
        if command::rm::needs_listing(arguments) {
            self.reconnect().await?;
        }
        let select = command::rm::select(self.interface, arguments);
        let request = tokio::select! {
            request = select => request?,
            () = self.interrupts.next() => {
                // The terminal has echoed ^C.
                self.interface.output.say("\nCancelled.").await;
                return Ok(None);
            }
        };
        Ok(request.confirm(self.interface).await?.then_some(request))
    }

    /// Reports a failure.
    async fn report(&mut self, failure: Failure) {
        self.interface.output.failure(&failure).await;
    }

    /// Handles Ctrl-C while a line is typed.
    async fn interrupt(&mut self, on_empty_line: bool) {
        if on_empty_line && !self.running.is_empty() {
            self.cancel_all();
        } else if on_empty_line {
            self.interface.output.say("To leave, type exit or press Ctrl-D.").await;
        }
    }

    /// Whether to exit. Warns once if transfers are running; the next `exit` then exits.
    async fn may_exit(&mut self) -> bool {
        let running = self.running.len();
        if running == 0 || std::mem::replace(&mut self.is_exit_warned, true) {
            return true;
        }
        let is = if running == 1 { "is" } else { "are" };
        let what = units::counted(running as u64, "transfer");
        let text = format!("{what} {is} still running: type exit again to cancel and leave.");
        self.interface.output.say(text).await;
        false
    }

    /// Ends all transfers and disconnects.
    async fn exit(&mut self) -> Result<(), Failure> {
        self.end_transfers().await;
        self.leave_offers().await;
        self.interface.output.say("Closing connection to server...").await;
        self.interface.client.disconnect().await;
        self.interface.output.say("Connection closed.").await;
        Ok(())
    }
}

/// Parses a line, off the thread that drives QUIC. A confirmed one is a message, whatever it looks like.
async fn parse(line: &str, is_confirmed: bool) -> Result<ParsedLine, Failure> {
    if is_confirmed {
        return Ok(ParsedLine::Message(line.to_owned()));
    }
    parse_line(line.to_owned()).await
}
