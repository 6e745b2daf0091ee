//! A plan as tasks use it: worked on off the thread that drives QUIC, one at a time.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::{ClientError, InvalidRequest};
use crate::tasks::blocking;
use crate::tree::{Plan, PlanError, PlanItem, PlanItemState};

/// A plan that is worked on elsewhere than on the thread that drives QUIC. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Planner(Arc<Mutex<Plan>>);

impl Planner {
    /// An empty plan.
    ///
    /// # Errors
    /// [`ClientError`]: there is no room for it.
    pub(crate) async fn new() -> Result<Self, ClientError> {
        blocking(|| Ok(Self(Arc::new(Mutex::new(Plan::new().map_err(no_plan)?))))).await
    }

    /// Works on the plan. No two do at once.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Plan) -> Result<T, PlanError> + Send + 'static,
    ) -> Result<T, ClientError> {
        let plan = self.0.clone();
        let work = move || work(&mut plan.lock());
        blocking(move || work().map_err(no_plan)).await
    }

    /// Some items after the one with this number.
    pub(crate) async fn after(&self, number: i64) -> Result<Vec<PlanItem>, ClientError> {
        self.work(move |plan| plan.after(number)).await
    }

    /// The same of those in a state.
    pub(crate) async fn after_in(
        &self,
        number: i64,
        state: PlanItemState,
    ) -> Result<Vec<PlanItem>, ClientError> {
        self.work(move |plan| plan.after_in(number, &state)).await
    }
}

fn no_plan(error: PlanError) -> ClientError {
    match error {
        PlanError::Twice(path) => InvalidRequest::DuplicateTreePath(path.to_string()).into(),
        PlanError::TooLarge => InvalidRequest::PlanTooLarge.into(),
        PlanError::Database(error) => {
            let what = "cannot keep the plan in a temporary file";
            ClientError::System { what, source: io::Error::other(error) }
        }
    }
}
