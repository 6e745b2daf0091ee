//! Quiver's server: who is connected, what they may do, where files live.

pub mod passwords;
mod unix;
pub mod user_admin;
