//! The commands, one per file, from arguments to output. The command line, the prompt and piped lines share them.
//! This module dispatches them, and lists those of the prompt.

pub mod accept;
mod contacts;
mod decline;
pub mod get;
mod gui;
mod list;
mod message;
mod mkdir;
mod mv;
mod offers;
mod path;
mod peers;
pub mod put;
mod receive;
mod resume;
pub mod rm;
pub mod send;
mod status;
pub mod steer;
mod tell;
mod transfers;
mod trust;
mod verify;
mod watched_transfers;

use quiver_client::ClientError;
use quiver_client::error::Failures;
use quiver_control::{Steering, TransferSelector};

use crate::cli::CommandArgs;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::Output;
use crate::ui_mode::UiMode;

pub use gui::{UserSession, run as gui};
pub use resume::run as resume;
pub use transfers::run as transfers;
pub use trust::run as trust;

/// Commands of the prompt. A line that begins with one of them, with or without a slash, is a command.
pub const PROMPT_COMMANDS: [&str; 8] =
    ["status", "list", "get", "put", "rm", "mv", "mkdir", "exit"];

/// Further commands of the prompt, each with the name of the command that it means. A line that begins with one of them is a
/// command if the rest are its arguments, so that "cancel my order" stays a message; with a slash it always is one.
pub const PARSED_COMMANDS: [(&str, &str); 11] = [
    ("help", "help"),
    ("?", "help"),
    ("quit", "exit"),
    ("bye", "exit"),
    ("ls", "list"),
    ("dir", "list"),
    ("message", "message"),
    ("transfers", "transfers"),
    ("pause", "pause"),
    ("resume", "resume"),
    ("cancel", "cancel"),
];

/// Commands of the prompt between clients, and about known servers. Each needs a slash, so that "accept my thanks" stays a message.
pub const SLASH_COMMANDS: [&str; 10] =
    ["tell", "send", "offers", "accept", "decline", "peers", "path", "verify", "contacts", "trust"];

/// Those of the further commands that steer transfers by their numbers.
pub const STEERING_COMMANDS: [&str; 4] = ["transfers", "pause", "resume", "cancel"];

/// The text that `help` prints at the prompt.
pub const PROMPT_HELP: &str = "\
status [--here] [--last N] [--json]    list connected clients and earlier ones
list [PATH] [-l] [-r] [--sort ORDER]   list files on the server; -l: with sizes and times; also ls, dir
get PATH... [-r] [-o DIR] [--as NAME]  fetch files into DIR, by default the current folder
put FILE... [-r] [--to DIR]            store files in DIR on the server, by default its root
                                       -r: include folders; --dry-run: only show what would be done
rm PATH... [-r] [--yes]                remove files and, with -r, folders on the server
mv FROM TO [--overwrite]               move or rename a file or folder on the server
mkdir PATH... [-p]                     make folders on the server
transfers [--json]                     list running transfers of all your programs, and unfinished ones
pause N, resume N, cancel N            steer the running transfer N
@NAME TEXT                             send TEXT to another client; @all TEXT: to all of them
/send NAME PATH... [--wait]            offer files to another client; /send --cancel N: withdraw offer N
/accept N [DIR], /decline N            answer an offer
/offers, /peers, /contacts             list offers, other clients, known clients and their keys
/trust [forget HOST]                   list known servers and their keys, or forget one
/verify NAME, /path NAME               compare keys with another client; show how the connection runs
exit, quit, bye                        leave; so does Ctrl-D
help, ?                                show this help
/say TEXT                              send TEXT as a message, even if it looks like a command
Any other line is a message to the server; one that looks like a mistyped command is sent when you press Enter
again. A slash before a command is allowed. Quote words that have spaces: get \"with space.txt\". PATH and FILE may
be patterns such as *.txt; local ones are not expanded in quotes. ~ is your home folder. Ctrl-C cancels the running
command; on an empty line, all transfers.";

/// Runs a command that needs the server.
///
/// # Errors
/// [`Failure`].
pub async fn run(interface: &mut Interface, command: &CommandArgs) -> Result<(), Failure> {
    match command {
        CommandArgs::Message(arguments) => {
            message::run(interface, &arguments.text, arguments.json).await
        }
        CommandArgs::Status(arguments) => status::run(interface, arguments).await,
        CommandArgs::List(arguments) => list::run(interface, arguments).await,
        CommandArgs::Get(arguments) => get::run(interface, arguments).await,
        CommandArgs::Put(arguments) => put::run(interface, arguments).await,
        CommandArgs::Rm(arguments) => rm::run(interface, arguments).await,
        CommandArgs::Mv(arguments) => mv::run(interface, arguments).await,
        CommandArgs::Mkdir(arguments) => mkdir::run(interface, arguments).await,
        CommandArgs::Tell(arguments) => tell::run(interface, arguments).await,
        CommandArgs::Send(arguments) => send::run(interface, arguments).await,
        CommandArgs::Receive(arguments) => receive::run(interface, arguments).await,
        CommandArgs::Offers(arguments) => offers::run(interface, arguments).await,
        CommandArgs::Accept(arguments) => accept::run(interface, arguments).await,
        CommandArgs::Decline(arguments) => decline::run(interface, arguments).await,
        CommandArgs::Peers(arguments) => peers::run(interface, arguments).await,
        CommandArgs::Path(arguments) => path::run(interface, arguments).await,
        CommandArgs::Verify(arguments) => verify::run(interface, arguments).await,
        CommandArgs::Contacts(arguments) => contacts::run(interface, arguments).await,
        CommandArgs::Trust(arguments) => {
            let (folders, servers) =
                (interface.client.folders().clone(), interface.servers.clone());
            let output = interface.output.clone();
            interface.drive(trust::run(&folders, &servers, &output, arguments)).await?
        }
        CommandArgs::Transfers(arguments) => {
            let (journal, folder) = (interface.client.journal(), interface.runtime_folder.clone());
            let output = interface.output.clone();
            interface.drive(transfers::run(&journal, folder.as_deref(), &output, arguments)).await?
        }
        CommandArgs::Pause(arguments) => {
            steer(interface, arguments.transfer, Steering::Pause, arguments.json).await
        }
        CommandArgs::Cancel(arguments) => {
            steer(interface, arguments.transfer, Steering::Cancel, arguments.json).await
        }
        CommandArgs::Resume(arguments) => match arguments.paused() {
            Some(selector) => steer(interface, selector, Steering::Resume, arguments.json).await,
            None => {
                let what = "the prompt resumes only transfers with a number";
                Err(Failure::usage(what, "quiver resume continues unfinished ones"))
            }
        },
        // `run::run` handles these: they need no server.
        CommandArgs::Gui(_) | CommandArgs::Completions { .. } | CommandArgs::Man(_) => Ok(()),
    }
}

/// Steers a transfer, and shows the events of running ones meanwhile.
async fn steer(
    interface: &mut Interface,
    selector: TransferSelector,
    steering: Steering,
    json: bool,
) -> Result<(), Failure> {
    let (folder, output) = (interface.runtime_folder.clone(), interface.output.clone());
    interface.drive(steer::run(folder.as_deref(), &output, selector, steering, json)).await?
}

/// The steering that a command means, if it needs nothing but the sockets of other processes.
#[must_use]
pub fn steering_of(command: &CommandArgs) -> Option<(TransferSelector, Steering, bool)> {
    match command {
        CommandArgs::Pause(arguments) => {
            Some((arguments.transfer, Steering::Pause, arguments.json))
        }
        CommandArgs::Cancel(arguments) => {
            Some((arguments.transfer, Steering::Cancel, arguments.json))
        }
        CommandArgs::Resume(arguments) => {
            Some((arguments.paused()?, Steering::Resume, arguments.json))
        }
        _ => None,
    }
}

/// What runs the transfers of this process, for others; `None` is the prompt or piped lines.
#[must_use]
pub fn process_name(command: Option<&CommandArgs>, mode: UiMode) -> &'static str {
    match command {
        Some(CommandArgs::Get(_)) => "get",
        Some(CommandArgs::Put(_)) => "put",
        Some(CommandArgs::Resume(_)) => "resume",
        Some(CommandArgs::Send(_)) => "send",
        Some(CommandArgs::Receive(_)) => "receive",
        Some(CommandArgs::Accept(_)) => "accept",
        None if mode == UiMode::Prompt => "prompt",
        None => "piped commands",
        // These start no transfers. Offers that were made before may be served meanwhile.
        Some(_) => "command",
    }
}

/// Whether a command of the prompt needs a connection to the server before it runs. The others use only the records of
/// this machine, or connect if they can.
pub fn needs_connection(command: &CommandArgs) -> bool {
    match command {
        CommandArgs::Offers(_)
        | CommandArgs::Decline(_)
        | CommandArgs::Contacts(_)
        | CommandArgs::Trust(_) => false,
        CommandArgs::Send(arguments) => arguments.cancel.is_none(),
        CommandArgs::Message(_)
        | CommandArgs::Status(_)
        | CommandArgs::List(_)
        | CommandArgs::Get(_)
        | CommandArgs::Put(_)
        | CommandArgs::Rm(_)
        | CommandArgs::Mv(_)
        | CommandArgs::Mkdir(_)
        | CommandArgs::Tell(_)
        | CommandArgs::Receive(_)
        | CommandArgs::Accept(_)
        | CommandArgs::Peers(_)
        | CommandArgs::Path(_)
        | CommandArgs::Verify(_) => true,
        CommandArgs::Gui(_)
        | CommandArgs::Resume(_)
        | CommandArgs::Transfers(_)
        | CommandArgs::Pause(_)
        | CommandArgs::Cancel(_)
        | CommandArgs::Completions { .. }
        | CommandArgs::Man(_) => false,
    }
}

/// Whether a command may still have disk work running when it ends; `None` is the prompt.
pub fn may_have_disk_work(command: Option<&CommandArgs>) -> bool {
    match command {
        // The prompt runs any command.
        None
        | Some(
            CommandArgs::Gui(_)
            | CommandArgs::Put(_)
            | CommandArgs::Resume(_)
            | CommandArgs::Transfers(_)
            | CommandArgs::Accept(_)
            | CommandArgs::Receive(_),
        ) => true,
        Some(CommandArgs::Get(arguments)) => !arguments.is_streamed(),
        Some(
            CommandArgs::Message(_)
            | CommandArgs::Status(_)
            | CommandArgs::List(_)
            | CommandArgs::Rm(_)
            | CommandArgs::Mv(_)
            | CommandArgs::Mkdir(_)
            | CommandArgs::Tell(_)
            | CommandArgs::Send(_)
            | CommandArgs::Offers(_)
            | CommandArgs::Decline(_)
            | CommandArgs::Peers(_)
            | CommandArgs::Path(_)
            | CommandArgs::Verify(_)
            | CommandArgs::Contacts(_)
            | CommandArgs::Trust(_)
            | CommandArgs::Pause(_)
            | CommandArgs::Cancel(_)
            | CommandArgs::Completions { .. }
            | CommandArgs::Man(_),
        ) => false,
    }
}

/// Whether a program runs one command and ends, so that the server's list of clients need not show each run; `None` is
/// the prompt or piped lines.
#[must_use]
pub fn is_one_shot(command: Option<&CommandArgs>) -> bool {
    !matches!(command, None | Some(CommandArgs::Receive(_) | CommandArgs::Gui(_)))
}

/// Whether a command may transfer files between clients; `None` is the prompt.
pub fn may_transfer_between_clients(command: Option<&CommandArgs>) -> bool {
    matches!(
        command,
        None | Some(CommandArgs::Send(_) | CommandArgs::Receive(_) | CommandArgs::Accept(_))
    )
}

/// Sends a message and prints the server's reply.
///
/// # Errors
/// [`Failure`].
pub async fn send_message(
    interface: &mut Interface,
    text: &str,
    as_json: bool,
) -> Result<(), Failure> {
    message::run(interface, text, as_json).await
}

/// Reports that one of several changes failed. Returns whether the remaining `rest` can still be made; if the
/// connection is lost, they count as failed too.
async fn report_failed(
    failures: &mut Failures,
    output: &Output,
    error: ClientError,
    rest: usize,
) -> bool {
    let is_lost = error.is_lost_connection();
    if let Some(error) = failures.add(error, 1) {
        output.failure(&Failure::Client(error)).await;
    }
    if is_lost {
        failures.add_not_started(rest);
    }
    !is_lost
}
