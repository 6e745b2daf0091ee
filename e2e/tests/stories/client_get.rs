//! `quiver get` with a real server: the client stores the requested files and nothing else.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use quiver_e2e::process::ProgramOutput;
use quiver_e2e::quiver::names;
use quiver_e2e::random::Random;
use quiver_e2e::{Home, Server};
use quiver_protocol::units;
use serde_json::Value;

/// Runs `quiver get` as Ron.
async fn get(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", ["get"]).arguments(arguments).run().await
}

fn hash(path: impl AsRef<Path>) -> String {
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut File::open(path).unwrap(), &mut hasher).unwrap();
    hasher.finalize().to_hex().to_string()
}

#[tokio::test]
async fn get_stores_files_of_every_size_unchanged() {
    let server = Server::start().await;
    let home = Home::new();
    let mut random = Random::new(11);
    let sizes = [0, 1, 1023, 1024, 1025, 2048, 256 * 1024, 1024 * 1024 + 1];
    for size in sizes {
        let name = format!("{size}.bin");
        let source = server.add_file(&name, random.bytes(size));
        let output = get(&home, &server, &[&name]).await;
        assert_eq!(output.expect(0).stdout, "");
        let shown = units::bytes(size as u64);
        // On a busy machine a line about the bottleneck follows.
        let expected = format!("{name}: {shown} received and verified\n");
        assert!(output.stderr.starts_with(&expected), "{}", output.stderr);
        assert_eq!(hash(home.file(&name)), hash(source));
        server.log().wait_for(&format!("delivered {name} ({shown}) to Client")).await;
    }
    assert_eq!(home.names().len(), sizes.len(), "{:?}", home.names());
}

#[tokio::test]
async fn get_stores_a_file_of_300_mib_unchanged() {
    const MIB: usize = 1024 * 1024;
    let server = Server::start().await;
    let home = Home::new();
    let mut random = Random::new(12);
    let source = server.add_file("big", "");
    let mut file = File::create(&source).unwrap();
    for _ in 0..300 {
        file.write_all(&random.bytes(MIB)).unwrap();
    }
    get(&home, &server, &["big"]).await.expect(0);
    assert_eq!(fs::metadata(home.file("big")).unwrap().len(), 300 * MIB as u64);
    assert_eq!(hash(home.file("big")), hash(source));
    assert_eq!(home.names(), ["big"]);
    server.log().wait_for("delivered big (314.6 MB) to Client 1: Ron").await;
}

#[tokio::test]
async fn get_stores_several_files_in_a_folder() {
    let server = Server::start().await;
    let home = Home::new();
    for name in ["a", "b", "notes/c", "notes/deep/d"] {
        server.add_file(name, name);
    }
    fs::create_dir(home.file("inbox")).unwrap();
    let paths = ["a", "b", "notes/c", "notes/deep/d", "-o", "inbox"];
    get(&home, &server, &paths).await.expect(0);
    assert_eq!(home.names(), ["inbox"]);
    assert_eq!(names(&home.file("inbox")), ["a", "b", "c", "d"]);
    assert_eq!(fs::read_to_string(home.file("inbox/d")).unwrap(), "notes/deep/d");
}

#[tokio::test]
async fn get_writes_content_to_standard_output() {
    let server = Server::start().await;
    let home = Home::new();
    let content = Random::new(13).bytes(600_000);
    server.add_file("a", &content);
    server.add_file("b", "b's content");
    let sink = home.root().join("sink");
    let quiver = home.quiver_as(&server, "Ron", ["get", "a", "b", "-o", "-"]);
    quiver.run_with_output(File::create(&sink).unwrap()).await.expect(0);
    let expected = [&content[..], b"b's content"].concat();
    assert_eq!(fs::read(&sink).unwrap(), expected, "the content of both files, in order");
    assert!(home.names().is_empty());
    server.log().wait_for("delivered b (11 B) to Client 1: Ron").await;
}

#[tokio::test]
async fn get_keeps_an_existing_file_without_a_terminal() {
    let server = Server::start().await;
    let home = Home::new();
    server.add_file("a", "new");
    fs::write(home.file("a"), "old").unwrap();
    let output = get(&home, &server, &["a"]).await;
    assert_eq!(output.expect(1).stdout, "");
    let expected =
        "error: a exists already\nhint: --overwrite replaces it; -o DIR stores elsewhere\n";
    assert_eq!(output.stderr, expected);
    assert_eq!(fs::read_to_string(home.file("a")).unwrap(), "old");

    get(&home, &server, &["a", "--overwrite"]).await.expect(0);
    assert_eq!(fs::read_to_string(home.file("a")).unwrap(), "new");
    assert_eq!(home.names(), ["a"]);
}

#[tokio::test]
async fn get_asks_at_a_terminal_whether_to_replace_a_file() {
    let server = Server::start().await;
    let home = Home::new();
    server.add_file("a", "new");
    fs::write(home.file("a"), "old").unwrap();
    for (answer, code, content) in [("", 1, "old"), ("n", 1, "old"), ("yes", 0, "new")] {
        let mut terminal = home.quiver_as(&server, "Ron", ["get", "a"]).start_at_terminal();
        terminal.wait_for_end("a exists already. Replace it? [y/N]");
        terminal.type_line(answer);
        assert_eq!(
            terminal.wait_for_exit().exit_code(),
            code,
            "{answer:?}: {}",
            terminal.contents()
        );
        assert_eq!(fs::read_to_string(home.file("a")).unwrap(), content, "{answer:?}");
    }
    assert_eq!(home.names(), ["a"]);
}

#[tokio::test]
async fn get_replaces_a_link_and_not_its_target() {
    let server = Server::start().await;
    let home = Home::new();
    server.add_file("a", "new");
    let target = home.root().join("target");
    fs::write(&target, "mine").unwrap();
    std::os::unix::fs::symlink(&target, home.file("a")).unwrap();
    get(&home, &server, &["a"]).await.expect(1);
    get(&home, &server, &["a", "--overwrite"]).await.expect(0);
    assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    assert!(fs::symlink_metadata(home.file("a")).unwrap().is_file());
    // A folder is never replaced.
    fs::create_dir(home.file("b")).unwrap();
    server.add_file("b", "new");
    get(&home, &server, &["b", "--overwrite"]).await.expect(1);
    assert!(home.file("b").is_dir());
}

#[tokio::test]
async fn get_accepts_unusual_file_names() {
    let server = Server::start().await;
    let home = Home::new();
    let longest = "é".repeat(127) + "x";
    let unusual = [
        " leading and inner spaces",
        "\"double\" and 'single' quotes",
        "🏹 and 👩‍🚀",
        "-rf",
        "--help",
        "-",
        ".hidden",
        "$(echo)",
        "a\u{202e}gpj.exe",
        &longest,
    ];
    for name in unusual {
        server.add_file(name, name);
        get(&home, &server, &["--", name]).await.expect(0);
        assert_eq!(fs::read_to_string(home.file(name)).unwrap(), name);
    }
    let mut expected = unusual.map(str::to_owned);
    expected.sort_unstable();
    assert_eq!(home.names(), expected);
}

#[tokio::test]
async fn a_failed_get_has_the_documented_exit_code() {
    let server = Server::start().await;
    let home = Home::new();
    server.add_file("a", "a");
    server.add_file("notes/b", "b");
    for (arguments, code) in [
        (&["missing"][..], 7),
        (&["notes"], 7),
        (&["a/b"], 7),
        (&["../certs/server.key"], 2),
        (&["/etc/passwd"], 7),
        (&["/"], 7),
        (&["notes/../a"], 2),
        (&["con"], 2),
        (&["missing", "too"], 10),
        (&["x/a", "y/a"], 2),
        (&["a", "a"], 2),
        (&[], 2),
        (&["a", "--no-such-flag"], 2),
        (&["a", "-o", "-", "--json"], 2),
        (&["a", "-o", "missing"], 8),
    ] {
        let output = get(&home, &server, arguments).await;
        assert_eq!(output.code(), code, "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.starts_with("error: "), "{arguments:?}: {}", output.stderr);
        assert_eq!(output.stdout, "");
        assert!(home.names().is_empty(), "{arguments:?}");
    }
    let partly = get(&home, &server, &["a", "missing", "notes/b"]).await;
    partly.expect(10);
    assert!(partly.stderr.contains("error: cannot get missing: "), "{}", partly.stderr);
    assert!(
        partly.stderr.ends_with("error: 1 of 3 files were not downloaded\n"),
        "{}",
        partly.stderr
    );
    assert_eq!(home.names(), ["a", "b"]);
}

#[tokio::test]
async fn json_output_has_one_object_per_line() {
    let server = Server::start().await;
    let home = Home::new();
    server.add_file("a", "content");
    server.add_file("notes/strange \u{202e}\u{1f3f9}", "");
    fs::create_dir(home.file("inbox")).unwrap();
    let paths = ["a", "notes/strange \u{202e}\u{1f3f9}", "missing", "--json", "-o", "inbox"];
    let output = get(&home, &server, &paths).await;
    output.expect(10);
    let mut objects: Vec<Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    objects.sort_by_key(|object| object["path"].as_str().map(str::to_owned));
    assert_eq!(objects.len(), 2, "{}", output.stdout);
    assert!(!output.stdout.contains('\u{202e}'));
    assert_eq!(objects[0]["path"], "a");
    assert_eq!(objects[0]["size"], 7);
    assert_eq!(objects[0]["blake3"], blake3::hash(b"content").to_hex().as_str());
    assert_eq!(objects[0]["target"], "inbox/a");
    assert_eq!(objects[1]["path"], "notes/strange \u{202e}\u{1f3f9}");

    let list = home.quiver_as(&server, "Ron", ["list", "--json"]).run().await;
    let kinds: Vec<Value> = list
        .expect(0)
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].clone())
        .collect();
    assert_eq!(kinds, ["file", "folder"]);
    let status = home.quiver_as(&server, "Ron", ["status", "--json"]).run().await;
    let rows: Vec<Value> =
        status.expect(0).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.iter().all(|row| row["name"] == "Ron" && row["number"].is_u64()));
    assert!(rows.last().unwrap()["end"].is_null());
}
