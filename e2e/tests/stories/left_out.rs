//! What a transfer leaves out is counted and named, in both directions; what misses content is a failure.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use quiver_e2e::process::{Process, ProgramOutput};
use quiver_e2e::quiver::finish;
use quiver_e2e::{Home, PromptUser, Server};
use serde_json::{Value, json};

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Writes a file, and one entry of each kind that has no content.
fn write_special(folder: &Path) -> UnixListener {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("file"), "content").unwrap();
    symlink("file", folder.join("link")).unwrap();
    make_pipe(&folder.join("pipe"));
    // A path of a socket may have only 107 bytes.
    let short = tempfile::tempdir().unwrap();
    let socket = UnixListener::bind(short.path().join("socket")).unwrap();
    fs::rename(short.path().join("socket"), folder.join("socket")).unwrap();
    socket
}

async fn run(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", arguments).run().await
}

async fn start_server() -> Server {
    Server::options().argument("--allow-upload").start().await
}

#[tokio::test]
async fn links_and_devices_are_named_and_are_no_failure() {
    for command in ["get", "put"] {
        let (server, home) = (start_server().await, Home::new());
        let source = if command == "get" { server.files() } else { home.folder() };
        let _socket = write_special(&source.join("n"));
        for dry_run in [&["--dry-run"][..], &[]] {
            let arguments = [&[command, "-r", "n"], dry_run].concat();
            let output = run(&home, &server, &arguments).await;
            for (name, kind) in [("link", "symbolic link"), ("pipe", "pipe"), ("socket", "socket")]
            {
                let line = format!("n/{name}: left out, it is a {kind}\n");
                assert!(
                    output.expect(0).stderr.contains(&line),
                    "{arguments:?}: {}",
                    output.stderr
                );
            }
            let counted = [&output.stdout[..], &output.stderr].concat();
            assert!(counted.contains(", 3 left out\n"), "{arguments:?}: {counted}");
        }
        let target = if command == "get" { home.folder() } else { server.files() };
        assert_eq!(quiver_e2e::quiver::names(&target.join("n")), ["file"]);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_gives_exit_code_10() {
    for command in ["get", "put"] {
        let server = Server::options().argument("--allow-upload").unprivileged().start().await;
        let home = Home::new();
        for folder in [server.files(), home.folder()] {
            fs::set_permissions(folder, Permissions::from_mode(0o777)).unwrap();
        }
        // As a user for whom permissions matter.
        let run = async |arguments: &[&str]| {
            let mut command = home.quiver_as(&server, "Ron", arguments).unprivileged();
            finish(Process::start(&mut command)).await
        };
        let source = if command == "get" { server.files() } else { home.folder() };
        for path in ["n/file", "n/secret", "n/locked/inner"] {
            fs::create_dir_all(source.join(path).parent().unwrap()).unwrap();
            fs::write(source.join(path), "content").unwrap();
        }
        for name in ["secret", "locked"] {
            fs::set_permissions(source.join("n").join(name), Permissions::from_mode(0o000))
                .unwrap();
        }
        for options in [&["--dry-run"][..], &["--quiet"], &["--json"]] {
            let output = run(&[&[command, "-r", "n"], options].concat()).await;
            let stderr = &output.expect(10).stderr;
            assert!(stderr.contains("2 of 3 files were not "), "{options:?}: {stderr}");
            for name in ["n/secret", "n/locked"] {
                let why = format!("{name}: left out, it cannot be read: ");
                let object = format!("\"left_out\":\"{name}\",\"why\":\"it cannot be read: ");
                let is_named = stderr.contains(&why) || output.stdout.contains(&object);
                assert!(is_named, "{options:?}: {output:?}");
            }
        }
        let target = if command == "get" { home.folder() } else { server.files() };
        assert_eq!(quiver_e2e::quiver::names(&target.join("n")), ["file"]);
        // Named itself, such a file has an error of its own.
        let alone = run(&[command, "n/secret"]).await;
        assert_eq!(alone.code(), if command == "get" { 1 } else { 8 }, "{}", alone.stderr);
        fs::set_permissions(source.join("n/locked"), Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn names_that_the_rules_do_not_allow_are_named() {
    for command in ["get", "put"] {
        let (server, home) = (start_server().await, Home::new());
        let source = if command == "get" { server.files() } else { home.folder() };
        fs::create_dir_all(source.join("n")).unwrap();
        for name in [&b"file"[..], b"aux.txt", b"two\nlines", b"\xff"] {
            fs::write(source.join("n").join(OsStr::from_bytes(name)), "content").unwrap();
        }
        let output = run(&home, &server, &[command, "-r", "n"]).await;
        // A local file of such a name was to be stored; the server has no such files.
        let (code, stderr) = (if command == "get" { 0 } else { 10 }, &output.stderr);
        output.expect(code);
        for name in ["n/aux.txt", "n/two\\nlines", "n/\u{fffd}"] {
            assert!(stderr.contains(&format!("{name}: left out, ")), "{name}: {stderr}");
        }
        assert!(stderr.contains("1 file "), "{stderr}");
        assert!(stderr.contains(", 3 left out\n"), "{stderr}");
        assert_eq!(stderr.contains("error: 3 of 4 files were not "), code == 10, "{stderr}");
    }
}

#[tokio::test]
async fn ten_entries_are_named_and_the_others_counted() {
    for command in ["get", "put"] {
        let (server, home) = (start_server().await, Home::new());
        let source = if command == "get" { server.files() } else { home.folder() };
        fs::create_dir_all(source.join("n/sub")).unwrap();
        fs::write(source.join("n/sub/file"), "content").unwrap();
        for number in 0..15 {
            symlink("file", source.join(format!("n/link {number}"))).unwrap();
            symlink("file", source.join(format!("n/sub/link {number}"))).unwrap();
        }
        let output = run(&home, &server, &[command, "-r", "n"]).await;
        let stderr = &output.expect(0).stderr;
        assert_eq!(stderr.matches(": left out, it is a symbolic link\n").count(), 10, "{stderr}");
        assert!(stderr.contains("and 20 more are left out\n"), "{stderr}");
        assert!(stderr.contains(", 30 left out\n"), "{stderr}");
        let json = run(&home, &server, &[command, "-r", "n", "--json"]).await;
        let lines: Vec<Value> =
            json.expect(0).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let named = lines.iter().filter(|line| line["why"] == "it is a symbolic link");
        assert_eq!(named.count(), 10, "{lines:?}");
        assert_eq!(lines.last().unwrap()["summary"]["left_out"], 30);
    }
}

#[tokio::test]
async fn what_is_left_out_at_the_root_is_named_too() {
    let (server, home) = (start_server().await, Home::new());
    let _socket = write_special(&server.files());
    for arguments in [&["get", "-r", "/"][..], &["get", "-r", "/", "--dry-run"], &["get", "*"]] {
        let output = run(&home, &server, arguments).await;
        let line = "link: left out, it is a symbolic link\n";
        assert!(output.expect(0).stderr.contains(line), "{arguments:?}: {}", output.stderr);
        let counted = [&output.stdout[..], &output.stderr].concat();
        assert!(counted.contains(", 3 left out\n"), "{arguments:?}: {counted}");
    }
    // Of a pattern, what would have matched.
    let some = run(&home, &server, &["get", "*i*"]).await;
    let stderr = &some.expect(0).stderr;
    assert!(stderr.contains("link: left out, ") && stderr.contains("pipe: left out, "), "{stderr}");
    assert!(stderr.contains(", 2 left out\n"), "{stderr}");
    // A name alone is an error.
    let link = run(&home, &server, &["get", "-r", "link"]).await;
    let error = "error: cannot get link: it is a symbolic link\n";
    assert!(link.expect(7).stderr.starts_with(error), "{}", link.stderr);
}

#[tokio::test]
async fn the_prompt_names_what_is_left_out() {
    let (server, home) = (start_server().await, Home::new());
    let _remote = write_special(&server.files().join("n"));
    let _local = write_special(&home.file("m"));
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    for (line, left_out) in [("get -r n", "n/pipe"), ("put -r m", "m/pipe")] {
        let output = ron.enter(line);
        assert!(output.contains(&format!("{left_out}: left out, it is a pipe")), "{output}");
        assert!(output.contains(", 3 left out"), "{output}");
    }
    ron.exit();
    let end = json!({"left_out": "m/link", "why": "it is a symbolic link", "missing": false});
    let piped = home.quiver_as(&server, "Ben", Vec::<&str>::new());
    let output = piped.run_with_input("put -r m --json\n").await;
    assert!(output.expect(0).stdout.contains(&end["left_out"].to_string()), "{}", output.stdout);
}
