//! Collects the failures of several items of one request into one error. The caller reports each failure when it
//! happens; nothing is reported here.

use std::io;
use std::sync::Arc;

use super::{ClientError, ErrorCode};

/// Counts the failed items of a request.
#[derive(Debug)]
pub struct Failures {
    total: usize,
    /// The items and what happened to those that failed.
    what: &'static str,
    failed: usize,
    codes: Vec<ErrorCode>,
    last: Option<Arc<ClientError>>,
}

impl Failures {
    /// For a request of `total` items. `what` completes the error's text, as in `2 of 3 files were not downloaded`.
    #[must_use]
    pub fn new(total: usize, what: &'static str) -> Self {
        Self { total, what, failed: 0, codes: Vec::new(), last: None }
    }

    /// The number of failed items, including those that were not started.
    #[must_use]
    pub fn failed_count(&self) -> usize {
        self.failed
    }

    /// Adds an item that was not counted yet.
    pub fn add_item(&mut self) {
        self.total += 1;
    }

    /// Removes items that need no work.
    pub fn remove_items(&mut self, count: usize) {
        self.total -= count;
    }

    /// Counts items as failed that were not started.
    pub fn add_not_started(&mut self, count: usize) {
        self.failed += count;
    }

    /// Adds a failure that `count` items share. Returns it for the caller to report, unless the request has one item
    /// only, whose failure is the [result](Self::result).
    #[must_use]
    pub fn add(&mut self, error: ClientError, count: usize) -> Option<Arc<ClientError>> {
        self.failed += count;
        self.codes.push(error.code());
        let error = Arc::new(error);
        self.last = Some(error.clone());
        (self.total > 1).then_some(error)
    }

    /// Adds `count` failures that were reported already, with their common code.
    pub fn add_reported(&mut self, count: usize, code: ErrorCode) {
        self.failed += count;
        self.codes.push(code);
    }

    /// The error that represents all failures.
    ///
    /// # Errors
    /// The failure itself if the request had one item, or if output failed; otherwise [`ClientError::SomeFailed`].
    pub fn result(self) -> Result<(), ClientError> {
        if self.codes.is_empty() {
            return Ok(());
        }
        let (failed, total, what) = (self.failed, self.total, self.what);
        let code = combined(&self.codes, failed == total);
        let several = ClientError::SomeFailed { failed, total, what, code };
        let Some(last) = self.last else { return Err(several) };
        match &*last {
            // No report can be written any more, so this failure matters more than the others.
            ClientError::Output(error) => {
                Err(ClientError::Output(io::Error::new(error.kind(), error.to_string())))
            }
            _ if total == 1 => Err(Arc::into_inner(last).unwrap_or(several)),
            _ => Err(several),
        }
    }
}

/// The code of several failures: their common code if `all` items failed with it. What is left out of a folder is
/// [`ErrorCode::Partial`] in any case.
fn combined(codes: &[ErrorCode], all: bool) -> ErrorCode {
    match codes {
        _ if !all || codes.contains(&ErrorCode::Partial) => ErrorCode::Partial,
        [first, rest @ ..] if rest.iter().all(|code| code == first) => *first,
        _ => ErrorCode::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_failures_have_one_code() {
        use ErrorCode::{LocalDisk, NotFound, Other, Partial};
        assert_eq!(combined(&[NotFound], false), Partial);
        assert_eq!(combined(&[NotFound, NotFound], true), NotFound);
        assert_eq!(combined(&[NotFound, LocalDisk], true), Other);
        assert_eq!(combined(&[NotFound, Partial], true), Partial);
    }

    #[test]
    fn only_a_failure_that_concerns_all_items_has_a_code_of_its_own() {
        use ErrorCode::{Connection, NotFound, Other, Partial};
        for (common, code) in
            [(Connection, Connection), (NotFound, Partial), (Other, Partial), (Partial, Partial)]
        {
            let error = ClientError::SomeFailed { failed: 2, total: 2, what: "x", code: common };
            assert_eq!(error.code(), code);
        }
    }

    #[test]
    fn a_single_failure_is_the_result_and_one_of_several_is_returned_to_report() {
        let mut one = Failures::new(1, "files were not downloaded");
        assert!(one.add(ClientError::CleanupIncomplete, 1).is_none());
        assert!(matches!(one.result(), Err(ClientError::CleanupIncomplete)));
        let mut several = Failures::new(2, "files were not downloaded");
        assert!(several.add(ClientError::CleanupIncomplete, 1).is_some());
        let error = several.result().unwrap_err();
        assert_eq!(error.to_string(), "1 of 2 files were not downloaded");
        assert_eq!(error.code(), ErrorCode::Partial);
    }
}
