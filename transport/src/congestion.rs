//! Congestion control of connections.

mod close_aware;

pub(crate) use self::close_aware::{CONTROLLER_NAME, CloseAwareControllerFactory, remove_limit};
