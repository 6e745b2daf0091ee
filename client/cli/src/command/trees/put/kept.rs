//! What the server has kept of files that were broken off: for a plan that is only shown.

use std::io;
use std::sync::Arc;

use quiver_protocol::text::display_safe;
use quiver_transfer::DiskPool;
use quiver_transfer::Source;
use quiver_transport::StreamError;
use tokio::task::JoinSet;

use crate::command::get::passing;
use crate::command::put::Store;
use crate::command::tally::ended;
use crate::command::trees::{AT_ONCE, LARGE_COUNTS_FOR, Planner, is_small};
use crate::connection::Hold;
use crate::failure::Failure;
use quiver_client::action;
use quiver_client::tree::{Item, Kind, State, Trunk};

/// Questions at once: each may take the server as long as reading what it has kept.
const LARGE_AT_ONCE: u32 = AT_ONCE / LARGE_COUNTS_FOR;

/// Asks for each file that is not there, and proves that it begins so.
pub(super) async fn look(
    store: &Store,
    planner: &Planner,
    trunks: &[Arc<Trunk>],
) -> Result<(), Failure> {
    let disk_pool = DiskPool::default();
    let mut number = 0;
    loop {
        let new = planner.after_in(number, State::New).await?;
        let Some(last) = new.last() else { return Ok(()) };
        number = last.number;
        // Nothing is kept of small ones.
        let is_large =
            |item: &Item| matches!(item.found.kind, Kind::File { .. }) && !is_small(item);
        let mut waiting = new.into_iter().filter(is_large);
        let mut running = JoinSet::new();
        let mut found = Vec::new();
        loop {
            while running.len() < LARGE_AT_ONCE as usize
                && let Some(item) = waiting.next()
            {
                let (store, disk_pool) = (store.clone(), disk_pool.clone());
                let trunk = trunks[item.found.trunk as usize].clone();
                running.spawn(async move {
                    let begun = begun(&store, &disk_pool, &item, trunk).await?;
                    Ok((item.number, begun))
                });
            }
            let Some(done) = running.join_next().await else { break };
            let (number, begun) = ended(done)??;
            if begun > 0 {
                found.push((number, State::Begun(begun)));
            }
        }
        planner
            .work(move |plan| found.iter().try_for_each(|(number, state)| plan.set(*number, state)))
            .await?;
    }
}

/// Bytes of a file that need not be sent.
async fn begun(
    store: &Store,
    disk_pool: &DiskPool,
    item: &Item,
    trunk: Arc<Trunk>,
) -> Result<u64, Failure> {
    let path = &item.found.target;
    let mut hold = Hold::new(store.patience);
    let have = loop {
        let line = store.link.line();
        let error = match action::kept(&line.connection, path, line.patience).await {
            Ok(have) => break have,
            Err(error) => error,
        };
        let what = || format!("cannot ask for {}", display_safe(path.as_str()));
        let why = match passing(&line, error).await {
            Ok(why) => why,
            // The put itself says why, as where its folder is not there yet, or takes its time.
            Err(StreamError::Refused(_) | StreamError::Silent(_)) => return Ok(0),
            Err(error) => return Err(Failure::stream(what(), error)),
        };
        match store.link.again(&line.connection, &why, &mut hold).await {
            Ok(()) => {}
            Err(None) => return Err(Failure::stream(what(), why)),
            Err(Some(failure)) => return Err(failure),
        }
    };
    let Some(have) = have else { return Ok(0) };
    let source = item.found.source.clone();
    let source = disk_pool.work(move || Source::new(trunk.read(&source)?)).await;
    let source = source.unwrap_or_else(|ending| Err(io::Error::other(ending)));
    let proved = match source {
        Ok(source) => source.proves(have, None).await,
        Err(error) => Err(error),
    };
    // What cannot be read is told when it is to move.
    Ok(proved.ok().flatten().map_or(0, |proved| proved.length()))
}
