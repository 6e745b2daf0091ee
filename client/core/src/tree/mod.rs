//! Folders and patterns: the names a pattern matches, the contents of a local folder, the targets,
//! and the plan of what to do with each file. Knows disks and names, nothing of connections.
//!
//! A tree may be larger than memory. Its plan is a table in a temporary database file, which is
//! deleted when the process ends in any way.

mod confined_folder;
mod left_out;
mod pattern;
mod plan;
mod source_root;
mod target_folder;

pub(crate) use confined_folder::open_regular;
pub use left_out::{LeftOut, LeftOutEntry, LeftOutReason};
pub use pattern::Pattern;
pub use plan::{
    Decision, FoundEntry, ItemCount, ItemKind, Plan, PlanError, PlanItem, PlanItemState,
};
pub use source_root::{Skipped, SourceRoot};
pub use target_folder::{TargetFolder, copy_name};
