//! Paths of the built binaries: beside the test, in the target folder of the same profile.

use std::path::PathBuf;

/// The path of `quiver-server`.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn server() -> PathBuf {
    find("quiver-server")
}

/// The path of `quiver`.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn client() -> PathBuf {
    find("quiver")
}

fn find(name: &str) -> PathBuf {
    // target/<profile>/deps/<test>-<hash>, or target/<profile>/<program> for a benchmark.
    let this = std::env::current_exe().expect("this program has a path");
    let folder = this.parent().expect("a program lies in a folder");
    let folder = match folder.file_name() {
        Some(name) if name == "deps" => folder.parent().expect("deps lies in a profile's folder"),
        _ => folder,
    };
    let binary = folder.join(name);
    assert!(
        binary.is_file(),
        "\n{} does not exist.\nBuild it with: cargo build --workspace --bins --tests (with the profile of this \
         test)\ncargo nextest run builds it before these tests.\n",
        binary.display()
    );
    binary
}
