//! `rm`: removes files and folders on the server.

mod selection;

use quiver_client::error::Failures;
use quiver_client::{Client, ClientError};
use quiver_protocol::FilePath;
use quiver_protocol::text::display_safe;
use quiver_protocol::units;
use tokio::task::JoinSet;

use self::selection::FoundPaths;
use super::report_failed;
use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::{Output, json};

/// How many paths are removed at once: enough to hide the round trips and the flushes of the server's disk.
const REMOVALS_AT_ONCE: usize = 8;

/// What to remove.
#[derive(Debug)]
pub struct RemoveRequest {
    selection: RemoveSelection,
    skips_question: bool,
    json: bool,
}

#[derive(Debug)]
enum RemoveSelection {
    /// Paths that were named one by one.
    Named(Vec<FilePath>),
    /// Patterns, or folders with everything in them: as the server lists them, and what was not found.
    Found(FoundPaths, Failures),
}

/// Removes paths after asking for confirmation.
///
/// # Errors
/// [`Failure`], also if only some of several failed.
pub(super) async fn run(interface: &mut Interface, arguments: &cli::RmArgs) -> Result<(), Failure> {
    if needs_listing(arguments) {
        // Before the client connects.
        ensure_can_ask(&interface.output, arguments)?;
        selection::parse(&arguments.paths)?;
        interface.connect().await?;
    }
    let request = select(interface, arguments).await?;
    if request.confirm(interface).await? {
        request.execute(interface).await?;
    }
    Ok(())
}

/// Whether the paths have to be looked up on the server before the person can be asked.
#[must_use]
pub fn needs_listing(arguments: &cli::RmArgs) -> bool {
    selection::needs_listing(&arguments.paths, arguments.recursive)
}

/// Finds out what to remove. Needs a connection only if [`needs_listing`].
///
/// # Errors
/// [`Failure`]; nothing was removed.
pub async fn select(
    interface: &mut Interface,
    arguments: &cli::RmArgs,
) -> Result<RemoveRequest, Failure> {
    ensure_can_ask(&interface.output, arguments)?;
    let named = selection::parse(&arguments.paths)?;
    let selection = if needs_listing(arguments) {
        let client = interface.client.clone();
        client.require_upload_permission("cannot remove files")?;
        let find = FoundPaths::find(&client, &arguments.paths, arguments.recursive);
        let (found, failed) = interface.drive(find).await??;
        let (failures, reported) = selection::count_failures(&found, failed);
        for error in reported {
            interface.output.failure(&Failure::Client(error)).await;
        }
        if found.count() == 0 {
            failures.result()?;
            let selection = RemoveSelection::Named(Vec::new());
            return Ok(RemoveRequest { selection, skips_question: true, json: arguments.json });
        }
        RemoveSelection::Found(found, failures)
    } else {
        RemoveSelection::Named(named)
    };
    Ok(RemoveRequest { selection, skips_question: arguments.yes, json: arguments.json })
}

fn ensure_can_ask(output: &Output, arguments: &cli::RmArgs) -> Result<(), Failure> {
    if arguments.yes || output.can_ask() {
        return Ok(());
    }
    let what = "rm asks for confirmation, which needs a terminal";
    Err(Failure::usage(what, "--yes removes without asking"))
}

impl RemoveRequest {
    /// Asks for confirmation. Needs no connection, so that none waits for the person's answer.
    ///
    /// # Errors
    /// [`Failure`] if the terminal or the output fails.
    pub async fn confirm(&self, interface: &mut Interface) -> Result<bool, Failure> {
        if let RemoveSelection::Found(found, _) = &self.selection
            && let Some(note) = found.note()
        {
            interface.output.note("not_served", note).await;
        }
        if self.skips_question || interface.confirm(&self.question()).await? {
            return Ok(true);
        }
        interface.output.say("Nothing was removed.").await;
        Ok(false)
    }

    fn question(&self) -> String {
        match &self.selection {
            RemoveSelection::Named(paths) => {
                format!("Remove {} from the server? [y/N] ", selection::names(paths.iter()))
            }
            RemoveSelection::Found(found, _) => found.question(),
        }
    }

    /// Removes the paths.
    ///
    /// # Errors
    /// [`Failure`], also if only some of several failed.
    pub async fn execute(self, interface: &mut Interface) -> Result<(), Failure> {
        interface.connect().await?;
        interface.client.require_upload_permission("cannot remove files")?;
        match self.selection {
            RemoveSelection::Named(paths) => remove_named(interface, &paths, self.json).await,
            RemoveSelection::Found(found, failures) => {
                remove_found(interface, &found, failures, self.json).await
            }
        }
    }
}

/// Removes paths in their order, and reports each.
async fn remove_named(
    interface: &mut Interface,
    paths: &[FilePath],
    json: bool,
) -> Result<(), Failure> {
    let (client, output) = (interface.client.clone(), interface.output.clone());
    let mut failures = Failures::new(paths.len(), "paths were not removed");
    let total = paths.len();
    let mut paths = paths.iter();
    while let Some(path) = paths.next() {
        let rest = paths.len();
        match interface.drive(client.remove(path)).await? {
            Ok(()) if json => print_removed(&output, path).await?,
            Ok(()) => output.say(format!("{}: removed", display_safe(path.as_str()))).await,
            Err(error) => {
                if !report_failed(&mut failures, &output, error, rest).await {
                    break;
                }
            }
        }
    }
    // The failure of some is a summary too.
    failures.result()?;
    if total > 1 && !json {
        output.say(format!("Removed {}.", units::counted(total as u64, "path"))).await;
    }
    Ok(())
}

/// Removes what was found, a folder after everything in it, and reports it in one line.
async fn remove_found(
    interface: &mut Interface,
    found: &FoundPaths,
    failures: Failures,
    json: bool,
) -> Result<(), Failure> {
    let (client, output) = (interface.client.clone(), interface.output.clone());
    let mut removal =
        Removal { failures, output: &output, json, removed: Vec::new(), attempted: 0 };
    interface.drive(removal.run(&client, found)).await??;
    if !json {
        let removed = removal.removed.iter().copied();
        output.say(format!("Removed {}.", found.totals_of(removed))).await;
    }
    Ok(removal.failures.result()?)
}

/// The removal of many paths, several at once.
struct Removal<'a> {
    failures: Failures,
    output: &'a Output,
    json: bool,
    /// Indexes of what was removed.
    removed: Vec<usize>,
    attempted: usize,
}

impl Removal<'_> {
    async fn run(&mut self, client: &Client, found: &FoundPaths) -> Result<(), Failure> {
        for group in found.groups() {
            let mut waiting = group.into_iter();
            let mut running = JoinSet::new();
            loop {
                while running.len() < REMOVALS_AT_ONCE
                    && let Some(index) = waiting.next()
                {
                    let (client, path) = (client.clone(), found.path(index).clone());
                    running.spawn(async move { (index, client.remove(&path).await) });
                }
                let Some(ended) = running.join_next().await else { break };
                let (index, result) = ended.map_err(|_| ClientError::Interrupted)?;
                self.attempted += 1;
                if !self.add(found, index, result).await? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Returns whether the rest can still be removed.
    async fn add(
        &mut self,
        found: &FoundPaths,
        index: usize,
        result: Result<(), ClientError>,
    ) -> Result<bool, Failure> {
        match result {
            Ok(()) => {
                self.removed.push(index);
                if self.json {
                    print_removed(self.output, found.path(index)).await?;
                }
                Ok(true)
            }
            Err(error) => {
                let rest = found.count() - self.attempted;
                Ok(report_failed(&mut self.failures, self.output, error, rest).await)
            }
        }
    }
}

async fn print_removed(output: &Output, path: &FilePath) -> Result<(), Failure> {
    output.data(json::line(&json::RemovedLine { removed: path }) + "\n").await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;
    use crate::output::{JsonMode, Verbosity};
    use crate::ui_mode::UiMode;

    fn rm(paths: &[&str]) -> cli::RmArgs {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        cli::RmArgs { paths, recursive: false, yes: false, json: false }
    }

    #[test]
    fn rm_without_a_terminal_needs_the_yes_flag() {
        let output = Output::new(UiMode::Batch, Verbosity::Quiet, JsonMode::default());
        let failure = ensure_can_ask(&output, &rm(&["a"])).unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(ensure_can_ask(&output, &cli::RmArgs { yes: true, ..rm(&["a"]) }).is_ok());
    }

    #[test]
    fn only_patterns_and_folders_are_looked_up_before_the_question() {
        assert!(!needs_listing(&rm(&["a", "b/c"])));
        assert!(needs_listing(&rm(&["a", "*.txt"])));
        assert!(needs_listing(&cli::RmArgs { recursive: true, ..rm(&["a"]) }));
    }
}
