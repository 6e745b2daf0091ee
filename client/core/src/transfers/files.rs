//! The files of a transfer, in pages: named files, or those of a tree's plan.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use quiver_protocol::FilePath;

use crate::error::ClientError;
use crate::shared_plan::SharedPlan;
use crate::tree::{Decision, ItemKind, PlanItem, PlanItemState};

/// Errors of a transfer's files that are kept, so that a tree of which every file fails takes little memory.
const MAX_ERRORS: usize = 2000;

/// A file or folder of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferFile {
    /// Its number in the transfer, from 1. Pages are in this order.
    pub number: u64,
    /// Its path at the source.
    pub source: FilePath,
    /// Its target as shown to users.
    pub target: String,
    /// Size in bytes, if known; `None` for a folder.
    pub size: Option<u64>,
    /// Its state.
    pub state: FileState,
    /// Why it failed. Also `None` for a failed file if the errors of 2,000 other files are kept, and once three later
    /// transfers have ended.
    pub error: Option<String>,
}

/// The state of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// It is not transferred yet.
    Waiting,
    /// It was transferred and verified.
    Done,
    /// The target was the same already.
    Same,
    /// The target differs and is kept.
    Kept,
    /// It failed.
    Failed,
}

/// The files of a transfer, and which are finished.
#[derive(Debug, Default)]
pub(crate) struct TransferFiles(Mutex<FilesState>);

#[derive(Debug, Default)]
struct FilesState {
    named: Vec<TransferFile>,
    plan: Option<SharedPlan>,
    done: RangeSet,
    failed: RangeSet,
    /// Why files failed, by number.
    errors: BTreeMap<u64, String>,
}

/// A set of numbers, most of them consecutive: first and last of each range.
#[derive(Debug, Default)]
struct RangeSet(BTreeMap<u64, u64>);

impl RangeSet {
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

    fn len(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }
}

impl TransferFiles {
    /// Adds a named file. Returns its number.
    pub(crate) fn add(&self, source: FilePath, target: String) -> u64 {
        let mut state = self.0.lock();
        let number = state.named.len() as u64 + 1;
        let waiting = FileState::Waiting;
        let (size, error) = (None, None);
        state.named.push(TransferFile { number, source, target, size, state: waiting, error });
        number
    }

    /// Adds a named file whose target is the same already.
    pub(crate) fn add_same(&self, source: FilePath, target: String, size: u64) {
        let number = self.add(source, target);
        let mut state = self.0.lock();
        state.done.insert(number);
        if let Some(file) = state.named.last_mut() {
            (file.size, file.state) = (Some(size), FileState::Same);
        }
    }

    /// Sets the plan that has the files.
    pub(crate) fn set_plan(&self, plan: SharedPlan) {
        self.0.lock().plan = Some(plan);
    }

    /// Drops the plan, whose files cannot be listed any more, and the errors.
    pub(crate) fn forget_plan(&self) {
        let mut state = self.0.lock();
        state.plan = None;
        // Each may be as long as a server makes it, within the limit of remarks.
        state.errors.clear();
    }

    /// Records the outcome of a file or folder, including one that stays as it is: its size if that
    /// is known, or its error. Once for each, nearly in the order of their numbers.
    pub(crate) fn finish(&self, number: u64, outcome: Result<Option<u64>, &ClientError>) {
        let mut state = self.0.lock();
        let index = usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1);
        match outcome {
            Ok(size) => {
                if let Some(file) = state.named.get_mut(index) {
                    file.size = size.or(file.size);
                }
            }
            Err(error) => {
                state.failed.insert(number);
                if state.errors.len() < MAX_ERRORS {
                    state.errors.insert(number, error.to_string());
                }
            }
        }
        state.done.insert(number);
    }

    /// The number of files and folders that failed.
    pub(crate) fn failed_count(&self) -> u64 {
        self.0.lock().failed.len()
    }

    /// Returns up to `limit` files after the one with this number.
    ///
    /// # Errors
    /// [`ClientError::System`] if the plan cannot be read.
    pub(crate) async fn page_after(
        &self,
        number: u64,
        limit: usize,
    ) -> Result<Vec<TransferFile>, ClientError> {
        let plan = self.0.lock().plan.clone();
        let mut page: Vec<TransferFile> = match plan {
            Some(plan) => {
                let after = i64::try_from(number).unwrap_or(i64::MAX);
                let items = plan.items_after(after).await?;
                items.into_iter().take(limit).map(transfer_file).collect()
            }
            None => {
                let state = self.0.lock();
                let skipped = usize::try_from(number).unwrap_or(usize::MAX);
                state.named.iter().skip(skipped).take(limit).cloned().collect()
            }
        };
        let state = self.0.lock();
        for file in &mut page {
            if state.failed.contains(file.number) {
                file.state = FileState::Failed;
                file.error = state.errors.get(&file.number).cloned();
            } else if file.state == FileState::Waiting && state.done.contains(file.number) {
                file.state = FileState::Done;
            }
        }
        Ok(page)
    }
}

fn transfer_file(item: PlanItem) -> TransferFile {
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
        error: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_numbers_are_one_range() {
        let mut numbers = RangeSet::default();
        for number in [2, 9, 1, 4, 3, 3, 8] {
            numbers.insert(number);
        }
        assert_eq!(numbers.0.into_iter().collect::<Vec<_>>(), [(1, 4), (8, 9)]);
        let mut numbers = RangeSet::default();
        numbers.insert(5);
        let contained: Vec<_> = (4..=6).filter(|number| numbers.contains(*number)).collect();
        assert_eq!(contained, [5]);
    }

    #[tokio::test]
    async fn named_files_are_paged_with_their_states() {
        let files = TransferFiles::default();
        for name in ["a", "b", "c"] {
            files.add(FilePath::parse(name).unwrap(), name.to_owned());
        }
        files.finish(2, Ok(Some(7)));
        files.finish(3, Err(&ClientError::Interrupted));
        let page = files.page_after(0, 2).await.unwrap();
        assert_eq!(files.failed_count(), 1);
        let states: Vec<_> = page.iter().map(|file| (file.number, file.state)).collect();
        assert_eq!(states, [(1, FileState::Waiting), (2, FileState::Done)]);
        assert_eq!(page[1].size, Some(7));
        let rest = files.page_after(2, 2).await.unwrap();
        assert_eq!((rest.len(), rest[0].state), (1, FileState::Failed));
        assert_eq!(rest[0].error, Some(ClientError::Interrupted.to_string()));
        assert!(page.iter().all(|file| file.error.is_none()));
    }

    #[test]
    fn the_errors_of_a_transfer_are_bounded() {
        let files = TransferFiles::default();
        for number in 1..=MAX_ERRORS as u64 + 1 {
            files.finish(number, Err(&ClientError::Interrupted));
        }
        assert_eq!(files.0.lock().errors.len(), MAX_ERRORS);
        files.forget_plan();
        assert!(files.0.lock().errors.is_empty());
    }
}
