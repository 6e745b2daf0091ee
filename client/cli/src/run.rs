//! From what is meant to an exit code: one command, or the prompt; signals; the last words.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use quiver_protocol::CloseCode;
use quiver_protocol::text::display_safe;
use quiver_transport::Endpoint;
use tokio::runtime::{Builder, Runtime};

use crate::cli::{Cli, Command};
use crate::command::{self, Given, Order, Removal, Resume, Upload};
use crate::config::Config;
use crate::connection::{Connector, Link, Session};
use crate::failure::{Exit, Failure};
use crate::output::{self, Face, Output, human};
use crate::prompt;
use crate::unix::{Signal, Signals, TerminalAsItWas};
use quiver_client::action;
use quiver_client::folders::{Folders, NoFolder};
use quiver_client::journal::Journal;

/// How many tasks run before the sockets are looked at again. Tokio's own 61 are many milliseconds where
/// content is what they move.
const EVENTS: u32 = 4;

/// How long a goodbye may take. It is a courtesy: nothing depends on it.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long a closed connection may need to tell the other side.
const CLOSING: Duration = Duration::from_millis(500);

/// The same where a goodbye was said: the slot is free already, and what is waited for is only that the
/// last packet leaves. QUIC's own end, three probe timeouts later, would make short commands slow.
const CLOSING_AFTER_GOODBYE: Duration = Duration::from_millis(10);

/// How long disk work that is under way may need to come to an end, parts to be removed.
const LAST_WORK: Duration = Duration::from_secs(2);

/// The same where there is none: what is under way then waits for a reader, who may never read.
const NO_WORK: Duration = Duration::ZERO;

/// Runs the client for a command line; the environment is an argument.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            output::bad_usage(&error);
            return exit(Exit::Usage);
        }
        Err(help) => return end(help.print().map(|()| Exit::Done).map_err(Failure::Output)),
    };
    end(act(cli, variable))
}

fn end(result: Result<Exit, Failure>) -> ExitCode {
    match result {
        Ok(code) => exit(code),
        Err(failure) => {
            output::last_words(&failure);
            exit(failure.exit())
        }
    }
}

fn exit(code: Exit) -> ExitCode {
    ExitCode::from(code as u8)
}

fn act(cli: Cli, variable: impl Fn(&str) -> Option<OsString>) -> Result<Exit, Failure> {
    match cli.command {
        Some(Command::Completions { shell }) => return completions(shell),
        Some(Command::Man { command }) => return manual(command.as_deref()),
        _ => {}
    }
    let home = std::env::home_dir();
    let folders = Folders::new(&variable, home.as_deref());
    let file = folders.config().ok().map(|config| config.join("config.toml"));
    let given = Given {
        server: cli.settings.server.clone(),
        certificate: cli.settings.cert.clone(),
        name: cli.settings.name.clone(),
    };
    let config = Config::new(cli.settings, variable, file.as_deref())?;
    let _log = config.verbose.then(output::verbose).transpose()?;
    let face = match &cli.command {
        Some(_) => Face::OneShot,
        None if output::is_interactive() => Face::Prompt,
        None => Face::Batch,
    };
    let output = Output::new(face, config.quiet);
    let _terminal = TerminalAsItWas::now();
    let runtime = runtime()?;
    if let Err(why @ NoFolder::OutOfReach { .. }) = folders.config() {
        let note = human::without_numbers(format!("note: no settings are read: {why}"));
        runtime.block_on(output.say(note));
    }
    let last_work = if stores(cli.command.as_ref()) { LAST_WORK } else { NO_WORK };
    let result = match cli.command {
        Some(Command::Transfers(arguments)) => runtime.block_on(async {
            folders.state().map_err(|why| Failure::NoTransfers(why.clone()))?;
            let journal = Journal::of(&folders);
            command::transfers(&journal, &output, &arguments).await.map(|()| Exit::Done)
        }),
        command => {
            let with_signals = with_signals(&config, &given, &folders, command, &output);
            runtime.block_on(with_signals)
        }
    };
    // A thread that waits for a disk is given a moment, one that waits for a person none.
    runtime.shutdown_timeout(last_work);
    output.bars().end();
    result
}

/// Whether a command may have a disk at work, here.
fn stores(command: Option<&Command>) -> bool {
    match command {
        // The prompt may be told to.
        None | Some(Command::Put(_) | Command::Resume(_) | Command::Transfers(_)) => true,
        Some(Command::Get(arguments)) => !arguments.is_streamed(),
        Some(
            Command::Message(_)
            | Command::Status(_)
            | Command::List(_)
            | Command::Rm(_)
            | Command::Mv(_)
            | Command::Mkdir(_)
            | Command::Completions { .. }
            | Command::Man { .. },
        ) => false,
    }
}

fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENTS)
        .build()
        .map_err(|source| Failure::System { what: "cannot start", source })
}

/// Whatever happens, the server is told that this client is gone.
async fn with_signals(
    config: &Config,
    given: &Given,
    folders: &Folders,
    command: Option<Command>,
    output: &Output,
) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()
        .map_err(|source| Failure::System { what: "cannot listen for signals", source })?;
    let endpoint = Endpoint::dialler()?;
    let connector = Connector::new(config, folders, endpoint.clone(), output.clone())?;
    let unfinished = connector.unfinished();
    let interrupts = prompt::Interrupts::default();
    let work = async {
        match command {
            Some(Command::Resume(arguments)) => {
                let (endpoint, unfinished) = (&endpoint, &unfinished);
                folders.state().map_err(|why| Failure::NoTransfers(why.clone()))?;
                let resume = Resume { config, given, folders, endpoint, output, unfinished };
                resume.run(&arguments).await.map(|()| Exit::Done)
            }
            Some(command) => one_shot(connector, command, output).await.map(|()| Exit::Done),
            None if output.face() == Face::Prompt => {
                prompt::terminal(connector, output, folders, interrupts.clone()).await
            }
            None => prompt::batch(connector, output).await,
        }
    };
    tokio::pin!(work);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            signal = signals.next() => match signal {
                Signal::Interrupt if interrupts.take() => {}
                Signal::Interrupt => break Err(Failure::Interrupted.goes_on(unfinished.share())),
                Signal::Terminate => break Err(Failure::Terminated.goes_on(unfinished.share())),
            },
        }
    };
    endpoint.close(CloseCode::Goodbye);
    endpoint.wait_idle(if result.is_ok() { CLOSING_AFTER_GOODBYE } else { CLOSING }).await;
    result
}

async fn one_shot(
    mut connector: Connector,
    command: Command,
    output: &Output,
) -> Result<(), Failure> {
    // What can be wrong here is said before anything is dialled, and no connection waits for a person.
    let ask = async |question: &str| output.confirm(question).await;
    let ask = output.can_ask().then_some(ask);
    let prepared = match command {
        Command::Get(arguments) => {
            let order = Order::prepare(&arguments, ask).await?;
            if let Some(kept) = order.nothing_to_do() {
                return Err(kept);
            }
            Prepared::Get(order)
        }
        Command::Put(arguments) => Prepared::Put(Upload::prepare(&arguments)?),
        Command::Rm(arguments) => match Removal::prepare(&arguments, ask).await? {
            Some(removal) => Prepared::Rm(removal),
            None => return Ok(()),
        },
        other => Prepared::Other(other),
    };
    let session = connector.connect().await?;
    let link = Link::new(connector, &session);
    let result = match prepared {
        Prepared::Get(order) => order.fetch(&link, output.clone(), Arc::new(human::received)).await,
        Prepared::Put(upload) => store(upload, &session, &link, output).await,
        Prepared::Rm(removal) => removal.run(&session, output).await,
        Prepared::Other(command) => simple(&command, &session, output).await,
    };
    // A failing goodbye fails nothing else.
    let _ = action::goodbye(&link.line().connection, GOODBYE).await;
    result
}

/// A command, with all that could be checked and asked before a server was dialled.
enum Prepared {
    Get(Order),
    Put(Upload),
    Rm(Removal),
    Other(Command),
}

/// Asks about what the server has already, and stores the rest.
async fn store(
    mut upload: Upload,
    session: &Session,
    link: &Link,
    output: &Output,
) -> Result<(), Failure> {
    // What goes to standard input is content, not answers.
    let can_ask = output.can_ask() && !upload.is_streamed();
    let ask = async |question: &str| output.confirm(question).await;
    upload.settle(session, can_ask.then_some(ask)).await?;
    match upload.nothing_to_do() {
        Some(kept) => Err(kept),
        None => upload.store(link, output.clone(), Arc::new(human::stored)).await,
    }
}

async fn simple(command: &Command, session: &Session, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Message(arguments) => command::message(session, output, &arguments.text).await,
        Command::Status(arguments) => command::status(session, output, arguments).await,
        Command::List(arguments) => command::list(session, output, arguments).await,
        Command::Mv(arguments) => command::mv(session, output, arguments).await,
        Command::Mkdir(arguments) => command::mkdir(session, output, arguments).await,
        // These are prepared, or need no server.
        Command::Get(_)
        | Command::Put(_)
        | Command::Rm(_)
        | Command::Resume(_)
        | Command::Transfers(_)
        | Command::Completions { .. }
        | Command::Man { .. } => Ok(()),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "quiver", &mut script);
    output::document(&script).map(|()| Exit::Done)
}

/// The program's page, or a command's.
fn manual(command: Option<&str>) -> Result<Exit, Failure> {
    let mut program = Cli::command();
    // Commands have the flags that all of them take only then.
    program.build();
    let shown = match command {
        None => program,
        Some(name) => {
            let found = program.find_subcommand(name).cloned();
            let what = || format!("there is no command {}", display_safe(name));
            found.ok_or_else(|| Failure::usage(what(), "quiver --help lists them"))?
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(shown).render(&mut page).map_err(Failure::Output)?;
    output::document(&page).map(|()| Exit::Done)
}
