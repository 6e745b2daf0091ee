//! Selects the server's entries that match a pattern, folder by folder.

use quiver_protocol::reply::{EntryKind, FolderEntry};
use quiver_protocol::{FilePath, FolderPath, ListEnd};

use super::entry_filter::EntryFilter;
use super::not_served::{left_out_names, left_out_of};
use crate::tree::{LeftOut, Pattern};

/// Limit of the folders that a pattern with `**` may search.
const MAX_SEARCHED_FOLDERS: usize = 100_000;

/// What a pattern has matched.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    /// Whether it has matched anything that is served.
    pub(crate) has_matched: bool,
    /// What is left out that it would have matched.
    pub(crate) left_out: LeftOut,
}

/// A folder to search for a pattern, and the indexes of the parts that its entries may match.
struct PatternSearch {
    folder: FolderPath,
    positions: Vec<usize>,
}

/// Selects the entries that match a pattern.
pub(super) struct PatternFilter<'a> {
    pattern: &'a Pattern,
    /// The new name of what it matches.
    stored_as: Option<&'a str>,
    recursive: bool,
    /// The positions of the folder that is being searched.
    positions: Vec<usize>,
    /// Folders whose contents may match.
    searches: Vec<PatternSearch>,
    matches: Matches,
}

impl<'a> PatternFilter<'a> {
    /// For a pattern that matches folders only if it is `recursive`.
    pub(super) fn new(pattern: &'a Pattern, stored_as: Option<&'a str>, recursive: bool) -> Self {
        let first = PatternSearch { folder: pattern.base().clone(), positions: vec![0] };
        let (positions, searches, matches) = (Vec::new(), vec![first], Matches::default());
        Self { pattern, stored_as, recursive, positions, searches, matches }
    }

    /// Starts to search the next folder.
    pub(super) fn next_folder(&mut self) -> Option<FolderPath> {
        let PatternSearch { folder, positions } = self.searches.pop()?;
        self.positions = positions;
        Some(folder)
    }

    /// Adds what the list of the folder has left out, as far as it matches.
    pub(super) fn leave_out(&mut self, folder: &FolderPath, end: ListEnd) {
        if self.positions.iter().any(|&at| self.pattern.matches_every_name(at)) {
            self.matches.left_out.append(left_out_of(folder, end));
            return;
        }
        for named in end.left_out {
            if self.advance(&named.name).contains(&self.pattern.part_count()) {
                self.matches.left_out.append(left_out_names(folder, [named]));
            }
        }
    }

    /// What was matched in all folders.
    pub(super) fn into_matches(self) -> Matches {
        self.matches
    }

    /// The positions after a name, without duplicates.
    fn advance(&self, name: &str) -> Vec<usize> {
        let mut positions: Vec<usize> =
            self.positions.iter().flat_map(|&at| self.pattern.advance(at, name)).collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }
}

impl EntryFilter for PatternFilter<'_> {
    fn is_full(&self) -> bool {
        self.searches.len() > MAX_SEARCHED_FOLDERS
    }

    fn target(&mut self, entry: &FolderEntry) -> Option<FilePath> {
        let name = entry.path.file_name();
        let part_count = self.pattern.part_count();
        let mut positions = self.advance(name);
        let matches = positions.last() == Some(&part_count);
        positions.retain(|&at| at < part_count);
        if entry.kind == EntryKind::Folder && !positions.is_empty() {
            let folder = FolderPath::from(entry.path.clone());
            self.searches.push(PatternSearch { folder, positions });
        }
        if !matches || (entry.kind == EntryKind::Folder && !self.recursive) {
            return None;
        }
        self.matches.has_matched = true;
        // A single component of a path is a valid path.
        FilePath::parse(self.stored_as.unwrap_or(name)).ok()
    }
}
