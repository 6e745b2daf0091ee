//! Folders and patterns: what they hold is put into a plan, compared with what is there already, shown or
//! decided, and then moved, many files at once. The same for both directions.

mod collect;
mod compare;
mod course;
mod get;
mod put;
mod report;

use std::io;
use std::sync::Arc;

use chrono::Utc;
use parking_lot::Mutex;
use quiver_protocol::path::BadPath;
use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, FolderPath, Timestamp};
use quiver_transfer::{SMALL, blocking};

use crate::connection::Link;
use crate::failure::Failure;
use crate::output::{Face, Output};
use quiver_client::journal::{self, Direction, Entry, What};
use quiver_client::tree::{Decision, Item, Kind, Plan, PlanError, State, another_name};

pub(super) use get::GetTrees;
pub(super) use put::PutTrees;

/// Small files on their way at once, within the streams that a server lets a client open: enough to hide
/// the way there and back.
const AT_ONCE: u32 = 48;

/// A larger file counts for several small ones: four such are at once on their way, and chat passes.
const LARGE_COUNTS_FOR: u32 = AT_ONCE / 4;

/// More copies of one name than this nobody wants.
const COPIES: u32 = 1000;

/// A plan that is worked on elsewhere than on the thread that drives QUIC. Cheap to clone.
#[derive(Debug, Clone)]
struct Planner(Arc<Mutex<Plan>>);

impl Planner {
    async fn new() -> Result<Self, Failure> {
        on_a_thread(|| Ok(Self(Arc::new(Mutex::new(Plan::new().map_err(no_plan)?))))).await
    }

    /// Works on the plan. No two do at once.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Plan) -> Result<T, PlanError> + Send + 'static,
    ) -> Result<T, Failure> {
        let plan = self.0.clone();
        let work = move || work(&mut plan.lock());
        on_a_thread(move || work().map_err(no_plan)).await
    }

    /// Some items after the one with this number.
    async fn after(&self, number: i64) -> Result<Vec<Item>, Failure> {
        self.work(move |plan| plan.after(number)).await
    }

    /// The same of those in a state.
    async fn after_in(&self, number: i64, state: State) -> Result<Vec<Item>, Failure> {
        self.work(move |plan| plan.after_in(number, &state)).await
    }

    /// Settles what becomes of files that differ: as was said, or as the person says now, file by file. What
    /// nobody decides stays undecided.
    async fn decide(
        &self,
        said: Option<Decision>,
        output: &Output,
        shown: impl Fn(&Item) -> String,
    ) -> Result<(), Failure> {
        if let Some(decision) = said {
            return self.work(move |plan| plan.decide_all(decision)).await;
        }
        if output.face() != Face::OneShot || !output.can_ask() {
            return Ok(());
        }
        let mut number = 0;
        loop {
            let differing = self.after_in(number, State::Differs).await?;
            let Some(last) = differing.last() else { return Ok(()) };
            number = last.number;
            for item in differing {
                let shown = shown(&item);
                let question = format!(
                    "{} is there already, with other content. [r]eplace it, keep [b]oth, or [s]kip it? \
                     (a capital letter: all that follow) ",
                    display_safe(&shown)
                );
                let answer = output.ask(&question).await?.unwrap_or_default();
                let decision = match answer.to_ascii_lowercase().as_str() {
                    "r" | "replace" => Decision::Replace,
                    "b" | "both" => Decision::KeepBoth,
                    _ => Decision::Skip,
                };
                let for_all = answer.starts_with(char::is_uppercase);
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
fn entry(direction: Direction, link: &Link, tree: journal::Tree) -> Entry {
    let (origin, begun) = (link.origin().clone(), Timestamp(Utc::now()));
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

fn no_plan(error: PlanError) -> Failure {
    match error {
        PlanError::Twice(path) => {
            let what = format!("two files would be stored as {}", display_safe(path.as_str()));
            Failure::usage(what, "two commands with different folders can do it")
        }
        error @ PlanError::TooLarge => {
            Failure::usage(error.to_string(), "several commands can do it, folder by folder")
        }
        PlanError::Database(error) => {
            let what = "cannot keep the plan in a temporary file";
            Failure::System { what, source: io::Error::other(error) }
        }
    }
}

/// Disks block; the thread that drives QUIC must not.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    blocking::run(work).await.map_err(|_| Failure::Interrupted)?
}
