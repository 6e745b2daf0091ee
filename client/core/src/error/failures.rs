//! Failures of several things that were asked for together: each is told when it happens, and all of them make one
//! error. Tells nothing itself.

use std::io;
use std::sync::Arc;

use super::{ClientError, ErrorCode};

/// Counts failures.
#[derive(Debug)]
pub struct Failures {
    asked: usize,
    /// What is said of those that failed.
    what: &'static str,
    failed: usize,
    codes: Vec<ErrorCode>,
    last: Option<Arc<ClientError>>,
}

impl Failures {
    /// Of so many that were asked for; `what` is said of those that fail, as in `2 of 3 files did not arrive`.
    #[must_use]
    pub fn new(asked: usize, what: &'static str) -> Self {
        Self { asked, what, failed: 0, codes: Vec::new(), last: None }
    }

    /// How many have failed, those too that were not begun.
    #[must_use]
    pub fn failed_count(&self) -> usize {
        self.failed
    }

    /// One more was asked for than was known.
    pub fn add_item(&mut self) {
        self.asked += 1;
    }

    /// So many fewer are to be done than was known.
    pub fn remove_items(&mut self, count: usize) {
        self.asked -= count;
    }

    /// So many were not even begun.
    pub fn add_not_started(&mut self, count: usize) {
        self.failed += count;
    }

    /// A failure of so many. Where several were asked for it comes back, to be told now; a single one is the
    /// [result](Self::result).
    #[must_use]
    pub fn add(&mut self, error: ClientError, count: usize) -> Option<Arc<ClientError>> {
        self.failed += count;
        self.codes.push(error.code());
        let error = Arc::new(error);
        self.last = Some(error.clone());
        (self.asked > 1).then_some(error)
    }

    /// Failures of so many that were told already, with the code of all of them.
    pub fn add_reported(&mut self, count: usize, code: ErrorCode) {
        self.failed += count;
        self.codes.push(code);
    }

    /// The one error of all failures.
    ///
    /// # Errors
    /// The failure itself where one thing was asked for, or where nothing can be written any more; else
    /// [`ClientError::SomeFailed`].
    pub fn result(self) -> Result<(), ClientError> {
        if self.codes.is_empty() {
            return Ok(());
        }
        let (failed, asked, what) = (self.failed, self.asked, self.what);
        let code = combined(&self.codes, failed == asked);
        let several = ClientError::SomeFailed { failed, asked, what, code };
        let Some(last) = self.last else { return Err(several) };
        match &*last {
            // Nothing more can be written, whatever became of the others.
            ClientError::Output(error) => {
                Err(ClientError::Output(io::Error::new(error.kind(), error.to_string())))
            }
            _ if asked == 1 => Err(Arc::into_inner(last).unwrap_or(several)),
            _ => Err(several),
        }
    }
}

/// The code of several failures: their own where they are all and alike.
fn combined(codes: &[ErrorCode], all: bool) -> ErrorCode {
    match codes {
        _ if !all => ErrorCode::Partial,
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
    }

    #[test]
    fn one_failure_is_the_result_and_one_of_several_is_told() {
        let mut one = Failures::new(1, "files did not arrive");
        assert!(one.add(ClientError::CleanupIncomplete, 1).is_none());
        assert!(matches!(one.result(), Err(ClientError::CleanupIncomplete)));
        let mut several = Failures::new(2, "files did not arrive");
        assert!(several.add(ClientError::CleanupIncomplete, 1).is_some());
        let error = several.result().unwrap_err();
        assert_eq!(error.to_string(), "1 of 2 files did not arrive");
        assert_eq!(error.code(), ErrorCode::Partial);
    }
}
