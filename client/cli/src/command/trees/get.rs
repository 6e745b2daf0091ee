//! `get` of folders and patterns: planned from the server's lists, many small files at once.

mod arrive;

use std::io;
use std::sync::Arc;

use quiver_protocol::text::display_safe;
use quiver_protocol::{FolderPath, Refusal, RefusalCode};
use quiver_transfer::DiskPool;

use self::arrive::Homeward;
use super::collect::{Collector, Note};
use super::course::{Course, Voice, Will};
use super::report::Room;
use super::{Planner, entry, on_a_thread};
use crate::cli;
use crate::command::get::{Fetch, Item as File, NOT_ARRIVED, Place as Goal};
use crate::command::tally::{Tally, is_shared};
use crate::failure::Failure;
use quiver_client::journal::{self, Direction};
use quiver_client::tree::{Decision, Found, Item, Pattern, Place, State};

/// What was ordered.
#[derive(Debug)]
pub(crate) struct GetTrees {
    /// As they were typed, and what they stand for.
    patterns: Vec<(String, Pattern)>,
    recursive: bool,
    will: Will,
    /// `None` for standard output.
    place: Option<Arc<Place>>,
}

/// What the server had of an order.
struct Gathered {
    /// What stands for nothing there.
    missing: Vec<Failure>,
    /// Names that it does not serve.
    not_served: u64,
}

impl GetTrees {
    /// Whether this is an order for trees at all: folders, patterns, or anything that takes a plan.
    pub(crate) fn is_meant(arguments: &cli::Get) -> bool {
        arguments.many.takes_a_plan() || arguments.paths.iter().any(|path| Pattern::is_one(path))
    }

    /// Checks everything that can be checked here.
    ///
    /// # Errors
    /// [`Failure`]: nothing was asked of the server.
    pub(crate) fn prepare(arguments: &cli::Get) -> Result<Self, Failure> {
        let many = &arguments.many;
        let streamed = arguments.is_streamed();
        if streamed && (many.recursive || many.dry_run) {
            let what = "folders and plans cannot go to standard output";
            return Err(Failure::usage(what, "-o DIR stores the files in a folder"));
        }
        let mut patterns = Vec::new();
        for typed in &arguments.paths {
            patterns.push((typed.clone(), pattern(typed, many.recursive)?));
        }
        let place = if streamed {
            None
        } else {
            let failed = |source| Failure::Target { path: arguments.output.clone(), source };
            Some(Arc::new(Place::open(&arguments.output).map_err(failed)?))
        };
        Ok(Self {
            patterns,
            recursive: many.recursive,
            will: Will::of(many, arguments.overwrite),
            place,
        })
    }

    /// Whether the content goes to standard output.
    pub(crate) fn is_streamed(&self) -> bool {
        self.place.is_none()
    }

    /// Plans, and does it.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Several`] where some of several failed.
    pub(crate) async fn run(self, fetch: Fetch) -> Result<(), Failure> {
        let planner = Planner::new().await?;
        let Gathered { missing, not_served } = self.gather(&fetch, &planner).await?;
        let files = planner.work(|plan| plan.files()).await?;
        let asked = usize::try_from(files).unwrap_or(usize::MAX).saturating_add(missing.len());
        let mut tally = Tally::new(fetch.output.clone(), asked, NOT_ARRIVED);
        for failure in missing {
            tally.failed(failure).await;
        }
        if files == 0 && tally.failures() > 0 {
            return tally.result();
        }
        let Some(place) = &self.place else {
            return pour(&fetch, &planner, tally).await;
        };
        let room = Room { free: room(place).await?, largest: u64::MAX };
        let voice = Voice::of(&fetch.output, fetch.json, &fetch.pace);
        let entry = entry(Direction::Get, &fetch.link, self.tree(place));
        let (place, overwrite) = (place.clone(), self.will.said() == Some(Decision::Replace));
        let way =
            Homeward { fetch, place: place.clone(), disk_pool: DiskPool::default(), overwrite };
        let course = Course::new(way, planner, voice, tally, Some(entry));
        let shown = |item: &Item| place.shown(&item.found.target).display().to_string();
        let does_not_fit = |why| {
            let path = place.typed().to_owned();
            Failure::Target { path, source: io::Error::other(why) }
        };
        course.go(self.will, room, not_served, shown, does_not_fit).await
    }

    /// What it takes to ask for the same again.
    fn tree(&self, place: &Place) -> journal::Tree {
        journal::Tree {
            named: self.patterns.iter().map(|(typed, _)| typed.clone()).collect(),
            folder: place.path().to_owned(),
            to: FolderPath::ROOT,
            stored_as: None,
            recursive: self.recursive,
            differing: self.will.said(),
        }
    }

    async fn gather(&self, fetch: &Fetch, planner: &Planner) -> Result<Gathered, Failure> {
        let note = note(fetch, self.place.clone());
        let (link, planner, patience) = (fetch.link.clone(), planner.clone(), fetch.patience);
        let collector = Collector { link, planner, note, patience };
        let mut missing = Vec::new();
        for (typed, pattern) in &self.patterns {
            let found = collector.matches(pattern, self.recursive).await;
            let nothing = match found {
                Ok(false) => nothing(typed, pattern),
                Ok(true) => continue,
                Err(failure) if is_shared(&failure) => return Err(failure),
                Err(failure) => failure,
            };
            missing.push(nothing);
        }
        let not_served = if self.recursive { collector.contents().await? } else { 0 };
        Ok(Gathered { missing, not_served })
    }
}

/// One file after the other to standard output, each verified.
async fn pour(fetch: &Fetch, planner: &Planner, mut tally: Tally) -> Result<(), Failure> {
    let (mut number, mut ends) = (0, false);
    loop {
        let items = planner.after(number).await?;
        let Some(last) = items.last() else { return tally.result() };
        number = last.number;
        for item in items {
            if ends {
                tally.skipped(1);
                continue;
            }
            let file = File { path: item.found.source, place: Goal::Stdout };
            if let Err(failure) = fetch.one(&file).await {
                ends |= is_shared(&failure);
                tally.failed(failure).await;
            }
        }
    }
}

/// What was typed, as a pattern.
fn pattern(typed: &str, recursive: bool) -> Result<Pattern, Failure> {
    // A folder as it is shown: with a slash at its end. The slash alone is everything.
    let meant = match typed.strip_suffix('/').unwrap_or(typed) {
        "" if recursive => "*",
        meant => meant,
    };
    Pattern::parse(meant).map_err(|error| {
        let refusal = Refusal::new(RefusalCode::BadPath, error.to_string());
        Failure::refused(format!("cannot get {}", display_safe(typed)), refusal)
    })
}

/// Why nothing is fetched for what was typed.
fn nothing(typed: &str, pattern: &Pattern) -> Failure {
    let why = if pattern.is_open() { "nothing there matches" } else { "no such file or folder" };
    let what = format!("cannot get {}", display_safe(typed));
    Failure::refused(what, Refusal::new(RefusalCode::NotFound, why))
}

async fn room(place: &Arc<Place>) -> Result<u64, Failure> {
    let place = place.clone();
    on_a_thread(move || {
        let failed = |source| Failure::Target { path: place.typed().to_owned(), source };
        place.room().map_err(failed)
    })
    .await
}

/// Plans what the server has, with what is there of it.
fn note(fetch: &Fetch, place: Option<Arc<Place>>) -> Note {
    let server = fetch.link.origin().fingerprint;
    Arc::new(move |plan, found: Found| {
        let state = place.as_ref().map_or(State::New, |place| {
            let part = || {
                let path = place.absolute(&found.target);
                journal::id(Direction::Get, server, &found.source, &path)
            };
            place.look(&found.target, found.kind, part)
        });
        plan.add(&found, &state).map(drop)
    })
}
