//! From what is meant to an exit code: one command, or the prompt; signals; the last words.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use quiver_client::folders::{FolderError, Folders};
use quiver_client::journal::Journal;
use quiver_client::{Client, ClientError, ResumeOverrides};
use quiver_protocol::CloseCode;
use quiver_protocol::text::display_safe;
use quiver_transport::Endpoint;
use tokio::runtime::{Builder, Runtime};

use crate::cli::{ClientArgs, CommandArgs};
use crate::command;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::interface::Interface;
use crate::output::{self, Output, human};
use crate::prompt;
use crate::ui_mode::UiMode;
use crate::unix::{Signal, Signals, TerminalRestorer};

/// How many tasks run before the sockets are looked at again. Tokio's own 61 are many milliseconds where
/// content is what they move.
const EVENTS: u32 = 4;

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
    let cli = match ClientArgs::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            output::bad_usage(&error);
            return exit(Exit::Usage);
        }
        Err(help) => return end(help.print().map(|()| Exit::Done).map_err(Failure::output)),
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

fn act(cli: ClientArgs, variable: impl Fn(&str) -> Option<OsString>) -> Result<Exit, Failure> {
    match cli.command {
        Some(CommandArgs::Completions { shell }) => return completions(shell),
        Some(CommandArgs::Man { command }) => return manual(command.as_deref()),
        _ => {}
    }
    let home = std::env::home_dir();
    let folders = Folders::new(&variable, home.as_deref());
    let file = folders.config().ok().map(|config| config.join("config.toml"));
    let overrides = ResumeOverrides {
        server: cli.settings.server.clone(),
        certificate: cli.settings.cert.clone(),
        name: cli.settings.name.clone(),
    };
    let config = Config::new(cli.settings, variable, file.as_deref())?;
    let _log = config.verbose.then(output::verbose).transpose()?;
    let face = match &cli.command {
        Some(_) => UiMode::OneShot,
        None if output::is_interactive() => UiMode::Prompt,
        None => UiMode::Batch,
    };
    let output = Output::new(face, config.quiet);
    let _terminal = TerminalRestorer::now();
    let runtime = runtime()?;
    if let Err(why @ FolderError::Inaccessible { .. }) = folders.config() {
        let note = human::without_numbers(format!("note: no settings are read: {why}"));
        runtime.block_on(output.say(note));
    }
    let last_work = if command::may_store(cli.command.as_ref()) { LAST_WORK } else { NO_WORK };
    let result = match cli.command {
        Some(CommandArgs::Transfers(arguments)) => runtime.block_on(async {
            folders.state().map_err(|why| ClientError::NoJournalFolder(why.clone()))?;
            let journal = Journal::from_folders(&folders);
            command::transfers(&journal, &output, &arguments).await.map(|()| Exit::Done)
        }),
        command => {
            let with_signals = with_signals(&config, &overrides, &folders, command, &output);
            runtime.block_on(with_signals)
        }
    };
    // A thread that waits for a disk is given a moment, one that waits for a person none.
    runtime.shutdown_timeout(last_work);
    output.bars().end();
    result
}

fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENTS)
        .build()
        .map_err(|source| Failure::system("cannot start", source))
}

/// Whatever happens, the server is told that this client is gone.
async fn with_signals(
    config: &Config,
    overrides: &ResumeOverrides,
    folders: &Folders,
    command: Option<CommandArgs>,
    output: &Output,
) -> Result<Exit, Failure> {
    let mut signals =
        Signals::listen().map_err(|source| Failure::system("cannot listen for signals", source))?;
    let endpoint = Endpoint::dialler()?;
    let client = Client::new(config.client.clone(), folders.clone(), endpoint.clone())?;
    let mut interface = Interface::new(client.clone(), output.clone());
    let interrupts = prompt::Interrupts::default();
    let work = async {
        match command {
            Some(CommandArgs::Resume(arguments)) => {
                folders.state().map_err(|why| ClientError::NoJournalFolder(why.clone()))?;
                command::resume(&mut interface, overrides, &arguments).await.map(|()| Exit::Done)
            }
            Some(command) => {
                let result = command::run(&mut interface, &command).await;
                client.disconnect().await;
                result.map(|()| Exit::Done)
            }
            None if output.mode() == UiMode::Prompt => {
                prompt::terminal(&mut interface, folders, interrupts.clone()).await
            }
            None => prompt::batch(&mut interface).await,
        }
    };
    let result = {
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => break result,
                signal = signals.next() => match signal {
                    Signal::Interrupt if interrupts.take() => {}
                    Signal::Interrupt => {
                        break Err(Failure::Interrupted(client.unfinished_share()));
                    }
                    Signal::Terminate => {
                        break Err(Failure::Terminated(client.unfinished_share()));
                    }
                },
            }
        }
    };
    endpoint.close(CloseCode::Goodbye);
    endpoint.wait_idle(if result.is_ok() { CLOSING_AFTER_GOODBYE } else { CLOSING }).await;
    // What still runs lets go of what it holds.
    client.shut_down().await;
    result
}

fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut ClientArgs::command(), "quiver", &mut script);
    output::document(&script).map(|()| Exit::Done)
}

/// The program's page, or a command's.
fn manual(command: Option<&str>) -> Result<Exit, Failure> {
    let mut program = ClientArgs::command();
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
    clap_mangen::Man::new(shown).render(&mut page).map_err(Failure::output)?;
    output::document(&page).map(|()| Exit::Done)
}
