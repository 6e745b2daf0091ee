//! The rules which crate may depend on which (ARCHITECTURE.md), and which may print. Checks manifests and macro
//! calls, not transitive dependencies.

use std::path::{Path, PathBuf};
use std::process::Command;

use proc_macro2::{TokenStream, TokenTree};
use serde_json::Value;

use crate::modules::{Modules, read_tokens};
use crate::tokens;
use crate::violation::Violation;

struct CrateRule {
    package: &'static str,
    /// Packages of this workspace that it may depend on.
    may_use: &'static [&'static str],
    /// Other dependencies that it must not have.
    must_not_use: &'static [&'static str],
    may_print: bool,
}

const TERMINAL: &[&str] =
    &["clap", "clap_complete", "clap_mangen", "indicatif", "rustyline", "rpassword"];

const RULES: [CrateRule; 10] = [
    CrateRule {
        package: "quiver-manual",
        may_use: &[],
        must_not_use: &["tokio", "quinn", "rustix"],
        may_print: false,
    },
    CrateRule {
        package: "quiver-protocol",
        may_use: &[],
        must_not_use: &[
            "tokio",
            "tokio-util",
            "quinn",
            "quinn-proto",
            "socket2",
            "cap-std",
            "rustix",
        ],
        may_print: false,
    },
    CrateRule {
        package: "quiver-transport",
        may_use: &["quiver-protocol"],
        must_not_use: TERMINAL,
        may_print: false,
    },
    CrateRule {
        package: "quiver-transfer",
        may_use: &["quiver-protocol", "quiver-transport"],
        must_not_use: TERMINAL,
        may_print: false,
    },
    CrateRule {
        package: "quiver-server",
        may_use: &["quiver-manual", "quiver-protocol", "quiver-transport", "quiver-transfer"],
        must_not_use: &[],
        may_print: true,
    },
    CrateRule {
        package: "quiver-client",
        may_use: &["quiver-protocol", "quiver-transport", "quiver-transfer"],
        must_not_use: TERMINAL,
        may_print: false,
    },
    CrateRule {
        package: "quiver-control",
        may_use: &["quiver-protocol", "quiver-transport", "quiver-transfer", "quiver-client"],
        must_not_use: TERMINAL,
        may_print: false,
    },
    CrateRule {
        package: "quiver-page",
        may_use: &[
            "quiver-protocol",
            "quiver-transport",
            "quiver-transfer",
            "quiver-client",
            "quiver-control",
        ],
        must_not_use: TERMINAL,
        may_print: false,
    },
    CrateRule {
        package: "quiver-cli",
        may_use: &[
            "quiver-protocol",
            "quiver-transport",
            "quiver-transfer",
            "quiver-client",
            "quiver-control",
            "quiver-page",
            "quiver-manual",
        ],
        must_not_use: &[],
        may_print: true,
    },
    CrateRule {
        package: "quiver-e2e",
        may_use: &["quiver-protocol", "quiver-transport", "quiver-transfer", "quiver-client"],
        must_not_use: &[],
        may_print: true,
    },
];

const PRINT_MACROS: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];

/// A package of the workspace, from its manifest.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// Including those of tests and build scripts.
    dependencies: Vec<String>,
}

/// All packages of the workspace in this folder.
///
/// # Panics
/// If cargo cannot read the manifests.
pub(crate) fn packages(workspace: &Path) -> Vec<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(workspace)
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let string = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| Package {
            name: string(&package["name"]),
            folder: Path::new(package["manifest_path"].as_str().unwrap())
                .parent()
                .unwrap()
                .to_owned(),
            dependencies: {
                let dependencies = package["dependencies"].as_array().unwrap().iter();
                dependencies.map(|dependency| string(&dependency["name"])).collect()
            },
        })
        .collect()
}

pub(crate) fn check_dependencies(workspace: &Path) -> Vec<Violation> {
    let packages = packages(workspace);
    let mut violations = Vec::new();
    for package in &packages {
        let manifest = relative_path(workspace, &package.folder.join("Cargo.toml"));
        let Some(rule) = rule(&package.name) else {
            violations.push(Violation::new(
                manifest,
                format!("no rule says what {} may depend on", package.name),
                "add it to RULES in e2e/tests/tidy/crates.rs, as ARCHITECTURE.md places it",
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let is_internal = packages.iter().any(|other| other.name == *dependency);
            let is_allowed = match is_internal {
                true => rule.may_use.contains(&dependency.as_str()),
                false => !rule.must_not_use.contains(&dependency.as_str()),
            };
            if !is_allowed {
                violations.push(Violation::new(
                    &manifest,
                    format!("{} must not depend on {dependency}", package.name),
                    "move the code that needs it into a crate that may depend on it, or pass it in (ARCHITECTURE.md, \
                     the crates)",
                ));
            }
        }
    }
    violations
}

pub(crate) fn check_printing(workspace: &Path) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in packages(workspace) {
        if rule(&package.name).is_none_or(|rule| rule.may_print) {
            continue;
        }
        let root = package.folder.join("src/lib.rs");
        // Without files that are compiled only for tests.
        let files = Modules::read(&root).map(|modules| modules.files());
        match files.and_then(|files| print_calls_in(&files)) {
            Ok(calls) => violations.extend(calls.into_iter().map(|(file, line, name)| {
                Violation::new(
                    format!("{}:{line}", relative_path(workspace, &file)),
                    format!("{} must not print, and this is {name}!", package.name),
                    "hand the text to the caller: a returned value, an event or a log line",
                )
            })),
            Err(error) => {
                violations.push(Violation::new(
                    relative_path(workspace, &root),
                    error,
                    "make it valid Rust",
                ));
            }
        }
    }
    violations
}

fn print_calls_in(files: &[PathBuf]) -> Result<Vec<(PathBuf, usize, String)>, String> {
    let mut found = Vec::new();
    for file in files {
        let calls = print_calls(read_tokens(file)?).into_iter();
        found.extend(calls.map(|(line, name)| (file.clone(), line, name)));
    }
    Ok(found)
}

fn rule(package: &str) -> Option<&'static CrateRule> {
    RULES.iter().find(|rule| rule.package == package)
}

/// The line and the name of each call of a printing macro, except in tests.
fn print_calls(tokens: TokenStream) -> Vec<(usize, String)> {
    let tokens = tokens::without_tests(tokens);
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) if PRINT_MACROS.iter().any(|name| ident == name) => {
                if matches!(tokens.get(index + 1), Some(TokenTree::Punct(mark)) if mark.as_char() == '!')
                {
                    found.push((ident.span().start().line, ident.to_string()));
                }
            }
            TokenTree::Group(group) => found.extend(print_calls(group.stream())),
            _ => {}
        }
    }
    found
}

fn relative_path(workspace: &Path, file: &Path) -> String {
    file.strip_prefix(workspace).unwrap_or(file).display().to_string()
}

#[cfg(test)]
mod tests;
