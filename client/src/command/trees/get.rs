//! `get` of folders and patterns: planned from the server's lists, many small files at once.

mod course;

use std::io;
use std::path::Path;
use std::sync::Arc;

use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, Refusal, RefusalCode};
use quiver_transport::content::Hashed;
use tokio::task::JoinSet;

use self::course::Course;
use super::collect::{Collector, Look};
use super::report::{self, Room};
use super::{AT_ONCE, Planner, on_a_thread};
use crate::action::{self, GetError};
use crate::cli;
use crate::command::get::{Fetch, NOT_ARRIVED, passing};
use crate::command::tally::{Tally, ended, is_shared};
use crate::connection::Hold;
use crate::failure::Failure;
use crate::journal::{self, Direction};
use crate::tree::{Decision, Item, Kind, Pattern, Place, State};

/// What was ordered.
#[derive(Debug)]
pub(crate) struct GetTrees {
    /// As they were typed, and what they stand for.
    patterns: Vec<(String, Pattern)>,
    recursive: bool,
    dry_run: bool,
    /// What becomes of files that differ.
    said: Option<Decision>,
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
        let streamed = arguments.output == Path::new("-");
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
            dry_run: many.dry_run,
            said: many.said(arguments.overwrite),
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
        if files == 0 && tally.has_failed() {
            return tally.result();
        }
        let Some(place) = &self.place else {
            return Course::new(fetch, planner, tally).pour().await;
        };
        compare(&fetch, &planner, place).await?;
        let room = Room { free: room(place).await?, largest: u64::MAX };
        if self.dry_run {
            if let Some(decision) = self.said {
                planner.work(move |plan| plan.decide_all(decision)).await?;
            }
            report::show(&planner, &fetch.output, fetch.json, room, |item| shown(place, item))
                .await?;
            return tally.result();
        }
        planner.decide(self.said, &fetch.output, |item| shown(place, item)).await?;
        if let Some(why) = report::does_not_fit(&planner, room).await? {
            let path = place.typed().to_owned();
            return Err(Failure::Target { path, source: io::Error::other(why) });
        }
        let place = place.clone();
        let mut course = Course::new(fetch, planner, tally);
        course.summary.left_out = not_served;
        course.run(place).await
    }

    async fn gather(&self, fetch: &Fetch, planner: &Planner) -> Result<Gathered, Failure> {
        let look = look(fetch, self.place.clone());
        let hold = Hold::new(fetch.patience);
        let mut collector = Collector { link: &fetch.link, planner, look, hold };
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

fn shown(place: &Place, item: &Item) -> String {
    place.shown(&item.found.target).display().to_string()
}

async fn room(place: &Arc<Place>) -> Result<u64, Failure> {
    let place = place.clone();
    on_a_thread(move || {
        let failed = |source| Failure::Target { path: place.typed().to_owned(), source };
        place.room().map_err(failed)
    })
    .await
}

/// Says what is there of a file that is to be fetched.
fn look(fetch: &Fetch, place: Option<Arc<Place>>) -> Look {
    let server = fetch.link.origin().fingerprint;
    Arc::new(move |source: &FilePath, target: &FilePath, kind: Kind| {
        let Some(place) = &place else { return State::New };
        let part = || journal::id(Direction::Get, server, source, &place.absolute(target));
        place.look(target, kind, part)
    })
}

/// Finds out whether files of the same size have the same content.
async fn compare(fetch: &Fetch, planner: &Planner, place: &Arc<Place>) -> Result<(), Failure> {
    let mut number = 0;
    let mut running = JoinSet::new();
    loop {
        let alike = planner.after_in(number, State::Alike).await?;
        let Some(last) = alike.last() else { break };
        number = last.number;
        for item in alike {
            if running.len() >= AT_ONCE as usize
                && let Some(done) = running.join_next().await
            {
                ended(done)??;
            }
            let (fetch, planner, place) = (fetch.clone(), planner.clone(), place.clone());
            running.spawn(async move {
                let state = match is_same(&fetch, &place, &item).await {
                    Ok(true) => State::Same,
                    Ok(false) => State::Differs,
                    Err(failure) if is_shared(&failure) => return Err(failure),
                    // What cannot be read here, or is gone there, is told when it is to move.
                    Err(_) => State::Differs,
                };
                planner.work(move |plan| plan.set(item.number, &state)).await
            });
        }
    }
    while let Some(done) = running.join_next().await {
        ended(done)??;
    }
    Ok(())
}

/// Whether a file here is what the server has: proved by its hash, with nothing moved.
async fn is_same(fetch: &Fetch, place: &Arc<Place>, item: &Item) -> Result<bool, Failure> {
    let (folder, target) = (place.clone(), item.found.target.clone());
    let failed = |source| Failure::Target { path: place.shown(&item.found.target), source };
    let file = on_a_thread(move || Ok(folder.read(&target))).await?.map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let Some(whole) = Hashed::of(&file, length).await.map_err(failed)? else { return Ok(false) };
    let path = &item.found.source;
    let broken =
        |error: GetError| Failure::Get { path: path.to_string(), source: error, streamed: false };
    let mut hold = Hold::new(fetch.patience);
    loop {
        let line = fetch.link.line();
        // Nobody closes the semaphore.
        let _permit = line.content.acquire().await;
        let have = Some(whole.prefix());
        let same = async {
            let content = action::get(&line.connection, path, have, line.patience).await?;
            if content.size() != length || content.offset() != length {
                return Ok(false);
            }
            content.agree(whole.clone()).await.map(|_| true)
        };
        let error = match same.await {
            Ok(same) => return Ok(same),
            Err(GetError::Stream(error)) => error,
            Err(error) => return Err(broken(error)),
        };
        let why = match passing(&line, error).await {
            Ok(why) => why,
            Err(error) => return Err(broken(error.into())),
        };
        match fetch.link.again(&line.connection, &why, &mut hold).await {
            Ok(()) => {}
            Err(None) => return Err(broken(why.into())),
            Err(Some(failure)) => return Err(failure),
        }
    }
}
