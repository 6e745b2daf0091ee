//! Folders and patterns: what they hold is put into a plan, compared with what is there already, shown or
//! decided, and then moved, many files at once. The same for both directions.

mod collect;
mod compare;
mod download;
mod dry_run;
mod executor;
mod upload;

use std::io;
use std::sync::Arc;

use chrono::Utc;
use parking_lot::Mutex;
use quiver_protocol::path::BadPath;
use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, FolderPath, Timestamp};
use quiver_transfer::SMALL;

use crate::error::{ClientError, InvalidRequest};
use crate::journal::{self, Direction, Entry, What};
use crate::outcomes::blocking;
use crate::question::{Answer, Question};
use crate::reconnecting::ReconnectingSession;
use crate::reporter::Reporter;
use crate::request::ConflictPolicy;
use crate::tree::{Decision, Item, ItemState, Kind, Plan, PlanError, another_name};

pub(crate) use download::TreeDownload;
pub(crate) use upload::TreeUpload;

/// Small files on their way at once, within the streams that a server lets a client open: enough to hide
/// the way there and back.
const AT_ONCE: u32 = 48;

/// A larger file counts for several small ones: four such are at once on their way, and chat passes.
const LARGE_COUNTS_FOR: u32 = AT_ONCE / 4;

/// More copies of one name than this nobody wants.
const COPIES: u32 = 1000;

/// A plan that is worked on elsewhere than on the thread that drives QUIC. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Planner(Arc<Mutex<Plan>>);

impl Planner {
    async fn new() -> Result<Self, ClientError> {
        blocking(|| Ok(Self(Arc::new(Mutex::new(Plan::new().map_err(no_plan)?))))).await
    }

    /// Works on the plan. No two do at once.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Plan) -> Result<T, PlanError> + Send + 'static,
    ) -> Result<T, ClientError> {
        let plan = self.0.clone();
        let work = move || work(&mut plan.lock());
        blocking(move || work().map_err(no_plan)).await
    }

    /// Some items after the one with this number.
    pub(crate) async fn after(&self, number: i64) -> Result<Vec<Item>, ClientError> {
        self.work(move |plan| plan.after(number)).await
    }

    /// The same of those in a state.
    async fn after_in(&self, number: i64, state: ItemState) -> Result<Vec<Item>, ClientError> {
        self.work(move |plan| plan.after_in(number, &state)).await
    }

    /// Settles what becomes of files that differ: as was decided, or as is answered now, file by file. What is not
    /// decided stays so.
    async fn decide(
        &self,
        policy: ConflictPolicy,
        reporter: &Reporter,
        shown: impl Fn(&Item) -> String,
    ) -> Result<(), ClientError> {
        match policy {
            ConflictPolicy::Decided(decision) => {
                return self.work(move |plan| plan.decide_all(decision)).await;
            }
            ConflictPolicy::Ask if reporter.can_ask() => {}
            ConflictPolicy::Ask | ConflictPolicy::Fail => return Ok(()),
        }
        let mut number = 0;
        loop {
            let differing = self.after_in(number, ItemState::Differs).await?;
            let Some(last) = differing.last() else { return Ok(()) };
            number = last.number;
            for item in differing {
                let path = display_safe(&shown(&item)).into_owned();
                let answer = reporter.ask(Question::Conflict { path }).await;
                let (decision, for_all) = match answer {
                    Some(Answer::Conflict { decision, for_all }) => (decision, for_all),
                    _ => (Decision::Skip, false),
                };
                let number = item.number;
                self.work(move |plan| {
                    plan.decide(number, decision)?;
                    if for_all { plan.decide_all(decision) } else { Ok(()) }
                })
                .await?;
                if for_all {
                    return Ok(());
                }
            }
        }
    }
}

/// What is written down of a tree that is under way.
fn entry(direction: Direction, session: &ReconnectingSession, tree: journal::Tree) -> Entry {
    let (origin, begun) = (session.origin().clone(), Timestamp(Utc::now()));
    Entry { direction, origin, begun, what: What::Tree(tree) }
}

/// The path of a copy of something.
fn beside(path: &FilePath, copy: u32) -> Result<FilePath, BadPath> {
    let above = path.as_str().rsplit_once('/').map_or("", |(above, _)| above);
    FolderPath::parse(above)?.join(&another_name(path.file_name(), copy))
}

/// Whether a file is one of those of which many may be on their way.
fn is_small(item: &Item) -> bool {
    matches!(item.found.kind, Kind::File { size, .. } if size <= SMALL)
}

/// How much of what may be on its way at once a file counts for.
fn weight(item: &Item) -> u32 {
    if is_small(item) { 1 } else { LARGE_COUNTS_FOR }
}

fn no_plan(error: PlanError) -> ClientError {
    match error {
        PlanError::Twice(path) => InvalidRequest::TreeTwice(path.to_string()).into(),
        PlanError::TooLarge => InvalidRequest::PlanTooLarge.into(),
        PlanError::Database(error) => {
            let what = "cannot keep the plan in a temporary file";
            ClientError::System { what, source: io::Error::other(error) }
        }
    }
}
