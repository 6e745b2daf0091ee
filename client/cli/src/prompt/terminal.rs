//! The prompt at a terminal: a line is typed, runs, is answered; what arrives meanwhile is printed
//! above it.

use std::time::Duration;

use quiver_protocol::Event;
use quiver_protocol::text::display_safe;
use quiver_transport::Ended;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio::time::sleep;

use super::complete::Question;
use super::editor::{Editor, Typed};
use super::line::{HELP, Line};
use super::transfers::{Over, Transfers};
use super::{CONNECTED_AGAIN, Interrupts, connection_lost, news};
use crate::cli;
use crate::command::{self, Order, Removal, Upload};
use crate::connection::{Connector, Link, Session};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use quiver_client::action;
use quiver_client::folders::Folders;

/// How long a transfer keeps the prompt waiting: a small file is there before the next line.
const FOREGROUND: Duration = Duration::from_millis(500);

/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Connects, asking for what is missing, and reads lines until the person leaves.
///
/// # Errors
/// [`Failure`] where the first connection does not come about, or the terminal cannot be used.
pub async fn terminal(
    mut connector: Connector,
    output: &Output,
    folders: &Folders,
    interrupts: Interrupts,
) -> Result<Exit, Failure> {
    let session = connector.connect().await?;
    output.say("Connected to the server successfully.").await;
    let history = folders.state().ok().map(|state| state.join("history"));
    let (editor, questions, above) = Editor::start(history).await?;
    output.print_above(above);
    interrupts.want();
    let name = session.welcome.name.to_string();
    let link = Link::new(connector, &session);
    let mut prompt = Prompt {
        link,
        session: Some(session),
        name,
        output,
        editor,
        questions,
        interrupts,
        transfers: Transfers::default(),
        lookups: JoinSet::new(),
        warned: false,
    };
    let left = prompt.run().await;
    output.print_above(None);
    left.map(|()| Exit::Done)
}

struct Prompt<'a> {
    link: Link,
    /// `None` after the connection was lost; the next command makes another.
    session: Option<Session>,
    name: String,
    output: &'a Output,
    editor: Editor,
    /// What Tab wants to know.
    questions: mpsc::Receiver<Question>,
    interrupts: Interrupts,
    transfers: Transfers,
    /// Answers to Tab.
    lookups: JoinSet<()>,
    /// Whether the person was told what leaving would cancel.
    warned: bool,
}

/// Something that happens while a line is typed.
enum Happening {
    Typed(Typed),
    Event(Event),
    Lost(Ended),
    Over(Over),
    Tab(Question),
    /// A transfer has connected again.
    Renewed(Session),
    Interrupted,
    Nothing,
}

impl Prompt<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        loop {
            self.editor.ask(format!("{}: ", self.name));
            let typed = loop {
                match self.next().await {
                    Happening::Typed(typed) => break typed,
                    Happening::Event(event) => self.tell(&event).await,
                    Happening::Lost(why) => self.lost(&why).await,
                    Happening::Over(over) => self.over(over).await,
                    Happening::Tab(question) => self.look_up(question),
                    Happening::Renewed(session) => self.renewed(session).await,
                    Happening::Interrupted => self.transfers.cancel_all(),
                    Happening::Nothing => {}
                }
            };
            let leaves = match typed {
                Typed::Line(line) => self.line(&line).await,
                Typed::Interrupted { on_empty_line } => {
                    self.interrupted(on_empty_line).await;
                    false
                }
                Typed::End => self.may_leave().await,
                Typed::Failed(source) => {
                    return Err(Failure::System { what: "cannot use the terminal", source });
                }
            };
            if leaves {
                self.leave().await;
                return Ok(());
            }
        }
    }

    async fn next(&mut self) -> Happening {
        tokio::select! {
            typed = self.editor.typed() => Happening::Typed(typed),
            Some(over) = self.transfers.next() => Happening::Over(over),
            happening = heard(&mut self.session) => happening,
            session = self.link.renewed() => Happening::Renewed(session),
            // Where Ctrl-C is no key of the editor's: on a terminal that cannot move its cursor.
            () = self.interrupts.next() => Happening::Interrupted,
            Some(question) = self.questions.recv() => Happening::Tab(question),
            Some(_) = self.lookups.join_next() => Happening::Nothing,
        }
    }

    fn look_up(&mut self, question: Question) {
        let connection = self.session.as_ref().map(|session| session.connection.clone());
        self.lookups.spawn(question.answer(connection));
    }

    /// Runs a line; whether it was the last.
    async fn line(&mut self, line: &str) -> bool {
        let meant = match Line::parse(line) {
            Ok(meant) => meant,
            Err(failure) => {
                self.output.failure(&failure).await;
                return false;
            }
        };
        if matches!(meant, Line::Exit) {
            return self.may_leave().await;
        }
        self.warned = false;
        let result = match meant {
            Line::Nothing | Line::Exit => Ok(()),
            Line::Help => {
                self.output.say(HELP).await;
                Ok(())
            }
            Line::Get(arguments) => self.get(&arguments, line).await,
            Line::Put(arguments) => self.put(&arguments, line).await,
            Line::Rm(arguments) => self.rm(&arguments).await,
            meant => self.ask(meant).await,
        };
        if let Err(failure) = result {
            self.failed(failure.of_line(line)).await;
        }
        false
    }

    /// A command that is over before the next line is typed.
    async fn ask(&mut self, meant: Line) -> Result<(), Failure> {
        self.reconnect().await?;
        let Some(session) = &self.session else { return Ok(()) };
        let output = self.output;
        let run = async {
            match &meant {
                Line::Say(text) => command::message(session, output, text).await,
                Line::Status(arguments) => command::status(session, output, arguments).await,
                Line::List(arguments) => command::list(session, output, arguments).await,
                Line::Mv(arguments) => command::mv(session, output, arguments).await,
                Line::Mkdir(arguments) => command::mkdir(session, output, arguments).await,
                Line::Nothing
                | Line::Get(_)
                | Line::Put(_)
                | Line::Rm(_)
                | Line::Help
                | Line::Exit => Ok(()),
            }
        };
        self.unless_interrupted(run).await
    }

    async fn unless_interrupted(
        &self,
        run: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        let output = self.output;
        tokio::select! {
            result = run => result,
            () = self.interrupts.next() => {
                // The terminal has written ^C.
                output.say("\nCancelled.").await;
                Ok(())
            }
        }
    }

    async fn get(&mut self, arguments: &cli::Get, line: &str) -> Result<(), Failure> {
        let editor = &mut self.editor;
        let replace = async |question: &str| Ok(editor.confirm(question).await);
        let order = Order::prepare(arguments, Some(replace)).await?;
        if order.is_streamed() {
            let what = "the prompt has the terminal: no content can be written to it";
            return Err(Failure::usage(what, "-o DIR stores the files in a folder"));
        }
        if order.nothing_to_do().is_some() {
            self.output.say("Nothing is fetched.").await;
            return Ok(());
        }
        if let Some(target) = self.transfers.under_way(&order) {
            let what = format!("{} is under way already", display_safe(&target.to_string_lossy()));
            return Err(Failure::usage(what, "Ctrl-C on an empty line cancels what is under way"));
        }
        self.reconnect().await?;
        let id = self.transfers.start(order, &self.link, self.output, line);
        self.attend(id, line).await
    }

    async fn put(&mut self, arguments: &cli::Put, line: &str) -> Result<(), Failure> {
        let mut upload = Upload::prepare(arguments)?;
        if upload.is_streamed() {
            let what = "the prompt has the terminal: it cannot be content";
            return Err(Failure::usage(what, "put FILE stores a file"));
        }
        self.reconnect().await?;
        let Some(session) = &self.session else { return Ok(()) };
        let editor = &mut self.editor;
        let replace = async |question: &str| Ok(editor.confirm(question).await);
        upload.settle(session, Some(replace)).await?;
        if upload.nothing_to_do().is_some() {
            self.output.say("Nothing is stored.").await;
            return Ok(());
        }
        let id = self.transfers.start_upload(upload, &self.link, self.output, line);
        self.attend(id, line).await
    }

    async fn rm(&mut self, arguments: &cli::Rm) -> Result<(), Failure> {
        let editor = &mut self.editor;
        let ask = async |question: &str| Ok(editor.confirm(question).await);
        let Some(removal) = Removal::prepare(arguments, Some(ask)).await? else {
            self.output.say("Nothing is removed.").await;
            return Ok(());
        };
        self.reconnect().await?;
        let Some(session) = &self.session else { return Ok(()) };
        self.unless_interrupted(removal.run(session, self.output)).await
    }

    /// Waits a moment for a transfer, then makes room for the next line.
    async fn attend(&mut self, id: Id, line: &str) -> Result<(), Failure> {
        let patience = sleep(FOREGROUND);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                Some(over) = self.transfers.next() => {
                    let is_ours = over.id == id;
                    self.over(over).await;
                    if is_ours {
                        return Ok(());
                    }
                }
                () = self.interrupts.next() => {
                    // The terminal has written ^C.
                    self.output.say("").await;
                    self.transfers.cancel(id);
                }
                () = &mut patience => {
                    self.put_aside(id, line).await;
                    return Ok(());
                }
            }
        }
    }

    async fn put_aside(&mut self, id: Id, line: &str) {
        self.transfers.to_background(id);
        let line = display_safe(line.trim()).into_owned();
        let how = "goes on in the background. Ctrl-C on an empty line cancels it.";
        self.output.say(format!("{line}: {how}")).await;
    }

    async fn over(&mut self, over: Over) {
        match over.result {
            Some(Ok(())) => {}
            Some(Err(failure)) => self.failed(failure).await,
            None => self.output.say("Transfer cancelled.").await,
        }
    }

    async fn failed(&mut self, failure: Failure) {
        self.output.failure(&failure).await;
        // A transfer may report the end of a connection that was replaced meanwhile.
        let gone = |session: &mut Session| session.connection.close_reason().is_some();
        if !failure.is_lost_connection() {
            return;
        }
        self.session.take_if(gone);
        if self.session.is_none() && self.transfers.len() == 0 {
            self.output.say("The next command connects again.").await;
        }
    }

    async fn interrupted(&mut self, on_empty_line: bool) {
        if on_empty_line && self.transfers.len() > 0 {
            self.transfers.cancel_all();
        } else if on_empty_line {
            self.output.say("exit or Ctrl-D leaves.").await;
        }
    }

    async fn tell(&self, event: &Event) {
        if let Some(news) = news(event) {
            self.output.say(news).await;
        }
    }

    async fn renewed(&mut self, session: Session) {
        self.session = Some(session);
        self.output.say(CONNECTED_AGAIN).await;
    }

    async fn lost(&mut self, why: &Ended) {
        self.session = None;
        // A transfer says itself that it tries again, and for how long.
        if self.transfers.len() == 0 {
            self.output.say(connection_lost(why)).await;
        }
    }

    /// Makes sure that there is a connection, or tries once to make one.
    async fn reconnect(&mut self) -> Result<(), Failure> {
        if let Some(session) = &self.session
            && session.connection.close_reason().is_none()
        {
            return Ok(());
        }
        self.session = None;
        tokio::select! {
            session = self.link.reconnect() => self.session = Some(session?),
            () = self.interrupts.next() => return Err(Failure::Interrupted),
        }
        self.output.say(CONNECTED_AGAIN).await;
        Ok(())
    }

    /// Whether the person may go: once they are told what is still under way.
    async fn may_leave(&mut self) -> bool {
        let running = self.transfers.len();
        if running == 0 || std::mem::replace(&mut self.warned, true) {
            return true;
        }
        let what = if running == 1 { "1 transfer is" } else { &format!("{running} transfers are") };
        self.output.say(format!("{what} still running: exit again cancels and leaves.")).await;
        false
    }

    async fn leave(&mut self) {
        self.transfers.cancel_all();
        while self.transfers.next().await.is_some() {}
        self.output.say("Closing connection to server...").await;
        if let Some(session) = &self.session {
            // A failing goodbye fails nothing else.
            let _ = action::goodbye(&session.connection, GOODBYE).await;
        }
        self.output.say("Connection closed.").await;
    }
}

/// What the session's server says unasked, or that it is gone; never anything without a session.
async fn heard(session: &mut Option<Session>) -> Happening {
    let Some(session) = session else { return std::future::pending().await };
    tokio::select! {
        // What the server said last comes before that it then went away.
        biased;
        Some(event) = session.events.next() => Happening::Event(event),
        why = session.connection.closed() => Happening::Lost(why.into()),
    }
}
