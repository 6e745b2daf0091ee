//! Where the next session comes from after a loss: a server, or another client.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::SessionHandle;
use crate::connection::{Connector, Session};
use crate::error::ClientError;

/// Creates the next session after a loss.
pub(crate) trait SessionSource: fmt::Debug + Send {
    /// Connects again, as the same client.
    fn reconnect(&mut self) -> Renewal<'_>;
}

/// A pending reconnection.
pub(crate) type Renewal<'a> =
    Pin<Box<dyn Future<Output = Result<RenewedSession, ClientError>> + Send + 'a>>;

/// A session after a loss.
#[derive(Debug)]
pub(crate) enum RenewedSession {
    /// With a server.
    Server(Session),
    /// With another client.
    Peer(SessionHandle),
}

impl SessionSource for Connector {
    fn reconnect(&mut self) -> Renewal<'_> {
        Box::pin(async { Ok(RenewedSession::Server(Connector::reconnect(self).await?)) })
    }
}

/// Tells the session with another client that is the best at present.
#[derive(Clone)]
pub(crate) struct BestSession(Arc<dyn Fn() -> Option<SessionHandle> + Send + Sync>);

impl BestSession {
    /// By a function that returns `None` if there is no session.
    pub(crate) fn new(best: impl Fn() -> Option<SessionHandle> + Send + Sync + 'static) -> Self {
        Self(Arc::new(best))
    }

    pub(super) fn get(&self) -> Option<SessionHandle> {
        (self.0)()
    }
}

impl fmt::Debug for BestSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BestSession").finish_non_exhaustive()
    }
}
