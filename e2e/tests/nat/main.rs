//! Tests of the NAT lab itself: they prove that the emulated networks behave as they are named. They need root.

mod captures;
mod changes;
mod cleanup;
mod delays;
mod filters;
mod hole_punching;
mod mappings;
mod paths;
mod probe;
mod programs;
mod shared;
