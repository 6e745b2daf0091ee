//! Conversations with the server: one command, one file. They return values and errors, and say
//! nothing to people.

mod change;
mod goodbye;
mod kept;
mod message;
mod space;
mod status;

pub use change::{make_folder, remove, rename};
pub use goodbye::goodbye;
pub use kept::kept;
pub use message::message;
pub use quiver_transfer::get::{GetError, IncomingFile, ReceivedFile, VerifiedContent, fetch as get};
pub use quiver_transfer::list::{Entries, Listed, fetch as list};
pub use quiver_transfer::put::{
    Handed, Offer, OutgoingFile, PutError, ReceiverProgress, Stored, offer as put,
};
pub use quiver_transfer::{Answer, Part, is_stored, misfit};
pub use quiver_transfer::{ResumableFile, Target};
pub use space::space;
pub use status::{Clients, status};
