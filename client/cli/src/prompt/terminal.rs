//! The prompt at a terminal: a line is typed, runs, is answered; what arrives meanwhile is printed
//! above it.

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
use crate::command::HELP;
use crate::failure::{Exit, Failure};
use crate::interface::{Interface, TransferStyle};

/// How long a transfer keeps the prompt waiting: a small file is there before the next line.
const FOREGROUND: Duration = Duration::from_millis(500);

/// Connects, asking for what is missing, and reads lines until the person leaves.
///
/// # Errors
/// [`Failure`] where the first connection does not come about, or the terminal cannot be used.
pub async fn terminal(
    interface: &mut Interface,
    folders: &Folders,
    interrupts: Interrupts,
) -> Result<Exit, Failure> {
    interface.connect().await?;
    interface.output.say("Connected to the server successfully.").await;
    let history = folders.state().ok().map(|state| state.join("history"));
    let (editor, questions, above) = EditorHandle::start(history).await?;
    let editor = Arc::new(Mutex::new(editor));
    interface.output.print_above(above);
    let asked = editor.clone();
    interface.output.confirm_above(Some(Box::new(move |question| {
        let editor = asked.clone();
        Box::pin(async move { editor.lock().await.confirm(&question).await })
    })));
    interrupts.want();
    let name = interface.client.welcome()?.name.to_string();
    let mut prompt = Prompt {
        interface,
        name,
        editor,
        questions,
        interrupts,
        running: HashMap::new(),
        ends: JoinSet::new(),
        lookups: JoinSet::new(),
        is_loss_told: false,
        warned: false,
    };
    let left = prompt.run().await;
    interface.output.confirm_above(None);
    interface.output.print_above(None);
    left.map(|()| Exit::Done)
}

struct Prompt<'a> {
    interface: &'a mut Interface,
    name: String,
    /// Locked while a line is typed, or a question answered: never both.
    editor: Arc<Mutex<EditorHandle>>,
    /// What Tab wants to know.
    questions: mpsc::Receiver<CompletionQuery>,
    interrupts: Interrupts,
    /// Transfers that run, with the line that began each.
    running: HashMap<TransferId, String>,
    /// How they end.
    ends: JoinSet<(TransferId, TransferEnd)>,
    /// Answers to Tab.
    lookups: JoinSet<()>,
    /// Whether the loss of the connection was told.
    is_loss_told: bool,
    /// Whether the person was told what leaving would cancel.
    warned: bool,
}

/// Something that happens while a line is typed.
enum PromptEvent {
    Typed(EditorEvent),
    Event(ClientEvent),
    Ended(TransferId, TransferEnd),
    Tab(CompletionQuery),
    Interrupted,
    Nothing,
}

impl Prompt<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        loop {
            self.editor.lock().await.ask(format!("{}: ", self.name));
            let typed = loop {
                match self.next().await {
                    PromptEvent::Typed(typed) => break typed,
                    PromptEvent::Event(event) => self.show(event).await?,
                    PromptEvent::Ended(id, end) => self.ended(id, end).await?,
                    PromptEvent::Tab(question) => self.look_up(question),
                    PromptEvent::Interrupted => self.cancel_all(),
                    PromptEvent::Nothing => {}
                }
            };
            let leaves = match typed {
                EditorEvent::Line(line) => self.line(&line).await?,
                EditorEvent::Interrupted { on_empty_line } => {
                    self.interrupted(on_empty_line).await;
                    false
                }
                EditorEvent::End => self.may_leave().await,
                EditorEvent::Failed(source) => {
                    return Err(Failure::system("cannot use the terminal", source));
                }
            };
            if leaves {
                return self.leave().await;
            }
        }
    }

    async fn next(&mut self) -> PromptEvent {
        let editor = self.editor.clone();
        let typed = async move { editor.lock().await.typed().await };
        tokio::select! {
            typed = typed => PromptEvent::Typed(typed),
            Some(ended) = self.ends.join_next() => ended_task(ended),
            Some(event) = self.interface.next() => PromptEvent::Event(event),
            // Where Ctrl-C is no key of the editor's: on a terminal that cannot move its cursor.
            () = self.interrupts.next() => PromptEvent::Interrupted,
            Some(question) = self.questions.recv() => PromptEvent::Tab(question),
            Some(_) = self.lookups.join_next() => PromptEvent::Nothing,
        }
    }

    async fn show(&mut self, event: ClientEvent) -> Result<(), Failure> {
        match self.interface.show(event).await? {
            Some(ConnectionState::Reconnected(_)) => {
                self.is_loss_told = false;
                self.interface.output.say(CONNECTED_AGAIN).await;
            }
            // A transfer says itself that it tries again, and for how long.
            Some(ConnectionState::Lost(why))
                if self.running.is_empty()
                    && !self.is_loss_told
                    && !self.interface.client.is_connected() =>
            {
                self.is_loss_told = true;
                self.interface.output.say(connection_lost(&why)).await;
            }
            _ => {}
        }
        Ok(())
    }

    fn look_up(&mut self, question: CompletionQuery) {
        self.lookups.spawn(question.answer(self.interface.client.clone()));
    }

    /// Runs a line; whether it was the last.
    async fn line(&mut self, line: &str) -> Result<bool, Failure> {
        let meant = match ParsedLine::parse(line) {
            Ok(meant) => meant,
            Err(failure) => {
                self.interface.output.failure(&failure).await;
                return Ok(false);
            }
        };
        if matches!(meant, ParsedLine::Exit) {
            return Ok(self.may_leave().await);
        }
        self.warned = false;
        let result = match meant {
            ParsedLine::Nothing | ParsedLine::Exit => Ok(()),
            ParsedLine::Help => {
                self.interface.output.say(HELP).await;
                Ok(())
            }
            ParsedLine::Command(CommandArgs::Get(arguments)) => self.get(&arguments, line).await,
            ParsedLine::Command(CommandArgs::Put(arguments)) => self.put(&arguments, line).await,
            meant => self.ask(meant).await,
        };
        if let Err(failure) = result {
            self.failed(failure.of_line(line)).await;
        }
        Ok(false)
    }

    /// A command that is over before the next line is typed.
    async fn ask(&mut self, meant: ParsedLine) -> Result<(), Failure> {
        // Asked first: no connection waits for a person, and a Ctrl-C is an answer.
        let removal = match &meant {
            ParsedLine::Command(CommandArgs::Rm(arguments)) => {
                match command::rm::confirmed(self.interface, arguments).await? {
                    Some(removal) => Some((removal, arguments.json)),
                    None => return Ok(()),
                }
            }
            _ => None,
        };
        self.reconnect().await?;
        let interface = &mut *self.interface;
        let output = interface.output.clone();
        let run = async {
            match (removal, &meant) {
                (Some((removal, json)), _) => removal.carry_out(interface, json).await,
                (None, ParsedLine::Say(text)) => command::say(interface, text).await,
                (None, ParsedLine::Command(command)) => command::run(interface, command).await,
                (None, ParsedLine::Nothing | ParsedLine::Help | ParsedLine::Exit) => Ok(()),
            }
        };
        tokio::select! {
            result = run => result,
            () = self.interrupts.next() => {
                // The terminal has written ^C.
                output.say("\nCancelled.").await;
                Ok(())
            }
        }
    }

    async fn get(&mut self, arguments: &cli::GetArgs, line: &str) -> Result<(), Failure> {
        let prepared = command::get::prepare(self.interface, arguments).await?;
        if prepared.nothing_to_do().is_some() {
            self.interface.output.say("Nothing is fetched.").await;
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
            self.interface.output.say("Nothing is stored.").await;
            return Ok(());
        }
        self.start(prepared, arguments.json, line).await
    }

    /// Starts a transfer, waits a moment for it, then makes room for the next line.
    async fn start(
        &mut self,
        prepared: PreparedTransfer,
        json: bool,
        line: &str,
    ) -> Result<(), Failure> {
        let is_awaited = prepared.file_count() == 1;
        let mut running = self.interface.client.start(prepared)?;
        let id = running.id;
        self.interface.style(id, TransferStyle { json, is_awaited });
        self.running.insert(id, line.to_owned());
        self.ends.spawn(async move { (id, running.wait().await) });
        let foreground = sleep(FOREGROUND);
        // One for all turns: a Ctrl-C while something is shown counts too.
        let interrupts = self.interrupts.clone();
        let interrupted = interrupts.next();
        tokio::pin!(foreground, interrupted);
        loop {
            tokio::select! {
                Some(ended) = self.ends.join_next() => {
                    if let PromptEvent::Ended(ended, end) = ended_task(ended) {
                        self.ended(ended, end).await?;
                        if ended == id {
                            return Ok(());
                        }
                    }
                }
                Some(event) = self.interface.next() => self.show(event).await?,
                () = &mut interrupted => {
                    // The terminal has written ^C.
                    self.interface.output.say("").await;
                    self.cancel(id);
                    interrupted.set(interrupts.next());
                }
                () = &mut foreground => {
                    self.interface.style(id, TransferStyle { json, is_awaited: false });
                    let line = display_safe(line.trim()).into_owned();
                    let how = "goes on in the background. Ctrl-C on an empty line cancels it.";
                    self.interface.output.say(format!("{line}: {how}")).await;
                    return Ok(());
                }
            }
        }
    }

    async fn ended(&mut self, id: TransferId, end: TransferEnd) -> Result<(), Failure> {
        // What happened before its end is told before it.
        self.interface.show_what_waits().await?;
        let line = self.running.remove(&id).unwrap_or_default();
        match end {
            TransferEnd::Done => {}
            TransferEnd::Failed(error) => self.failed(Failure::Client(error).of_line(&line)).await,
            TransferEnd::Cancelled => self.interface.output.say("Transfer cancelled.").await,
        }
        Ok(())
    }

    async fn failed(&mut self, failure: Failure) {
        self.interface.output.failure(&failure).await;
        if !failure.is_lost_connection() {
            return;
        }
        // A transfer may report the end of a connection that was replaced meanwhile.
        if !self.interface.client.is_connected() && self.running.is_empty() {
            self.is_loss_told = true;
            self.interface.output.say("The next command connects again.").await;
        }
    }

    async fn interrupted(&mut self, on_empty_line: bool) {
        if on_empty_line && !self.running.is_empty() {
            self.cancel_all();
        } else if on_empty_line {
            self.interface.output.say("exit or Ctrl-D leaves.").await;
        }
    }

    fn cancel(&self, id: TransferId) {
        // Fails only where it is over already.
        let _ = self.interface.client.cancel(id);
    }

    fn cancel_all(&self) {
        for id in self.running.keys() {
            self.cancel(*id);
        }
    }

    /// Makes sure that there is a connection, or tries once to make one.
    async fn reconnect(&mut self) -> Result<(), Failure> {
        if self.interface.client.is_connected() {
            return Ok(());
        }
        // What the loss of the last one means is told by what follows.
        self.is_loss_told = true;
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

    /// Whether the person may go: once they are told what is still under way.
    async fn may_leave(&mut self) -> bool {
        let running = self.running.len();
        if running == 0 || std::mem::replace(&mut self.warned, true) {
            return true;
        }
        let what = if running == 1 { "1 transfer is" } else { &format!("{running} transfers are") };
        let said = format!("{what} still running: exit again cancels and leaves.");
        self.interface.output.say(said).await;
        false
    }

    async fn leave(&mut self) -> Result<(), Failure> {
        self.cancel_all();
        while self.ends.join_next().await.is_some() {}
        self.interface.output.say("Closing connection to server...").await;
        self.interface.client.disconnect().await;
        self.interface.output.say("Connection closed.").await;
        Ok(())
    }
}

fn ended_task(ended: Result<(TransferId, TransferEnd), tokio::task::JoinError>) -> PromptEvent {
    match ended {
        Ok((id, end)) => PromptEvent::Ended(id, end),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going down.
        Err(_) => PromptEvent::Nothing,
    }
}
