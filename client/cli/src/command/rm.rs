//! `rm`: removes files and empty folders of the server.

use quiver_client::commands::parse_path;
use quiver_client::error::Failures;
use quiver_protocol::FilePath;
use quiver_protocol::text::display_safe;

use super::failed;
use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::{Output, json};
use crate::ui_mode::UiMode;

/// Paths to remove, as they were typed.
#[derive(Debug)]
pub struct RemoveRequest {
    paths: Vec<FilePath>,
}

/// Removes paths, once that is confirmed.
///
/// # Errors
/// [`Failure`]; that some of several failed, too.
pub(super) async fn run(interface: &mut Interface, arguments: &cli::RmArgs) -> Result<(), Failure> {
    match confirmed(interface, arguments).await? {
        Some(removal) => removal.carry_out(interface, arguments.json).await,
        None => Ok(()),
    }
}

/// What is to be removed, once that is confirmed: no connection waits for a person.
///
/// # Errors
/// [`Failure`].
pub async fn confirmed(
    interface: &mut Interface,
    arguments: &cli::RmArgs,
) -> Result<Option<RemoveRequest>, Failure> {
    let removal = RemoveRequest::parse(arguments)?;
    if arguments.yes || removal.confirm(interface).await? {
        return Ok(Some(removal));
    }
    if interface.output.mode() == UiMode::Prompt {
        interface.output.say("Nothing is removed.").await;
    }
    Ok(None)
}

impl RemoveRequest {
    fn parse(arguments: &cli::RmArgs) -> Result<Self, Failure> {
        let paths = arguments.paths.iter().map(|typed| parse_path(typed, "remove"));
        Ok(Self { paths: paths.collect::<Result<_, _>>()? })
    }

    async fn confirm(&self, interface: &mut Interface) -> Result<bool, Failure> {
        somebody_to_ask(&interface.output)?;
        interface.confirm(&self.question()).await
    }

    fn question(&self) -> String {
        const NAMED: usize = 3;
        let named: Vec<_> = self.paths.iter().take(NAMED).map(shown).collect();
        let more = match self.paths.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("Remove {}{more} from the server? [y/N] ", named.join(", "))
    }

    /// Removes them.
    ///
    /// # Errors
    /// [`Failure`]; that some of several failed, too.
    pub async fn carry_out(self, interface: &mut Interface, as_json: bool) -> Result<(), Failure> {
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
                Ok(()) => output.say(format!("{}: removed", shown(path))).await,
                Err(error) => {
                    if !failed(&mut failures, &output, error, rest).await {
                        break;
                    }
                }
            }
        }
        Ok(failures.result()?)
    }
}

fn somebody_to_ask(output: &Output) -> Result<(), Failure> {
    if output.can_ask() {
        return Ok(());
    }
    let what = "nobody can be asked whether to remove that";
    Err(Failure::usage(what, "--yes removes without asking"))
}

fn shown(path: &FilePath) -> String {
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
    fn nothing_is_removed_unasked() {
        let output = Output::new(UiMode::Batch, true);
        assert_eq!(somebody_to_ask(&output).unwrap_err().exit(), Exit::Usage);
    }

    #[test]
    fn the_question_names_a_few_and_counts_the_rest() {
        let removal = RemoveRequest::parse(&rm(&["a", "b/", "c", "d", "e"])).unwrap();
        assert_eq!(removal.question(), "Remove a, b, c and 2 more from the server? [y/N] ");
    }

    #[test]
    fn what_is_no_path_is_refused_here() {
        for bad in ["", "/", "../a", "a//"] {
            let failure = RemoveRequest::parse(&rm(&[bad])).unwrap_err();
            assert_eq!(failure.exit(), Exit::NotFound, "{bad}");
        }
    }
}
