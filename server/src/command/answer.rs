//! `answer` and `agreed`: the two clients of an introduction say what they accept.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use quiver_protocol::{
    EofPayload as _, FrameKind, IntroductionId, ObservedAddresses, PlainEnd, Refusal, RefusalCode,
    Reply,
};
use quiver_transport::FrameWriter;
use tokio::time::timeout;
use tracing::debug;

use super::context::Context;
use super::{CommandError, NextStep};
use crate::introductions::UnknownIntroduction;
use crate::registry::ConnectionId;

/// How long a side that agrees waits for the other one: a person may have to answer a question.
const AGREEMENT_TIMEOUT: Duration = Duration::from_secs(600);

/// Also after the client has accepted: a person may have said no since.
/// 1. client -> Answer  2. server -> Eof
pub(super) async fn answer(
    context: &Context,
    id: IntroductionId,
    is_accepted: bool,
    writer: &mut FrameWriter,
) -> Result<NextStep, CommandError> {
    context.introductions().answer(id, context.connection, is_accepted, Instant::now())?;
    writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    Ok(NextStep::Done)
}

/// 1. client -> Agreed  2. server -> Addresses, Eof
pub(super) async fn agreed(
    context: &Context,
    id: IntroductionId,
    writer: &mut FrameWriter,
) -> Result<NextStep, CommandError> {
    let agreement = context.introductions().agree(id, context.connection, Instant::now())?;
    debug!("{} agrees to a direct connection", context.client);
    let resolved = tokio::select! {
        biased;
        () = context.stopping() => return Err(context.stopping_refusal().into()),
        resolved = timeout(AGREEMENT_TIMEOUT, agreement.resolved()) => resolved,
    };
    let Ok(resolved) = resolved else {
        let message = "the other client has not agreed";
        return Err(Refusal::new(RefusalCode::NotReachable, message).into());
    };
    resolved?;
    let addresses = ObservedAddresses {
        own: observed_address(context, context.connection).await?,
        other: observed_address(context, agreement.other()).await?,
    };
    writer.write_frame(FrameKind::Reply, &Reply::Addresses(addresses).encode()).await?;
    writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    Ok(NextStep::Done)
}

async fn observed_address(
    context: &Context,
    connection: ConnectionId,
) -> Result<SocketAddr, CommandError> {
    let address = context.registry().observed_address(connection).await;
    let address = address.map_err(|error| context.registry_failure(&error))?;
    Ok(address.ok_or(UnknownIntroduction)?)
}
