//! `rm`: removes files and empty folders on the server.

use quiver_client::commands::parse_path;
use quiver_client::error::Failures;
use quiver_protocol::FilePath;
use quiver_protocol::text::display_safe;

use super::report_failed;
use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::{Output, json};
use crate::ui_mode::UiMode;

/// The paths to remove.
#[derive(Debug)]
pub struct RemoveRequest {
    paths: Vec<FilePath>,
}

/// Removes paths after asking for confirmation.
///
/// # Errors
/// [`Failure`], also if only some of several failed.
pub(super) async fn run(interface: &mut Interface, arguments: &cli::RmArgs) -> Result<(), Failure> {
    match confirm(interface, arguments).await? {
        Some(request) => request.execute(interface, arguments.json).await,
        None => Ok(()),
    }
}

/// Asks for confirmation; `None` if it is denied. Needs no connection, so that none waits for the person's answer.
///
/// # Errors
/// [`Failure`].
pub async fn confirm(
    interface: &mut Interface,
    arguments: &cli::RmArgs,
) -> Result<Option<RemoveRequest>, Failure> {
    let request = RemoveRequest::parse(arguments)?;
    if arguments.yes || request.ask(interface).await? {
        return Ok(Some(request));
    }
    if interface.output.mode() == UiMode::Prompt {
        interface.output.say("Nothing was removed.").await;
    }
    Ok(None)
}

impl RemoveRequest {
    fn parse(arguments: &cli::RmArgs) -> Result<Self, Failure> {
        let paths = arguments.paths.iter().map(|typed| parse_path(typed, "remove"));
        Ok(Self { paths: paths.collect::<Result<_, _>>()? })
    }

    async fn ask(&self, interface: &mut Interface) -> Result<bool, Failure> {
        ensure_can_ask(&interface.output)?;
        interface.confirm(&self.question()).await
    }

    fn question(&self) -> String {
        const MAX_NAMED: usize = 3;
        let named: Vec<_> = self.paths.iter().take(MAX_NAMED).map(display).collect();
        let more = match self.paths.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("Remove {}{more} from the server? [y/N] ", named.join(", "))
    }

    /// Removes the paths.
    ///
    /// # Errors
    /// [`Failure`], also if only some of several failed.
    pub async fn execute(self, interface: &mut Interface, as_json: bool) -> Result<(), Failure> {
        interface.connect().await?;
        let (client, output) = (interface.client.clone(), interface.output.clone());
        client.require_upload_permission("cannot remove files")?;
        let mut failures = Failures::new(self.paths.len(), "were not removed");
        let mut paths = self.paths.iter();
        while let Some(path) = paths.next() {
            let rest = paths.len();
            match interface.drive(client.remove(path)).await? {
                Ok(()) if as_json => {
                    output.data(json::line(&json::RemovedLine { removed: path }) + "\n").await?;
                }
                Ok(()) => output.say(format!("{}: removed", display(path))).await,
                Err(error) => {
                    if !report_failed(&mut failures, &output, error, rest).await {
                        break;
                    }
                }
            }
        }
        Ok(failures.result()?)
    }
}

fn ensure_can_ask(output: &Output) -> Result<(), Failure> {
    if output.can_ask() {
        return Ok(());
    }
    let what = "rm asks for confirmation, which needs a terminal";
    Err(Failure::usage(what, "--yes removes without asking"))
}

fn display(path: &FilePath) -> String {
    display_safe(path.as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    fn rm(paths: &[&str]) -> cli::RmArgs {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        cli::RmArgs { paths, yes: false, json: false }
    }

    #[test]
    fn rm_without_a_terminal_needs_the_yes_flag() {
        let output = Output::new(UiMode::Batch, true);
        assert_eq!(ensure_can_ask(&output).unwrap_err().exit(), Exit::Usage);
    }

    #[test]
    fn the_question_names_three_paths_and_counts_the_others() {
        let request = RemoveRequest::parse(&rm(&["a", "b/", "c", "d", "e"])).unwrap();
        assert_eq!(request.question(), "Remove a, b, c and 2 more from the server? [y/N] ");
    }

    #[test]
    fn rm_rejects_invalid_paths() {
        for bad in ["", "/", "../a", "a//"] {
            let failure = RemoveRequest::parse(&rm(&[bad])).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage, "{bad}");
        }
    }
}
