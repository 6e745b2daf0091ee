//! `gui`: serves the page in the browser until a signal ends it, or opens another one of the process that does.

use std::path::PathBuf;

use quiver_client::ClientSettings;
use quiver_client::folders::Folders;
use quiver_page::{Instance, Page, PageOptions, open_browser};
use tokio::runtime::Handle;

use crate::cli::GuiArgs;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{Output, human, json, style};
use crate::unix::{Signal, Signals};

/// What the page needs of its user's session.
#[derive(Debug)]
pub struct UserSession {
    /// The home folder.
    pub home: Option<PathBuf>,
    /// The folder for sockets.
    pub runtime_folder: Option<PathBuf>,
    /// Whether a browser can be shown.
    pub has_display: bool,
}

/// Serves the page, or prints another link of the process that does.
///
/// # Errors
/// [`Failure`]; [`Failure::Interrupted`] or [`Failure::Terminated`] after a signal.
pub async fn run(
    config: &Config,
    folders: &Folders,
    session: UserSession,
    output: &Output,
    arguments: &GuiArgs,
) -> Result<Exit, Failure> {
    let UserSession { home, runtime_folder, has_display } = session;
    let no_home = || Failure::usage("this user has no home folder", "set HOME and XDG_STATE_HOME");
    let (home, runtime_folder) = home.zip(runtime_folder).ok_or_else(no_home)?;
    let opens_browser = has_display && !arguments.no_open;
    let found = Instance::find(&runtime_folder);
    let lock = match found.map_err(|error| Failure::system("cannot start the page", error))? {
        Instance::First(lock) => lock,
        Instance::Running(running) => {
            let failed = |error| Failure::system("cannot reach the running page", error);
            let link = running.request_link().await.map_err(failed)?;
            show(output, &link, opens_browser.then_some(&runtime_folder)).await?;
            return Ok(Exit::Done);
        }
    };
    let failed = |error| Failure::system("cannot listen for signals", error);
    let mut signals = Signals::listen().map_err(failed)?;
    let options = PageOptions {
        client: ClientSettings {
            // The page may sign in to any server. The password of an entry is for that server only.
            password_file: config.overrides.password_file.clone(),
            ..config.client.clone()
        },
        folders: folders.clone(),
        home,
        runtime_folder: runtime_folder.clone(),
        announce: config.announce,
        spool_limit: arguments.spool_limit,
    };
    let started = Page::start(options, lock, Handle::current()).await;
    let mut page = started.map_err(|error| Failure::system("cannot start the page", error))?;
    let signal = async {
        let link = page.link().to_owned();
        show(output, &link, opens_browser.then_some(&runtime_folder)).await?;
        output.say("Ctrl-C ends the page.").await;
        tokio::select! {
            signal = signals.next() => Ok::<_, Failure>(Some(signal)),
            () = page.ended() => Ok(None),
        }
    };
    let signal = signal.await;
    let share = page.unfinished_share();
    // Panics if the page has ended by itself.
    page.stop().await;
    match signal? {
        Some(Signal::Interrupt) => Err(Failure::Interrupted(share)),
        Some(Signal::Terminate) => Err(Failure::Terminated(share)),
        None => Ok(Exit::Done),
    }
}

/// Prints the link, and opens the browser with it if there is a folder for that.
async fn show(
    output: &Output,
    link: &str,
    runtime_folder: Option<&PathBuf>,
) -> Result<(), Failure> {
    let line =
        if output.json().is_on() { json::line(&json::LinkLine { link }) } else { link.to_owned() };
    output.data(line + "\n").await?;
    output.say("The link works once, within a minute. Keep it to yourself.").await;
    if let Some(folder) = runtime_folder
        && let Err(error) = open_browser(folder, link).await
    {
        let note = style::note(format_args!("no browser was opened: {error}"));
        output.warn("no_browser", human::without_os_codes(note)).await;
    }
    Ok(())
}
