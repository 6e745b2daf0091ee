//! `relay`: one of the two streams between which packets are forwarded. The forwarding is in [`crate::relay`].

use std::time::{Duration, Instant, SystemTime};

use quiver_protocol::{
    EofPayload as _, FrameKind, IntroductionId, PlainEnd, Refusal, RefusalCode, Reply,
};
use quiver_transport::{CommandStream, StreamError};
use tokio::time::timeout;
use tracing::{debug, info};

use super::context::Context;
use super::{CommandError, NextStep};
use crate::config::FINAL_REPLY_TIMEOUT;
use crate::introductions::JoinError;
use crate::metrics::CommandOutcome;
use crate::relay::{self, EndReason, RelayEnd};

/// How long a side waits until the other one relays too.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// 1. client -> Relay  2. server -> Relaying  3. both -> Packet*, until either ends the stream
pub(super) async fn run(
    context: &Context,
    id: IntroductionId,
    stream: &mut CommandStream,
) -> Result<NextStep, CommandError> {
    // A client that may not relay must not join one that waits.
    let Some(relays) = context.relays() else {
        return Err(Refusal::new(RefusalCode::NoRelay, "this server does not relay").into());
    };
    let now = SystemTime::now();
    let usage = relays.of(&context.client.owner, now);
    if usage.is_used_up(now) {
        return Err(over_budget().into());
    }
    let joined = context.introductions().join_relay(id, context.connection, Instant::now());
    let mut joined = joined.map_err(|error| match error {
        JoinError::Unknown(unknown) => unknown.into(),
        JoinError::NotRelayed => Refusal::new(RefusalCode::NoRelay, error.to_string()),
        JoinError::AlreadyJoined => Refusal::new(RefusalCode::BadRequest, error.to_string()),
    })?;
    let stopped = stream.writer.stopped();
    let end = tokio::select! {
        biased;
        () = context.stopping() => return Err(context.stopping_refusal().into()),
        error = stopped => return Err(error.into()),
        // The client has sent a packet too early, or has cancelled.
        error = stream.reader.interrupted() => return Err(CommandError::from_interruption(error)),
        end = timeout(JOIN_TIMEOUT, joined.connected()) => match end {
            Ok(end) => end?,
            Err(_) => {
                let message = "the other client does not relay";
                return Err(Refusal::new(RefusalCode::NotReachable, message).into());
            }
        },
    };
    // Each relay counts once, though it has two ends.
    let _running = joined.is_requester().then(|| context.metrics().relay.count_running());
    debug!("{} relays with another client", context.client);
    stream.writer.write_frame(FrameKind::Reply, &Reply::Relaying.encode()).await?;
    stream.writer.flush().await?;
    stream.writer.start_content();
    let reason = tokio::select! {
        biased;
        () = context.stopping() => EndReason::Finished,
        () = joined.ended() => EndReason::Finished,
        reason = relay::forward(stream, &end, &usage, context.metrics()) => reason,
    };
    debug!("a relay of {} has ended: {} bytes sent", context.client, end.sent());
    // From here on the client may relay again.
    drop(joined);
    let refusal = match reason {
        EndReason::Finished => None,
        EndReason::OverBudget => {
            if usage.is_used_up(SystemTime::now()) {
                info!("{} has used up its budget for relayed data", context.client);
            }
            Some(over_budget())
        }
        EndReason::Failed(StreamError::Frame(error)) => Some(error.into()),
        EndReason::Failed(error) => return Err(error.into()),
    };
    Ok(finish(stream, end, refusal).await)
}

/// Ends this side with an Eof or an Error, within a time limit: a client that does not read must not delay anything.
async fn finish(stream: &mut CommandStream, end: RelayEnd, refusal: Option<Refusal>) -> NextStep {
    stream.reader.stop();
    let writer = &mut stream.writer;
    let ended = async {
        match &refusal {
            None => {
                end.drain(writer).await?;
                writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await
            }
            Some(refusal) => writer.end(FrameKind::Error, &refusal.encode()).await,
        }
    };
    let is_ended = matches!(timeout(FINAL_REPLY_TIMEOUT, ended).await, Ok(Ok(())));
    if !is_ended {
        writer.reset();
    }
    NextStep::Ended(match refusal {
        Some(refusal) => CommandOutcome::from_refusal(&refusal),
        None if is_ended => CommandOutcome::Done,
        None => CommandOutcome::Interrupted,
    })
}

fn over_budget() -> Refusal {
    Refusal::new(RefusalCode::NoRelay, "the budget for relayed data is used up today")
}
