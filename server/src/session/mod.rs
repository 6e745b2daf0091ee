//! The two stages of a connection, as two types: a [guest](guest::Guest) may only send hello, a
//! [member](member::Member) may use commands.

pub mod guest;
pub mod member;
