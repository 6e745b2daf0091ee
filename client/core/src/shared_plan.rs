//! A plan shared by tasks. Work on it runs off the thread that drives QUIC, one piece at a time.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::{ClientError, InvalidRequest};
use crate::tasks::blocking;
use crate::tree::{Plan, PlanError, PlanItem, PlanItemState};

/// A plan whose work runs on blocking threads. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SharedPlan(Arc<Mutex<Plan>>);

impl SharedPlan {
    /// Makes an empty plan.
    ///
    /// # Errors
    /// [`ClientError`]: the temporary file cannot be created.
    pub(crate) async fn new() -> Result<Self, ClientError> {
        blocking(|| Ok(Self(Arc::new(Mutex::new(Plan::new().map_err(to_client_error)?))))).await
    }

    /// Runs `work` on the plan. Calls run one after the other.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Plan) -> Result<T, PlanError> + Send + 'static,
    ) -> Result<T, ClientError> {
        let plan = self.0.clone();
        let work = move || work(&mut plan.lock());
        blocking(move || work().map_err(to_client_error)).await
    }

    /// Returns a page of items after the one with this number.
    pub(crate) async fn items_after(&self, number: i64) -> Result<Vec<PlanItem>, ClientError> {
        self.with(move |plan| plan.items_after(number)).await
    }

    /// Returns a page of items in a state, after the one with this number.
    pub(crate) async fn items_in_state_after(
        &self,
        number: i64,
        state: PlanItemState,
    ) -> Result<Vec<PlanItem>, ClientError> {
        self.with(move |plan| plan.items_in_state_after(number, &state)).await
    }
}

fn to_client_error(error: PlanError) -> ClientError {
    match error {
        PlanError::DuplicateTarget(path) => {
            InvalidRequest::DuplicateTreePath(path.to_string()).into()
        }
        PlanError::TooLarge => InvalidRequest::PlanTooLarge.into(),
        PlanError::Database(error) => {
            let what = "cannot keep the plan in a temporary file";
            ClientError::System { what, source: io::Error::other(error) }
        }
    }
}
