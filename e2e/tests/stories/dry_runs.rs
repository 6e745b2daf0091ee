//! `--dry-run` of get and put: a sorted plan with totals that moves nothing.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use quiver_e2e::process::ProgramOutput;
use quiver_e2e::tree;
use quiver_e2e::{Home, PromptUser, Server};
use serde_json::{Value, json};

const CONTENT: &str = "123456789";

async fn run(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", arguments).run().await
}

fn parse_lines(output: &ProgramOutput) -> Vec<Value> {
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Writes the source of a transfer, in an order that is not that of the names.
fn write_source(folder: &Path) {
    for path in ["n/z", "n/sub/inner", "n/same", "n/blocked", "n/differs.txt", "n/a-b"] {
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), CONTENT).unwrap();
    }
    symlink("same", folder.join("n/link")).unwrap();
}

/// Writes what the target has already.
fn write_target(folder: &Path) {
    fs::create_dir_all(folder.join("n/blocked")).unwrap();
    fs::write(folder.join("n/same"), CONTENT).unwrap();
    fs::write(folder.join("n/differs.txt"), "987654321").unwrap();
}

/// The rows of a plan in which the file that differs has this row.
fn rows(differs: &str, totals: &str) -> String {
    [
        "new                 n/a-b (9 B)",
        "blocked             n/blocked: a folder has that name",
        differs,
        "same                n/same (9 B)",
        "new                 n/sub/",
        "new                 n/sub/inner (9 B)",
        "new                 n/z (9 B)",
        totals,
        "",
    ]
    .join("\n")
}

const FAIL: (&str, &str) = (
    "differs, fail       n/differs.txt (9 B)",
    "6 files, 54 B: 3 to transfer (27 B), 1 already there, 2 would fail, 1 left out",
);

#[tokio::test]
async fn a_dry_run_is_sorted_and_says_what_would_happen_to_each_file() {
    for command in ["get", "put"] {
        let server = Server::options().argument("--allow-upload").start().await;
        let home = Home::new();
        let (source, target) = match command {
            "get" => (server.files(), home.folder()),
            _ => (home.folder(), server.files()),
        };
        write_source(&source);
        write_target(&target);
        let before = (tree::read(&source), tree::read(&target));
        let moved = |count: u64, bytes: u64, rest: &str| {
            let rest = format!("1 already there, {rest}1 would fail, 1 left out");
            format!("6 files, 54 B: {count} to transfer ({bytes} B), {rest}")
        };
        for (options, differs, totals) in [
            (&[][..], FAIL.0, FAIL.1.to_owned()),
            (&["--overwrite"], "differs, replace    n/differs.txt (9 B)", moved(4, 36, "")),
            (
                &["--keep-both"],
                "differs, keep both  n/differs.txt (9 B) as n/differs (2).txt",
                moved(4, 36, ""),
            ),
            (
                &["--skip"],
                "differs, skip       n/differs.txt (9 B)",
                moved(3, 27, "1 left unchanged, "),
            ),
        ] {
            let arguments = [&[command, "-r", "n", "--dry-run"], options].concat();
            let plan = run(&home, &server, &arguments).await;
            assert_eq!(plan.expect(0).stdout, rows(differs, &totals), "{arguments:?}");
            assert_eq!(plan.stderr, "n/link: left out, it is a symbolic link\n");
        }
        assert!((tree::read(&source), tree::read(&target)) == before);
        // What an earlier run has stored beside the file is not stored again.
        fs::write(target.join("n/differs (2).txt"), "another").unwrap();
        fs::write(target.join("n/differs (3).txt"), CONTENT).unwrap();
        let plan = run(&home, &server, &[command, "-r", "n", "--dry-run", "--keep-both"]).await;
        let row = "same                n/differs.txt (9 B) as n/differs (3).txt\n";
        assert!(plan.expect(0).stdout.contains(row), "{}", plan.stdout);
    }
}

#[tokio::test]
async fn a_dry_run_as_json_ends_with_a_summary() {
    for command in ["get", "put"] {
        let server = Server::options().argument("--allow-upload").start().await;
        let home = Home::new();
        let (source, target) = match command {
            "get" => (server.files(), home.folder()),
            _ => (home.folder(), server.files()),
        };
        write_source(&source);
        write_target(&target);
        let arguments = [command, "-r", "n", "--dry-run", "--json", "--keep-both"];
        let output = run(&home, &server, &arguments).await;
        let lines = parse_lines(output.expect(0));
        let link = json!({"left_out": "n/link", "why": "it is a symbolic link", "missing": false});
        assert_eq!(lines[0], link);
        let found = |path: &str| lines.iter().find(|line| line["path"] == path).unwrap();
        let differs = found("n/differs.txt");
        assert_eq!(differs["plan"], "differs_both_kept", "{differs}");
        assert_eq!(
            (&differs["action"], &differs["stored_as"]),
            (&json!("keep_both"), &json!("n/differs (2).txt"))
        );
        assert_eq!(
            (&found("n/z")["plan"], &found("n/z")["action"]),
            (&json!("new"), &json!("create"))
        );
        assert_eq!(found("n/blocked")["why"], "a folder has that name");
        let counts = json!({
            "dry_run": true, "files": 6, "total_bytes": 54, "moved": 4, "bytes": 36, "same": 1, "kept": 0,
            "asked": 0, "failed": 1, "left_out": 1,
        });
        assert_eq!(lines.last(), Some(&json!({ "summary": counts })));
    }
}

#[tokio::test]
async fn a_dry_run_at_a_terminal_says_about_which_files_it_would_ask() {
    let server = Server::start().await;
    let home = Home::new();
    write_source(&server.files());
    write_target(&home.folder());
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    let plan = ron.enter("get -r n --dry-run");
    assert!(plan.contains("differs, ask        n/differs.txt (9 B)\n"), "{plan}");
    assert!(plan.contains("1 to be asked about, 1 would fail, 1 left out"), "{plan}");
    ron.exit();
    // Commands from standard input ask no questions.
    let piped = home.quiver_as(&server, "Ben", Vec::<&str>::new());
    let output = piped.run_with_input("get -r n --dry-run\n").await;
    assert_eq!(output.expect(0).stdout, rows(FAIL.0, FAIL.1));
}

#[tokio::test]
async fn a_dry_run_says_what_does_not_fit() {
    let server = Server::options();
    let server =
        server.argument("--allow-upload").argument("--max-file-size").argument("10B").start().await;
    let home = Home::new();
    fs::write(home.file("large"), "12345678901").unwrap();
    let plan = run(&home, &server, &["put", "large", "--dry-run"]).await;
    let rows =
        "does not fit        large (11 B)\n1 file, 11 B: nothing to transfer, 1 would fail\n";
    assert_eq!(plan.expect(0).stdout, rows);
    assert_eq!(server.stored_names(), [""; 0]);
}
