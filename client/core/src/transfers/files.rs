//! The files of a transfer, a page at a time: those that were named, or those of a tree's plan.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use quiver_protocol::FilePath;

use crate::error::ClientError;
use crate::shared_plan::Planner;
use crate::tree::{Decision, ItemKind, PlanItem, PlanItemState};

/// A file or folder of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferFile {
    /// Its number in the transfer, from 1. Pages follow it.
    pub number: u64,
    /// Where it comes from.
    pub source: FilePath,
    /// Where it goes, to be shown.
    pub target: String,
    /// Bytes of a file, where they are known; `None` for a folder.
    pub size: Option<u64>,
    /// What has become of it so far.
    pub state: FileState,
}

/// What has become of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// It is to move.
    Waiting,
    /// It has moved, verified.
    Done,
    /// It was there already.
    Same,
    /// Another one is there and stays.
    Kept,
    /// It did not move, and why was told.
    Failed,
}

/// The files, and which are done.
#[derive(Debug, Default)]
pub(crate) struct TransferFiles(Mutex<FilesState>);

#[derive(Debug, Default)]
struct FilesState {
    named: Vec<TransferFile>,
    planner: Option<Planner>,
    done: IndexSet,
    failed: IndexSet,
}

/// A set of numbers, most of which follow each other: first and last of each run.
#[derive(Debug, Default)]
struct IndexSet(BTreeMap<u64, u64>);

impl IndexSet {
    fn insert(&mut self, number: u64) {
        let before = self.0.range(..=number).next_back().map(|(first, last)| (*first, *last));
        let first = match before {
            Some((_, last)) if last >= number => return,
            Some((first, last)) if last + 1 == number => first,
            _ => number,
        };
        let last = self.0.remove(&(number + 1)).unwrap_or(number);
        self.0.insert(first, last);
    }

    fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }
}

impl TransferFiles {
    /// A file that was named; its number.
    pub(crate) fn add(&self, source: FilePath, target: String) -> u64 {
        let mut state = self.0.lock();
        let number = state.named.len() as u64 + 1;
        let file = FileState::Waiting;
        state.named.push(TransferFile { number, source, target, size: None, state: file });
        number
    }

    /// The plan that has the files.
    pub(crate) fn plan(&self, planner: Planner) {
        self.0.lock().planner = Some(planner);
    }

    /// The files of the plan cannot be looked at any more.
    pub(crate) fn forget_plan(&self) {
        self.0.lock().planner = None;
    }

    /// What became of a file or folder, also where it was to stay as it is: each is settled once, nearly in the order
    /// of their numbers.
    pub(crate) fn settle(&self, number: u64, is_done: bool, size: Option<u64>) {
        let mut state = self.0.lock();
        let index = usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1);
        if let Some(file) = state.named.get_mut(index) {
            file.size = size.or(file.size);
        }
        if !is_done {
            state.failed.insert(number);
        }
        state.done.insert(number);
    }

    /// Up to `most` files after the one with this number.
    ///
    /// # Errors
    /// [`ClientError::System`] where the plan cannot be read.
    pub(crate) async fn after(
        &self,
        number: u64,
        most: usize,
    ) -> Result<Vec<TransferFile>, ClientError> {
        let planner = self.0.lock().planner.clone();
        let mut page: Vec<TransferFile> = match planner {
            Some(planner) => {
                let after = i64::try_from(number).unwrap_or(i64::MAX);
                let items = planner.after(after).await?;
                items.into_iter().take(most).map(planned).collect()
            }
            None => {
                let state = self.0.lock();
                let from = usize::try_from(number).unwrap_or(usize::MAX);
                state.named.iter().skip(from).take(most).cloned().collect()
            }
        };
        let state = self.0.lock();
        for file in &mut page {
            if state.failed.contains(file.number) {
                file.state = FileState::Failed;
            } else if file.state == FileState::Waiting && state.done.contains(file.number) {
                file.state = FileState::Done;
            }
        }
        Ok(page)
    }
}

fn planned(item: PlanItem) -> TransferFile {
    let state = match (&item.state, item.decision) {
        (PlanItemState::Same, _) => FileState::Same,
        (PlanItemState::SameSize | PlanItemState::Differs, Some(Decision::Skip)) => FileState::Kept,
        _ => FileState::Waiting,
    };
    let size = match item.found.kind {
        ItemKind::File { size, .. } => Some(size),
        ItemKind::Folder { .. } => None,
    };
    TransferFile {
        number: u64::try_from(item.number).unwrap_or(0),
        source: item.found.source,
        target: item.found.target.to_string(),
        size,
        state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_follow_each_other_are_one_run() {
        let mut numbers = IndexSet::default();
        for number in [2, 9, 1, 4, 3, 3, 8] {
            numbers.insert(number);
        }
        assert_eq!(numbers.0.into_iter().collect::<Vec<_>>(), [(1, 4), (8, 9)]);
        let mut numbers = IndexSet::default();
        numbers.insert(5);
        let contained: Vec<_> = (4..=6).filter(|number| numbers.contains(*number)).collect();
        assert_eq!(contained, [5]);
    }

    #[tokio::test]
    async fn named_files_come_in_pages_with_what_became_of_them() {
        let files = TransferFiles::default();
        for name in ["a", "b", "c"] {
            files.add(FilePath::parse(name).unwrap(), name.to_owned());
        }
        files.settle(2, true, Some(7));
        files.settle(3, false, None);
        let page = files.after(0, 2).await.unwrap();
        let states: Vec<_> = page.iter().map(|file| (file.number, file.state)).collect();
        assert_eq!(states, [(1, FileState::Waiting), (2, FileState::Done)]);
        assert_eq!(page[1].size, Some(7));
        let rest = files.after(2, 2).await.unwrap();
        assert_eq!((rest.len(), rest[0].state), (1, FileState::Failed));
    }
}
