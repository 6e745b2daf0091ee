//! Runs one command or the prompt, handles signals, and reports the final error with its exit code.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use quiver_client::folders::{FolderError, Folders};
use quiver_client::journal::Journal;
use quiver_client::{Client, ClientError, ClientSettings};
use quiver_control::{ClientTransfers, CommandText, ControlSocket};
use quiver_protocol::CloseCode;
use quiver_transport::Endpoint;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::sleep;

use crate::cli::{ClientArgs, CommandArgs};
use crate::command::{self, UserSession};
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::interface::Interface;
use crate::output::{self, JsonMode, Output, Verbosity, human, style};
use crate::prompt::BatchOptions;
use crate::ui_mode::UiMode;
use crate::unix::{Signal, Signals, TerminalRestorer};
use crate::{completion, documents, manual, prompt};

/// How many tasks run between two polls of the sockets. With tokio's default of 61, tasks that move content take
/// many milliseconds.
const EVENT_INTERVAL: u32 = 4;

/// How long a transfer runs before other programs see it. Making the socket takes time, which a shorter one does not need.
const SOCKET_DELAY: Duration = Duration::from_millis(100);

/// Time limit for telling the server that the connection is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// The same after a goodbye: the server has been told, and only other clients may still have to be. QUIC's own draining
/// period of three probe timeouts would make short commands slow.
const CLOSE_TIMEOUT_AFTER_GOODBYE: Duration = Duration::from_millis(2);

/// Time limit for running disk work at the end, such as the removal of partial files.
const DISK_WORK_TIMEOUT: Duration = Duration::from_secs(2);

/// The same without disk work: the blocking threads then wait for a reader that may never read.
const NO_DISK_WORK_TIMEOUT: Duration = Duration::ZERO;

/// Runs the client for a command line. `variable` looks up an environment variable.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(code) = completion::answer(&arguments, &variable) {
        return code;
    }
    let (typed, typed_words) = (command_text(&arguments), arguments.clone());
    let cli = match manual::parse(arguments) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            output::report_usage_error(&error, &JsonMode::new(names_json(&typed_words)));
            return exit(Exit::Usage);
        }
        Err(help) => {
            let printed = help.print().map(|()| Exit::Done).map_err(Failure::output);
            return exit_code(printed, &JsonMode::default());
        }
    };
    let json = JsonMode::default();
    exit_code(execute(cli, typed, variable, &json), &json)
}

/// Whether a command line that is not valid has the flag `--json`.
fn names_json(arguments: &[OsString]) -> bool {
    arguments.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--json")
}

/// Reports a failure, and returns the exit code.
fn exit_code(result: Result<Exit, Failure>, json: &JsonMode) -> ExitCode {
    match result {
        Ok(code) => exit(code),
        Err(failure) => {
            output::report_final_failure(&failure, json);
            exit(failure.exit())
        }
    }
}

fn exit(code: Exit) -> ExitCode {
    ExitCode::from(code as u8)
}

/// Whether the command, or each piped one, prints JSON objects. A `--json` before the command is one of the command.
fn asks_for_json(cli: &mut ClientArgs) -> Result<bool, Failure> {
    let Some(command) = &mut cli.command else { return Ok(cli.json) };
    match command.json_flag() {
        Some(flag) => {
            *flag |= cli.json;
            Ok(*flag)
        }
        None if cli.json => {
            Err(Failure::usage("this command has no JSON form", "leave out --json"))
        }
        None => Ok(false),
    }
}

/// The command line as it was typed, for other processes.
fn command_text(arguments: &[OsString]) -> String {
    let mut command = CommandText::new("quiver");
    command.words(arguments.iter().skip(1).map(|word| word.to_string_lossy()));
    command.finish()
}

fn execute(
    mut cli: ClientArgs,
    typed: String,
    variable: impl Fn(&str) -> Option<OsString>,
    json: &JsonMode,
) -> Result<Exit, Failure> {
    json.set(cli.json);
    json.set(asks_for_json(&mut cli)?);
    match cli.command {
        Some(CommandArgs::Completions { shell }) => return documents::print_completions(shell),
        Some(CommandArgs::Man(arguments)) => return documents::man(&arguments),
        _ => {}
    }
    let home = std::env::home_dir();
    let folders = Folders::new(&variable, home.as_deref());
    let file = folders.config().ok().map(|config| config.join("config.toml"));
    let session = UserSession {
        runtime_folder: quiver_control::socket_folder::runtime_folder(&variable, &folders),
        has_display: ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| variable(name).is_some_and(|display| !display.is_empty())),
        home: home.clone(),
    };
    let _log = output::start_developer_log(variable(output::LOG_VARIABLE))?;
    let config = Config::new(cli.settings, variable, file.as_deref(), home.as_deref())?;
    let mode = match &cli.command {
        Some(_) => UiMode::OneShot,
        None if output::is_interactive() => UiMode::Prompt,
        None => UiMode::Batch,
    };
    if cli.fail_fast && mode != UiMode::Batch {
        let what = "--fail-fast is for commands that are read from standard input";
        return Err(Failure::usage(what, "quiver --fail-fast < FILE"));
    }
    if cli.json && mode == UiMode::Prompt {
        let what = "--json is for a command, or for commands that are read from standard input";
        return Err(Failure::usage(what, "at the prompt, list --json prints JSON objects"));
    }
    let verbosity = Verbosity::of_flags(config.quiet, config.verbose);
    let output = Output::new(mode, verbosity, json.clone());
    let _terminal = TerminalRestorer::save();
    let runtime = runtime()?;
    if let Err(why @ FolderError::Inaccessible { .. }) = folders.config() {
        let note = human::without_os_codes(why.to_string());
        let note = style::note(format_args!("the settings file is not read: {note}"));
        runtime.block_on(output.note("settings_not_read", note));
    }
    let work_timeout = if command::may_have_disk_work(cli.command.as_ref()) {
        DISK_WORK_TIMEOUT
    } else {
        NO_DISK_WORK_TIMEOUT
    };
    let result = match cli.command {
        Some(CommandArgs::Transfers(arguments)) => runtime.block_on(async {
            folders.state().map_err(|why| ClientError::NoJournalFolder(why.clone()))?;
            let (journal, folder) = (Journal::from_folders(&folders), session.runtime_folder);
            let list = command::transfers(&journal, folder.as_deref(), &output, &arguments);
            until_signal(list).await.map(|()| Exit::Done)
        }),
        Some(CommandArgs::Trust(arguments)) => runtime.block_on(async {
            let trust = command::trust(&folders, &config.servers, &output, &arguments);
            until_signal(trust).await.map(|()| Exit::Done)
        }),
        Some(CommandArgs::Gui(arguments)) => {
            runtime.block_on(command::gui(&config, &folders, session, &output, &arguments))
        }
        Some(command) if let Some(steering) = command::steering_of(&command) => {
            let (selector, steering, json) = steering;
            let folder = session.runtime_folder.as_deref();
            let steered = command::steer::run(folder, &output, selector, steering, json);
            runtime.block_on(steered).map(|()| Exit::Done)
        }
        command => {
            let process = OwnProcess {
                typed,
                runtime_folder: session.runtime_folder,
                batch: BatchOptions { fail_fast: cli.fail_fast, json: cli.json },
            };
            let command = run_with_signals(&config, &folders, command, process, &output);
            runtime.block_on(command)
        }
    };
    // A blocking thread may finish its disk work, but is not waited for while it waits for a person.
    runtime.shutdown_timeout(work_timeout);
    output.progress().stop();
    result
}

fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .build()
        .map_err(|source| Failure::system("cannot start", source))
}

/// Runs work that has nothing to end until a signal is received.
async fn until_signal(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let mut signals =
        Signals::listen().map_err(|source| Failure::system("cannot listen for signals", source))?;
    tokio::select! {
        result = work => result,
        signal = signals.next() => Err(match signal {
            Signal::Interrupt => Failure::Interrupted(None),
            Signal::Terminate => Failure::Terminated(None),
        }),
    }
}

/// How this process was started, and what others see of it.
#[derive(Debug)]
struct OwnProcess {
    /// The command line as typed.
    typed: String,
    runtime_folder: Option<PathBuf>,
    /// How piped commands run.
    batch: BatchOptions,
}

/// Runs a command or the prompt until it ends or a signal is received. In each case the server is told that this
/// client has left.
async fn run_with_signals(
    config: &Config,
    folders: &Folders,
    command: Option<CommandArgs>,
    process: OwnProcess,
    output: &Output,
) -> Result<Exit, Failure> {
    let mut signals =
        Signals::listen().map_err(|source| Failure::system("cannot listen for signals", source))?;
    let endpoint = Endpoint::dialler(config.client.endpoint())?;
    let one_shot = command::is_one_shot(command.as_ref());
    let settings = ClientSettings { one_shot, ..config.client.clone() };
    let client = Client::new(settings, folders.clone(), endpoint.clone())?;
    let mut interface = Interface::new(client.clone(), output.clone());
    interface.peer_display().announce = config.announce && output.mode() == UiMode::Prompt;
    // Others are too short for that.
    interface.peer_display().paths = command::may_transfer_between_clients(command.as_ref());
    let interrupts = interface.interrupts.clone();
    let OwnProcess { typed, runtime_folder, batch } = process;
    let process_name = command::process_name(command.as_ref(), output.mode());
    let typed = if command.is_some() { typed } else { String::new() };
    let transfers = ClientTransfers::new(client.clone(), Handle::current(), process_name, typed);
    interface.runtime_folder.clone_from(&runtime_folder);
    interface.servers.clone_from(&config.servers);
    interface.shown_transfers = Some(transfers.clone());
    let mut control = None;
    // Without a transfer there is nothing to see, and most are over before anybody could look.
    let has_transfer = async {
        client.wait_for_transfer().await;
        sleep(SOCKET_DELAY).await;
    };
    let work = async {
        match command {
            Some(CommandArgs::Resume(arguments)) => {
                folders.state().map_err(|why| ClientError::NoJournalFolder(why.clone()))?;
                command::resume(&mut interface, &config.overrides, &arguments)
                    .await
                    .map(|()| Exit::Done)
            }
            Some(command) => {
                let result = command::run(&mut interface, &command).await;
                client.disconnect().await;
                result.map(|()| Exit::Done)
            }
            None if output.mode() == UiMode::Prompt => {
                prompt::run_terminal(&mut interface, folders).await
            }
            None => prompt::run_batch(&mut interface, batch).await,
        }
    };
    let result = {
        tokio::pin!(work, has_transfer);
        loop {
            tokio::select! {
                result = &mut work => break result,
                () = &mut has_transfer, if control.is_none() => {
                    let source = transfers.clone();
                    control = Some(runtime_folder.clone().map(|folder| {
                        ControlSocket::start(folder, source)
                    }));
                }
                signal = signals.next() => match signal {
                    Signal::Interrupt if interrupts.deliver() => {}
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
    let timeout = if result.is_ok() { CLOSE_TIMEOUT_AFTER_GOODBYE } else { CLOSE_TIMEOUT };
    endpoint.wait_idle(timeout).await;
    // Running transfers release their locks and partial files.
    client.shut_down().await;
    drop(control);
    result
}
