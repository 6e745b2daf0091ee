//! Workspaces that break a rule of dependencies, and those that do not.

use super::*;
use crate::sources::SourceTree;

const PACKAGES: [(&str, &str); 10] = [
    ("manual", "quiver-manual"),
    ("protocol", "quiver-protocol"),
    ("transport", "quiver-transport"),
    ("transfer", "quiver-transfer"),
    ("server", "quiver-server"),
    ("client/core", "quiver-client"),
    ("client/control", "quiver-control"),
    ("client/page", "quiver-page"),
    ("client/cli", "quiver-cli"),
    ("e2e", "quiver-e2e"),
];

/// A workspace of all crates, in which one has these additional lines in its manifest, and this code.
fn workspace(package: &str, lines: &str, code: &str) -> SourceTree {
    let folders = PACKAGES.map(|(folder, _)| format!("\"{folder}\"")).join(", ");
    let mut files =
        vec![("Cargo.toml".to_owned(), format!("[workspace]\nmembers = [{folders}]\n"))];
    for (folder, name) in PACKAGES {
        let (lines, code) = if name == package { (lines, code) } else { ("", "") };
        let manifest = format!("[package]\nname = \"{name}\"\n{lines}\n");
        files.push((format!("{folder}/Cargo.toml"), manifest));
        files.push((format!("{folder}/src/lib.rs"), "mod a; #[cfg(test)] mod tests;".to_owned()));
        files.push((format!("{folder}/src/a.rs"), code.to_owned()));
        files.push((format!("{folder}/src/tests.rs"), "fn f() { println!(); }".to_owned()));
    }
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    SourceTree::new(&files)
}

fn broken_rules(package: &str, lines: &str) -> Vec<String> {
    let workspace = workspace(package, lines, "");
    check_dependencies(workspace.path()).into_iter().map(|violation| violation.rule).collect()
}

#[test]
fn a_dependency_against_the_arrows_is_reported() {
    for (package, dependency) in [
        ("quiver-protocol", "quiver-transport"),
        ("quiver-transport", "quiver-transfer"),
        ("quiver-transfer", "quiver-server"),
        ("quiver-transfer", "quiver-client"),
        ("quiver-server", "quiver-client"),
        ("quiver-server", "quiver-cli"),
        ("quiver-server", "quiver-e2e"),
        ("quiver-client", "quiver-server"),
        ("quiver-client", "quiver-cli"),
        ("quiver-client", "quiver-page"),
        ("quiver-client", "quiver-control"),
        ("quiver-control", "quiver-page"),
        ("quiver-control", "quiver-cli"),
        ("quiver-page", "quiver-cli"),
        ("quiver-page", "quiver-server"),
        ("quiver-cli", "quiver-server"),
    ] {
        let expected = [format!("{package} must not depend on {dependency}")];
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            assert_eq!(broken_rules(package, &format!("[{kind}]\n{dependency} = \"1\"")), expected);
        }
    }
}

#[test]
fn dependencies_along_the_arrows_are_allowed() {
    for (package, dependency) in [
        ("quiver-transport", "quiver-protocol"),
        ("quiver-server", "quiver-transfer"),
        ("quiver-control", "quiver-client"),
        ("quiver-page", "quiver-client"),
        ("quiver-page", "quiver-control"),
        ("quiver-page", "axum"),
        ("quiver-cli", "quiver-client"),
        ("quiver-cli", "quiver-page"),
        ("quiver-cli", "clap"),
        ("quiver-protocol", "serde"),
    ] {
        assert_eq!(
            broken_rules(package, &format!("[dependencies]\n{dependency} = \"1\"")),
            [""; 0]
        );
    }
}

#[test]
fn a_library_with_a_forbidden_dependency_is_reported() {
    for (package, dependency) in [
        ("quiver-protocol", "tokio"),
        ("quiver-protocol", "quinn"),
        ("quiver-client", "clap"),
        ("quiver-client", "indicatif"),
        ("quiver-client", "rustyline"),
        ("quiver-client", "rpassword"),
        ("quiver-control", "clap"),
        ("quiver-page", "clap"),
    ] {
        let expected = [format!("{package} must not depend on {dependency}")];
        assert_eq!(
            broken_rules(package, &format!("[dependencies]\n{dependency} = \"1\"")),
            expected
        );
        let renamed =
            format!("[dependencies]\nother = {{ package = \"{dependency}\", version = \"1\" }}");
        assert_eq!(broken_rules(package, &renamed), expected);
    }
}

#[test]
fn a_crate_without_a_rule_is_reported() {
    let sources = SourceTree::new(&[
        ("Cargo.toml", "[workspace]\nmembers = [\"extra\"]"),
        ("extra/Cargo.toml", "[package]\nname = \"quiver-extra\""),
        ("extra/src/lib.rs", ""),
    ]);
    let violations = check_dependencies(sources.path());
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].location, "extra/Cargo.toml");
    assert_eq!(violations[0].rule, "no rule says what quiver-extra may depend on");
}

#[test]
fn a_library_that_prints_is_reported_with_the_line() {
    let code = "//! x\n\nfn f() { if true {\n std::println!(\"{}\", 1) } }\n\
                fn g() { \"println!\"; log.print(); write!(x, \"eprintln!\"); }\n\
                #[cfg(test)] mod tests { fn f() { println!() } }\nfn h() { dbg!(1); }";
    for package in [
        "quiver-protocol",
        "quiver-transport",
        "quiver-transfer",
        "quiver-client",
        "quiver-control",
        "quiver-page",
    ] {
        let workspace = workspace(package, "", code);
        let violations = check_printing(workspace.path());
        let lines: Vec<_> =
            violations.iter().map(|found| found.location.rsplit(':').next().unwrap()).collect();
        assert_eq!(lines, ["4", "7"], "{violations:?}");
        assert!(violations[0].rule.contains("println!"), "{}", violations[0]);
    }
    let allowed = workspace("quiver-cli", "", code);
    assert!(check_printing(allowed.path()).is_empty());
}
