//! Whether files of the same size have the same content: proved by their hash, with nothing moved.

use std::fs::File;
use std::io;
use std::time::Duration;

use quiver_protocol::FilePath;
use quiver_protocol::text::display_safe;
use quiver_transfer::DiskPool;
use quiver_transfer::Source;
use tokio::task::JoinSet;

use super::course::Way;
use super::{AT_ONCE, Planner};
use crate::command::get::passing;
use crate::command::tally::{ended, is_shared};
use crate::connection::{Hold, Link};
use crate::failure::Failure;
use quiver_client::action::{self, GetError};
use quiver_client::tree::{Item, State};

/// Settles what is the same and what differs.
pub(super) async fn compare<W: Way>(way: &W, planner: &Planner) -> Result<(), Failure> {
    let disk_pool = DiskPool::default();
    let mut number = 0;
    loop {
        let alike = planner.after_in(number, State::Alike).await?;
        let Some(last) = alike.last() else { return Ok(()) };
        number = last.number;
        let mut waiting = alike.into_iter();
        let mut running = JoinSet::new();
        let mut found = Vec::with_capacity(waiting.len());
        loop {
            while running.len() < AT_ONCE as usize
                && let Some(item) = waiting.next()
            {
                let (way, disk_pool) = (way.clone(), disk_pool.clone());
                running.spawn(async move {
                    let state = match is_same(&way, &disk_pool, &item).await {
                        Ok(true) => State::Same,
                        Ok(false) => State::Differs,
                        Err(failure) if is_shared(&failure) => return Err(failure),
                        // What cannot be read, or is gone, is told when it is to move.
                        Err(_) => State::Differs,
                    };
                    Ok((item.number, state))
                });
            }
            let Some(done) = running.join_next().await else { break };
            found.push(ended(done)??);
        }
        planner
            .work(move |plan| found.iter().try_for_each(|(number, state)| plan.set(*number, state)))
            .await?;
    }
}

async fn is_same<W: Way>(way: &W, disk_pool: &DiskPool, item: &Item) -> Result<bool, Failure> {
    let (reader, read) = (way.clone(), item.clone());
    let read = move || reader.read(&read);
    is_same_as(way.link(), way.patience(), disk_pool, way.remote(item), read).await
}

/// Whether a file here has the content of one of the server's.
///
/// # Errors
/// [`Failure`] where either cannot be read.
pub(super) async fn is_same_as(
    link: &Link,
    patience: Duration,
    disk_pool: &DiskPool,
    path: &FilePath,
    read: impl FnOnce() -> io::Result<File> + Send + 'static,
) -> Result<bool, Failure> {
    let what = || format!("cannot compare {}", display_safe(path.as_str()));
    let disk = |source| Failure::System { what: "cannot compare a file", source };
    let source = disk_pool.work(move || Source::new(read()?)?.load()).await;
    let source = source.unwrap_or_else(|ending| Err(io::Error::other(ending))).map_err(disk)?;
    let Some(whole) = source.whole().await.map_err(disk)? else { return Ok(false) };
    let length = whole.length();
    let mut hold = Hold::new(patience);
    loop {
        let line = link.line();
        // Nobody closes the semaphore.
        let _permit = line.content.acquire().await;
        let same = async {
            let have = Some(whole.prefix());
            let content = action::get(&line.connection, path, have, line.patience).await?;
            if content.size() != length || content.offset() != length {
                return Ok(false);
            }
            content.agree(whole.clone()).await.map(|_| true)
        };
        let error = match same.await {
            Ok(same) => return Ok(same),
            Err(GetError::Stream(error)) => error,
            // What it sends is not what it says.
            Err(_) => return Ok(false),
        };
        let why = match passing(&line, error).await {
            Ok(why) => why,
            Err(error) => return Err(Failure::stream(what(), error)),
        };
        match link.again(&line.connection, &why, &mut hold).await {
            Ok(()) => {}
            Err(None) => return Err(Failure::stream(what(), why)),
            Err(Some(failure)) => return Err(failure),
        }
    }
}
