//! Many files as one order: what a pattern stands for, what a folder here holds, where files are to go,
//! and the plan of what is to be done with each. Knows disks and names, nothing of connections.
//!
//! A tree may be larger than memory. Its plan is a table in a temporary database file, which goes with
//! the program, whatever happens to it.

mod confined_folder;
mod pattern;
mod plan;
mod source_root;
mod target_folder;

pub use pattern::{BadPattern, Pattern};
pub use plan::{
    Decision, FoundEntry, ItemCount, ItemKind, Plan, PlanError, PlanItem, PlanItemState,
};
pub use source_root::{SkipReason, Skipped, SourceRoot};
pub use target_folder::{TargetFolder, another_name};
