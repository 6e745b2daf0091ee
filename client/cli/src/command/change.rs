//! `rm`, `mv` and `mkdir`: what is called what on the server.

use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, Refusal, RefusalCode};
use quiver_transport::StreamError;

use super::folder;
use super::put::may_change;
use super::tally::Tally;
use crate::cli;
use crate::connection::Session;
use crate::failure::Failure;
use crate::output::{Output, json};
use quiver_client::action::{self, Listed};

/// Paths to remove, as they were typed.
#[derive(Debug)]
pub struct Removal {
    paths: Vec<FilePath>,
    json: bool,
}

impl Removal {
    /// Checks the paths, and asks whether they are meant. `None` where the person says no.
    ///
    /// # Errors
    /// [`Failure`]; where nobody can be asked, and `--yes` does not answer, too.
    pub async fn prepare(
        arguments: &cli::Rm,
        ask: Option<impl AsyncFnMut(&str) -> Result<bool, Failure>>,
    ) -> Result<Option<Self>, Failure> {
        let paths = arguments.paths.iter().map(|typed| path(typed, "remove"));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        if !arguments.yes {
            let Some(mut ask) = ask else {
                let what = "nobody can be asked whether to remove that";
                return Err(Failure::usage(what, "--yes removes without asking"));
            };
            if !ask(&question(&paths)).await? {
                return Ok(None);
            }
        }
        Ok(Some(Self { paths, json: arguments.json }))
    }

    /// Removes them, one after the other.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Several`] where some of several failed.
    pub async fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        may_change(session, "cannot remove files")?;
        let asked = self.paths.len();
        let mut tally = Tally::new(output.clone(), asked, "were not removed");
        for (done, path) in self.paths.iter().enumerate() {
            let removed = action::remove(&session.connection, path.clone(), session.patience).await;
            match removed {
                Ok(()) if self.json => {
                    output.data(json::line(&json::Removed { removed: path }) + "\n").await?;
                }
                Ok(()) => output.say(format!("{}: removed", shown(path))).await,
                Err(error) => {
                    let failure = Failure::stream(format!("cannot remove {}", shown(path)), error);
                    let lost = failure.is_lost_connection();
                    tally.failed(failure).await;
                    if lost {
                        tally.skipped(asked - done - 1);
                        break;
                    }
                }
            }
        }
        tally.result()
    }
}

fn question(paths: &[FilePath]) -> String {
    const NAMED: usize = 3;
    let named: Vec<_> = paths.iter().take(NAMED).map(shown).collect();
    let more = match paths.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("Remove {}{more} from the server? [y/N] ", named.join(", "))
}

/// Gives a file or folder another path.
///
/// # Errors
/// [`Failure`].
pub async fn mv(session: &Session, output: &Output, arguments: &cli::Mv) -> Result<(), Failure> {
    let from = path(&arguments.from, "move")?;
    let what = || format!("cannot move {} to {}", shown(&from), display_safe(&arguments.to));
    let failed = |error| Failure::stream(what(), error);
    let refused = |refusal| Failure::refused(what(), refusal);
    may_change(session, &what())?;
    let into = |typed: &str| -> Result<FilePath, Failure> {
        let folder = folder(typed).map_err(refused)?;
        folder.join(from.file_name()).map_err(|rule| refused(rule.into()))
    };
    let rename = async |to: &FilePath| {
        let (from, replace) = (from.clone(), arguments.overwrite);
        let (connection, patience) = (&session.connection, session.patience);
        action::rename(connection, from, to.clone(), replace, patience).await
    };
    let mut to = match arguments.to.as_str() {
        "" | "." => into("")?,
        typed if typed.ends_with('/') => into(typed)?,
        typed => FilePath::parse(typed).map_err(|rule| refused(rule.into()))?,
    };
    let mut moved = rename(&to).await;
    if matches!(&moved, Err(StreamError::Refused(refusal)) if refusal.code == RefusalCode::Exists)
        && to.as_str() == arguments.to
        && to != from
        && is_folder(session, &to).await
    {
        to = into(to.as_str())?;
        moved = rename(&to).await;
    }
    moved.map_err(failed)?;
    if arguments.json {
        output.data(json::line(&json::Renamed { from: &from, to: &to }) + "\n").await
    } else {
        output.say(format!("{} is now {}", shown(&from), shown(&to))).await;
        Ok(())
    }
}

async fn is_folder(session: &Session, path: &FilePath) -> bool {
    let Ok(folder) = folder(path.as_str()) else { return false };
    match action::list(&session.connection, folder, session.patience).await {
        Ok(mut entries) => matches!(entries.next().await, Ok(Listed::Entry(_) | Listed::End(_))),
        Err(_) => false,
    }
}

/// Makes folders.
///
/// # Errors
/// [`Failure`]; [`Failure::Several`] where some of several failed.
pub async fn mkdir(
    session: &Session,
    output: &Output,
    arguments: &cli::Mkdir,
) -> Result<(), Failure> {
    let paths = arguments.paths.iter().map(|typed| path(typed, "make"));
    let paths = paths.collect::<Result<Vec<_>, _>>()?;
    may_change(session, "cannot make folders")?;
    let mut tally = Tally::new(output.clone(), paths.len(), "folders were not made");
    for (done, path) in paths.iter().enumerate() {
        let what = format!("cannot make {}", shown(path));
        let made =
            action::make_folder(&session.connection, path.clone(), None, session.patience).await;
        match made {
            Ok(created) if created || arguments.parents => {
                if arguments.json {
                    output.data(json::line(&json::Folder { path, created }) + "\n").await?;
                } else {
                    let said = if created { "made" } else { "already there" };
                    output.say(format!("{}: {said}", shown(path))).await;
                }
            }
            Ok(_) => {
                tally.failed(Failure::AlreadyThere { path: path.to_string() }).await;
            }
            Err(error) => {
                let failure = Failure::stream(what, error);
                let lost = failure.is_lost_connection();
                tally.failed(failure).await;
                if lost {
                    tally.skipped(paths.len() - done - 1);
                    break;
                }
            }
        }
    }
    tally.result()
}

/// A file or folder as people write it: a folder's slash may stay.
fn path(typed: &str, verb: &str) -> Result<FilePath, Failure> {
    FilePath::parse(typed.strip_suffix('/').unwrap_or(typed)).map_err(|rule| {
        Failure::refused(format!("cannot {verb} {}", display_safe(typed)), Refusal::from(rule))
    })
}

fn shown(path: &FilePath) -> String {
    display_safe(path.as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::NOBODY;
    use crate::failure::Exit;

    fn rm(paths: &[&str], yes: bool) -> cli::Rm {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        cli::Rm { paths, yes, json: false }
    }

    #[tokio::test]
    async fn nothing_is_removed_unasked() {
        let failure = Removal::prepare(&rm(&["a"], false), NOBODY).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(Removal::prepare(&rm(&["a"], true), NOBODY).await.unwrap().is_some());
        let mut questions = Vec::new();
        let ask = async |question: &str| {
            questions.push(question.to_owned());
            Ok(false)
        };
        let typed = rm(&["a", "b/", "c", "d", "e"], false);
        assert!(Removal::prepare(&typed, Some(ask)).await.unwrap().is_none());
        assert_eq!(questions, ["Remove a, b, c and 2 more from the server? [y/N] "]);
    }

    #[tokio::test]
    async fn what_is_no_path_is_refused_here() {
        for bad in ["", "/", "../a", "a//"] {
            let failure = Removal::prepare(&rm(&[bad], true), NOBODY).await.unwrap_err();
            assert_eq!(failure.exit(), Exit::NotFound, "{bad}");
        }
    }
}
