//! What `rm` removes: paths that were named, or what the server lists for patterns and folders.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use quiver_client::commands::parse_path;
use quiver_client::error::{Failures, InvalidRequest};
use quiver_client::tree::Pattern;
use quiver_client::{Client, ClientError, EntryWalk};
use quiver_protocol::reply::{EntryKind, FolderEntry};
use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, Refusal, RefusalCode};

use crate::failure::Failure;
use crate::output::human::listing::EntryTotals;
use crate::output::human::{self, listing};

/// The most files and folders that one command removes, which it holds in memory.
const MAX_FOUND: usize = 1_000_000;

/// The most names in a question.
const MAX_NAMED: usize = 3;

/// Files and folders of the server, as it has listed them.
#[derive(Debug, Default)]
pub(super) struct FoundPaths {
    entries: Vec<FolderEntry>,
    /// The paths of `entries`: two patterns may match the same ones.
    known: HashSet<FilePath>,
    /// The entries that paths and patterns have named themselves. The others are below them.
    roots: Vec<FilePath>,
    /// Names in the folders that the server does not serve, and does not remove.
    not_served: u64,
}

/// Whether paths have to be looked up: patterns, and folders with what they contain.
pub(super) fn needs_listing(paths: &[String], recursive: bool) -> bool {
    recursive || paths.iter().any(|path| Pattern::has_wildcards(path))
}

/// Parses paths that were named one by one.
///
/// # Errors
/// [`Failure::Client`].
pub(super) fn parse(paths: &[String]) -> Result<Vec<FilePath>, Failure> {
    let paths = paths.iter().map(|typed| parse_path(typed, "remove"));
    Ok(paths.collect::<Result<_, _>>()?)
}

/// `a, b, c and 2 more`
pub(super) fn names<'a>(paths: impl ExactSizeIterator<Item = &'a FilePath>) -> String {
    let more = paths.len().saturating_sub(MAX_NAMED);
    let named = paths.take(MAX_NAMED).map(|path| display_safe(path.as_str()).into_owned());
    let named = named.collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

impl FoundPaths {
    /// Looks up what the paths and patterns name, and with `recursive` what is below it. Also returns why some were not
    /// found.
    ///
    /// # Errors
    /// [`ClientError`] if there is no connection any more, or too much to remove.
    pub(super) async fn find(
        client: &Client,
        paths: &[String],
        recursive: bool,
    ) -> Result<(Self, Vec<ClientError>), ClientError> {
        let (mut found, mut failed) = (Self::default(), Vec::new());
        for typed in paths {
            match client.walk_named(typed, recursive, "remove").await {
                Ok(walk) => found.add_walk(walk, typed, recursive, &mut failed).await?,
                Err(error) if error.is_lost_connection() => return Err(error),
                Err(error) => failed.push(error),
            }
        }
        Ok((found, failed))
    }

    async fn add_walk(
        &mut self,
        mut walk: EntryWalk,
        typed: &str,
        recursive: bool,
        failed: &mut Vec<ClientError>,
    ) -> Result<(), ClientError> {
        let takes_folders = recursive || !walk.may_match_many();
        let (mut has_match, mut has_skipped) = (false, false);
        loop {
            let entry = match walk.next().await {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(error) if error.is_lost_connection() => return Err(error),
                Err(error) => {
                    failed.push(error);
                    continue;
                }
            };
            if entry.kind == EntryKind::Folder && !takes_folders {
                has_skipped = true;
                continue;
            }
            has_match = true;
            self.add(entry)?;
        }
        self.not_served += walk.not_served();
        if has_skipped && !has_match {
            let what = format!("cannot remove {}", display_safe(typed));
            let refusal = Refusal::new(RefusalCode::NotFound, "only folders match, without -r");
            failed.push(ClientError::refused(what, refusal));
        }
        Ok(())
    }

    fn add(&mut self, entry: FolderEntry) -> Result<(), ClientError> {
        if self.entries.len() == MAX_FOUND {
            return Err(InvalidRequest::TooManyEntries.into());
        }
        if !self.known.insert(entry.path.clone()) {
            return Ok(());
        }
        let parent = entry.path.as_str().rsplit_once('/').map(|(parent, _)| parent);
        let is_below = parent.is_some_and(|parent| {
            FilePath::parse(parent).is_ok_and(|parent| self.known.contains(&parent))
        });
        if !is_below {
            self.roots.push(entry.path.clone());
        }
        self.entries.push(entry);
        Ok(())
    }

    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn path(&self, index: usize) -> &FilePath {
        &self.entries[index].path
    }

    /// Groups of indexes, one to remove after the other: files, then folders, the deepest first.
    pub(super) fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let depth = match entry.kind {
                EntryKind::File => usize::MAX,
                EntryKind::Folder => entry.path.parts().count(),
            };
            groups.entry(depth).or_default().push(index);
        }
        groups.into_values().rev().collect()
    }

    /// `12 files and 1 folder (3.4 MB)`, of those entries.
    pub(super) fn totals_of(&self, indexes: impl IntoIterator<Item = usize>) -> String {
        let mut totals = EntryTotals::default();
        indexes.into_iter().for_each(|index| totals.add(&self.entries[index]));
        listing::in_sentence(&totals)
    }

    /// The question before the removal.
    pub(super) fn question(&self) -> String {
        let totals = self.totals_of(0..self.count());
        format!("Remove {totals} from the server: {}? [y/N] ", names(self.roots.iter()))
    }

    /// What is not removed.
    pub(super) fn note(&self) -> Option<String> {
        (self.not_served > 0).then(|| human::not_served(self.not_served))
    }
}

/// Counts the failures of the look-up among all paths. Also returns those that are to be reported.
pub(super) fn count_failures(
    found: &FoundPaths,
    failed: Vec<ClientError>,
) -> (Failures, Vec<Arc<ClientError>>) {
    let mut failures = Failures::new(found.count() + failed.len(), "paths were not removed");
    let reported = failed.into_iter().filter_map(|error| failures.add(error, 1)).collect();
    (failures, reported)
}

#[cfg(test)]
mod tests {
    use quiver_protocol::Timestamp;

    use super::*;

    fn found(entries: &[(&str, EntryKind)]) -> FoundPaths {
        let mut found = FoundPaths::default();
        for (path, kind) in entries {
            let path = FilePath::parse(path).unwrap();
            let modified = Timestamp("2024-10-19T17:45:47Z".parse().unwrap());
            found.add(FolderEntry { path, kind: *kind, size: 10, modified }).unwrap();
        }
        found
    }

    #[test]
    fn a_folder_is_removed_after_everything_in_it() {
        let (file, folder) = (EntryKind::File, EntryKind::Folder);
        let found = found(&[("a", folder), ("a/b", folder), ("a/x", file), ("a/b/y", file)]);
        let groups = found.groups().into_iter();
        let paths = groups.map(|group| group.into_iter().map(|index| found.path(index).as_str()));
        let paths: Vec<Vec<_>> = paths.map(Iterator::collect).collect();
        assert_eq!(paths, [vec!["a/x", "a/b/y"], vec!["a/b"], vec!["a"]]);
    }

    #[test]
    fn the_question_counts_everything_and_names_three() {
        let (file, folder) = (EntryKind::File, EntryKind::Folder);
        let found = found(&[
            ("a", folder),
            ("a/x", file),
            ("b", file),
            ("b", file),
            ("c", file),
            ("d", file),
        ]);
        assert_eq!(found.count(), 5);
        let question = found.question();
        assert!(question.starts_with("Remove 4 files and 1 folder ("), "{question}");
        assert!(question.ends_with(" from the server: a, b, c and 1 more? [y/N] "), "{question}");
    }

    #[test]
    fn named_paths_are_parsed_as_people_type_them() {
        assert_eq!(parse(&["/a".to_owned(), "./b/".to_owned()]).unwrap().len(), 2);
        for bad in ["", "/", "../a"] {
            assert_eq!(
                parse(&[bad.to_owned()]).unwrap_err().exit(),
                crate::failure::Exit::Usage,
                "{bad}"
            );
        }
    }
}
