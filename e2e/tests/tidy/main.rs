//! The rules of ARCHITECTURE.md that files show: which crate depends on which, no import cycles, short files
//! that say their job, names that mean something. It starts no program of Quiver.
//!
//! | file | what it holds |
//! |---|---|
//! | `crates.rs` | what a crate may depend on, and which may print |
//! | `cycles.rs` | no cycle among the modules in one folder |
//! | `files.rs` | length, first line and name of a file |
//! | `modules.rs`, `tokens.rs` | the modules of a crate, and what each names |
//!
//! Each of these files breaks its rules on purpose in made-up source trees. The tests in this file look at
//! this repository.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod crates;
mod cycles;
mod files;
mod modules;
mod sources;
mod tokens;
mod violation;

use std::path::Path;

use violation::assert_none;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn crates_depend_on_each_other_in_one_direction() {
    assert_none(&crates::check_dependencies(repository()));
}

#[test]
fn libraries_print_nothing() {
    assert_none(&crates::check_printing(repository()));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let packages = crates::packages(repository());
    assert!(packages.len() >= 7, "{packages:?}");
    let folders: Vec<_> = packages.iter().map(|package| &package.folder).collect();
    assert_none(&cycles::check(repository(), &folders));
}

#[test]
fn no_file_is_longer_than_400_lines() {
    assert!(files::rust_files(repository()).len() > 100);
    assert_none(&files::check_length(repository()));
}

#[test]
fn every_file_of_src_begins_with_its_job() {
    assert_none(&files::check_first_line(repository()));
}

#[test]
fn no_module_is_called_common_or_utils() {
    assert_none(&files::check_names(repository()));
}
