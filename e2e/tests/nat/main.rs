//! Tests in emulated networks with NATs: those of the networks themselves, which prove that they behave as they are
//! named, and those of Quiver's clients in them. They need root.

mod captures;
mod changes;
mod cleanup;
mod delays;
mod direct_only;
mod filters;
mod heavy_loss;
mod hole_punching;
mod lab_client;
mod lab_pair;
mod mappings;
mod matrix;
mod moved_files;
mod offered_file;
mod outages;
mod path_changes;
mod paths;
mod privacy;
mod probe;
mod program_pair;
mod programs;
mod repeated_links;
mod running_transfer;
mod shared;
mod strangers;
