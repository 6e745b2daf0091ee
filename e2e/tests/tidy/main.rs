//! The rules of ARCHITECTURE.md that can be checked in files: crate dependencies, no import cycles, short files
//! whose first line says their job, names that say what they name, plain English, and documents that state what
//! the code does. Starts no program of Quiver.
//!
//! | file | what it holds |
//! |---|---|
//! | `crates.rs` | the dependencies a crate may have, and which crates may print |
//! | `documents.rs` | links, code paths, quoted log lines, numbers, flags and metrics of the documents |
//! | `cycles.rs` | no import cycle among the modules of a folder |
//! | `files.rs` | a file's length, first line and name |
//! | `modules.rs`, `tokens.rs` | the modules of a crate, and the paths in each |
//! | `names.rs` | no vague names, no type name twice in a crate |
//! | `prose.rs` | few phrases that hide who acts |
//!
//! Each of these files tests its rules on generated source trees that break them. The tests in this file check
//! this repository.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

mod crates;
mod cycles;
mod documents;
mod files;
mod modules;
mod names;
mod prose;
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
fn no_modules_import_each_other_in_a_cycle() {
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
fn every_file_in_src_starts_with_its_job() {
    assert_none(&files::check_first_line(repository()));
}

#[test]
fn no_module_is_called_common_or_utils() {
    assert_none(&files::check_names(repository()));
}

#[test]
fn types_variants_functions_and_modules_have_standard_names() {
    assert_none(&names::check_words(repository()));
}

#[test]
fn no_two_types_of_a_crate_share_a_name() {
    let packages = crates::packages(repository());
    let folders: Vec<_> = packages.iter().map(|package| &package.folder).collect();
    assert_none(&names::check_types_are_unique(repository(), &folders));
}

#[test]
fn few_phrases_hide_who_acts() {
    assert_none(&prose::check_phrases(repository()));
}

#[test]
fn links_of_documents_lead_to_files_and_headings() {
    let documents = documents::read_all(repository());
    assert!(documents.len() >= 20, "{}", documents.len());
    assert_none(&documents::links::check(repository(), &documents));
}

#[test]
fn code_paths_of_documents_exist() {
    assert_none(&documents::paths::check(repository(), &documents::read_all(repository())));
}

#[test]
fn quoted_log_lines_and_messages_are_those_of_the_sources() {
    assert_none(&documents::quotes::check(repository(), &documents::read_all(repository())));
}

#[test]
fn numbers_of_documents_are_those_of_the_code() {
    let documents = documents::read_all(repository());
    assert_none(&documents::numbers::check(
        repository(),
        &documents,
        documents::numbers::STATEMENTS,
    ));
}

#[test]
fn flags_and_variables_of_documents_exist() {
    let documents = documents::read_all(repository());
    assert_none(&documents::flags::check_flags(repository(), &documents));
    assert_none(&documents::flags::check_variables(repository(), &documents));
}

#[test]
fn exit_codes_of_the_client_are_documented() {
    assert_none(&documents::flags::check_exit_codes(
        repository(),
        &documents::read_all(repository()),
    ));
}

#[test]
fn metrics_of_the_server_are_documented() {
    assert_none(&documents::metrics::check(repository(), &documents::read_all(repository())));
}
