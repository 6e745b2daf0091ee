//! `introduce`: finds a connection of another client that accepts an introduction.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use quiver_protocol::{
    ClientName, EofPayload as _, Fingerprint, FrameKind, Introduction, IntroductionId, PlainEnd,
    Refusal, RefusalCode, Reply,
};
use quiver_transport::FrameWriter;
use quiver_transport::random::random_bytes;
use tokio::sync::OwnedSemaphorePermit;
use tracing::debug;

use super::context::Context;
use super::{CommandError, NextStep};
use crate::introductions::IntroductionAnswer;
use crate::metrics::IntroductionOutcome;
use crate::quota_db::Owner;
use crate::registry::ListeningConnection;

/// How long a connection may take to answer an introduction.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections of a client that are asked, one after the other.
const MAX_ASKED: usize = 4;

/// What a client asks for beside the name.
#[derive(Debug, Clone, Copy)]
pub(super) struct IntroduceOptions {
    /// Whether it wants a relay.
    pub(super) relay: bool,
    /// An open introduction whose connections are introduced again.
    pub(super) again: Option<IntroductionId>,
}

/// 1. client -> Introduce  2. server -> Introduced, Eof
pub(super) async fn run(
    context: &Context,
    name: ClientName,
    options: IntroduceOptions,
    writer: &mut FrameWriter,
) -> Result<NextStep, CommandError> {
    let key = context.client_key()?;
    let counted = context.metrics().relay.start_introduction();
    let introduced = tokio::select! {
        introduced = introduce(context, key, &name, options, writer) => introduced,
        () = context.stopping() => return Err(context.stopping_refusal().into()),
    };
    match introduced {
        Ok(()) => {
            counted.finish(IntroductionOutcome::Accepted);
            Ok(NextStep::Done)
        }
        Err(IntroduceError::Refused(outcome, refusal)) => {
            counted.finish(outcome);
            Err(refusal.into())
        }
        Err(IntroduceError::Failed(error)) => Err(error),
    }
}

/// Why two clients are not introduced.
enum IntroduceError {
    Refused(IntroductionOutcome, Refusal),
    Failed(CommandError),
}

impl<E: Into<CommandError>> From<E> for IntroduceError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Asks the connections of the client, and writes the response if one accepts.
async fn introduce(
    context: &Context,
    key: Fingerprint,
    name: &ClientName,
    options: IntroduceOptions,
    writer: &mut FrameWriter,
) -> Result<(), IntroduceError> {
    let IntroduceOptions { relay: wants_relay, again } = options;
    let permit = Arc::new(admit(context)?);
    let listening = context.registry().listening(name).await;
    let Some(listening) = listening.map_err(|error| context.registry_failure(&error))? else {
        let message = format!("no client is called {name}");
        return Err(refused(IntroductionOutcome::NoSuchClient, RefusalCode::NoSuchClient, message));
    };
    let again_with = again.map(|again| {
        let (connection, now) = (context.connection, Instant::now());
        context.introductions().other_side(again, connection, now)
    });
    let again_with = again_with.transpose().map_err(|error| {
        refused(IntroductionOutcome::NotReachable, RefusalCode::NotFound, error.to_string())
    })?;
    let is_wanted = |other: &ListeningConnection| {
        other.key != key && again_with.is_none_or(|connection| other.connection == connection)
    };
    let others = listening.into_iter().filter(is_wanted);
    for other in others.take(MAX_ASKED) {
        let id = IntroductionId(random_bytes());
        let relay = wants_relay && is_relayed(context, &other);
        let own = Introduction {
            id,
            client: context.client.number,
            name: context.client.name.clone(),
            key,
            account: context.client.is_account,
            relay,
            again,
        };
        let (introductions, requester) = (context.introductions(), context.connection);
        let mut pending =
            introductions.start(id, requester, other.connection, relay, permit.clone());
        let announced = context.registry().introduce(other.connection, own).await;
        if !announced.map_err(|error| context.registry_failure(&error))? {
            continue;
        }
        match pending.answered(ANSWER_TIMEOUT).await {
            IntroductionAnswer::Missing => {}
            IntroductionAnswer::Declined => {
                let message = format!("{name} takes no introduction from this client");
                let code = RefusalCode::NotReachable;
                return Err(refused(IntroductionOutcome::Declined, code, message));
            }
            IntroductionAnswer::Accepted => {
                let ListeningConnection { client, name, key, is_account, .. } = other;
                debug!("{} and Client {client}: {name} are introduced", context.client);
                let introduction =
                    Introduction { id, client, name, key, account: is_account, relay, again };
                let reply = Reply::Introduced(introduction);
                writer.write_frame(FrameKind::Reply, &reply.encode()).await?;
                writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
                pending.complete();
                return Ok(());
            }
        }
    }
    let message = if name.key() == context.client.name.key() {
        format!("{name} is your own name, and no other machine of yours takes introductions now")
    } else {
        format!("{name} takes no introductions now")
    };
    Err(refused(IntroductionOutcome::NotReachable, RefusalCode::NotReachable, message))
}

/// Checks the limits of the client. The permit is for one open introduction.
fn admit(context: &Context) -> Result<OwnedSemaphorePermit, IntroduceError> {
    let (limits, now) = (&context.client.limits, Instant::now());
    let limited = |message: &str| {
        refused(IntroductionOutcome::RateLimited, RefusalCode::RateLimited, message.to_owned())
    };
    if !limits.introduction_rate.lock().admit(now) {
        return Err(limited("too many introductions within a minute"));
    }
    context.introductions().expire(now);
    let permit = limits.introductions.clone().try_acquire_owned();
    permit.map_err(|_| limited("too many introductions of this client are open"))
}

/// Whether the server relays for these two clients.
fn is_relayed(context: &Context, other: &ListeningConnection) -> bool {
    let other = match other.is_account {
        true => Owner::account(&other.name),
        false => Owner::key(other.key),
    };
    let now = SystemTime::now();
    context.relays().is_some_and(|relays| {
        !relays.is_used_up(&context.client.owner, now) && !relays.is_used_up(&other, now)
    })
}

fn refused(outcome: IntroductionOutcome, code: RefusalCode, message: String) -> IntroduceError {
    IntroduceError::Refused(outcome, Refusal::new(code, message))
}
