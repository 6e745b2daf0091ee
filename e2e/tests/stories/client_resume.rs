//! An interrupted get, and the same command again: the client resumes at its offset if the server confirms that the
//! partial file is a prefix of its file.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::os::unix::fs::symlink;

use quiver_e2e::process::{ProgramOutput, Signal};
use quiver_e2e::quiver::names;
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use serde_json::Value;

const MIB: usize = 1024 * 1024;

/// The size of a file that takes a second at the relay's rate, in bytes.
const SIZE: usize = 16 * MIB;

/// A server with the file `big`, and the content of that file.
async fn server(seed: u64) -> (Server, Vec<u8>) {
    let server = Server::start().await;
    let content = Random::new(seed).bytes(SIZE);
    server.add_file("big", &content);
    (server, content)
}

/// Starts to get `big`, and interrupts it in the middle. Returns the length of the partial file, and the standard
/// error.
async fn interrupt_get(home: &Home, server: &Server) -> (u64, String) {
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(16 * MIB as u64);
    let quiver = home.quiver(["--name", "Ron", "get", "big"]);
    let mut process = quiver.server(relay.address(), &server.certificate()).start();
    wait_until("some of the content", || home.partial_length() > 2 * MIB as u64).await;
    process.signal(Signal::INT);
    assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(130));
    let length = home.partial_length();
    assert!(0 < length && length < SIZE as u64, "{length}");
    assert_eq!(home.names().len(), 1, "{:?}", home.names());
    (length, process.stderr.lines().join("\n"))
}

/// Runs `quiver get big --json` as Ron.
async fn get(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", ["get", "big", "--json"]).arguments(arguments).run().await
}

/// Checks that a get succeeded and stored this content. Returns the offset it resumed at, and the bytes received.
fn assert_received(home: &Home, output: &ProgramOutput, content: &[u8]) -> (u64, u64) {
    let line: Value = serde_json::from_str(&output.expect(0).stdout).unwrap();
    let number = |name: &str| line[name].as_u64().unwrap();
    assert!(fs::read(home.file("big")).unwrap() == content, "the content differs");
    assert_eq!(line["blake3"], blake3::hash(content).to_hex().as_str());
    assert_eq!(number("size"), content.len() as u64);
    assert_eq!(number("verified"), content.len() as u64);
    assert_eq!(number("sent") + number("resumed_at"), content.len() as u64);
    assert_eq!(number("received"), number("sent"));
    assert!(line["seconds"].as_f64().unwrap() > 0.0 && line["bytes_per_second"].is_u64());
    (number("resumed_at"), number("received"))
}

#[tokio::test]
async fn the_same_command_resumes_a_get_after_ctrl_c() {
    let (server, content) = server(1).await;
    let home = Home::new();
    let (length, stderr) = interrupt_get(&home, &server).await;
    let share = length * 100 / SIZE as u64;
    let hint = "error: interrupted\nhint: the same command, or quiver resume, continues at ";
    let (_, percent) = stderr.split_once(hint).unwrap_or_else(|| panic!("{stderr}"));
    let percent: u64 = percent.strip_suffix(" %").unwrap().parse().unwrap();
    // The hint does not count the blocks that were being written.
    assert!((share.saturating_sub(5)..=share).contains(&percent), "{percent} instead of {share}");
    assert_eq!(home.journal().len(), 1);

    let output = get(&home, &server, &[]).await;
    assert_eq!(assert_received(&home, &output, &content).0, length);
    assert!(output.stderr.contains(&format!("big: resuming at {share} %")));
    assert_eq!(home.names(), ["big"]);
    assert!(home.journal().is_empty());
    server.log().wait_for("delivered big (16.8 MB) to Client").await;
}

#[tokio::test]
async fn a_get_of_a_changed_file_starts_over_and_of_a_grown_file_resumes() {
    let (server, content) = server(2).await;
    let other = Random::new(22).bytes(SIZE);
    let rewritten = [&[!content[0]], &content[1..]].concat();
    let grown = [&content[..], b"and more"].concat();
    for (what, new, resumes) in [
        ("replaced", &other[..], false),
        ("truncated", &content[..MIB], false),
        ("emptied", &[], false),
        ("rewritten", &rewritten, false),
        ("grown", &grown, true),
        ("the same", &content, true),
    ] {
        server.add_file("big", &content);
        let home = Home::new();
        let (length, _) = interrupt_get(&home, &server).await;
        // Replaced by another file, as an editor does, or written in place.
        if what == "replaced" {
            fs::rename(server.add_file("new", new), server.files().join("big")).unwrap();
        } else {
            fs::write(server.files().join("big"), new).unwrap();
        }
        let output = get(&home, &server, &[]).await;
        let (resumed_at, _) = assert_received(&home, &output, new);
        assert_eq!(resumed_at, if resumes { length } else { 0 }, "{what}");
        let starts_over = output.stderr.contains("big changed on the server: starting over");
        assert_eq!(starts_over, !resumes, "{what}: {}", output.stderr);
        assert_eq!(home.names(), ["big"], "{what}");
    }
}

#[tokio::test]
async fn a_get_does_not_trust_a_modified_partial_file() {
    let (server, content) = server(3).await;
    let home = Home::new();
    let (length, _) = interrupt_get(&home, &server).await;
    let partial_file = home.partial_files().remove(0);
    let good = fs::read(&partial_file).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let longer = [&content[..], b"x"].concat();
    for (what, bytes, expected) in [
        ("a bit flipped", &flipped, 0),
        ("more than the file", &longer, 0),
        ("the complete content", &content, SIZE as u64),
        ("shortened", &good[..MIB].to_vec(), MIB as u64),
        ("as it was", &good, length),
    ] {
        fs::write(&partial_file, bytes).unwrap();
        let output = get(&home, &server, &[]).await;
        assert_eq!(assert_received(&home, &output, &content).0, expected, "{what}");
        assert_eq!(home.names(), ["big"], "{what}");
        fs::remove_file(home.file("big")).unwrap();
    }
}

#[tokio::test]
async fn a_get_neither_reads_nor_writes_a_link_in_place_of_its_partial_file() {
    let (server, content) = server(4).await;
    let home = Home::new();
    interrupt_get(&home, &server).await;
    let partial_file = home.partial_files().remove(0);
    let precious = home.root().join("precious");
    fs::write(&precious, "mine").unwrap();
    for what in ["a symbolic link", "a hard link", "a folder"] {
        match what {
            "a symbolic link" => {
                fs::remove_file(&partial_file).unwrap();
                symlink(&precious, &partial_file).unwrap();
            }
            "a hard link" => {
                fs::remove_file(&partial_file).unwrap();
                fs::hard_link(&precious, &partial_file).unwrap();
            }
            _ => {
                fs::remove_file(&partial_file).unwrap();
                fs::create_dir(&partial_file).unwrap();
            }
        }
        let output = get(&home, &server, &[]).await;
        assert_eq!(assert_received(&home, &output, &content).0, 0, "{what}");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "mine", "{what}");
        assert_eq!(home.names().len(), 2, "{what}: {:?}", home.names());
        fs::remove_file(home.file("big")).unwrap();
    }
}

#[tokio::test]
async fn a_second_get_leaves_the_partial_file_to_the_running_one() {
    let (server, content) = server(5).await;
    let home = Home::new();
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(4 * MIB as u64);
    let quiver = home.quiver(["--name", "Ron", "get", "big"]);
    let mut first = quiver.server(relay.address(), &server.certificate()).start();
    wait_until("some of the content", || home.partial_length() > MIB as u64).await;
    let list = home.quiver(["transfers"]).run().await;
    assert!(list.expect(0).stdout.starts_with("1: big from "), "{}", list.stdout);
    let clean = home.quiver(["transfers", "--clean"]).run().await;
    assert_eq!(clean.expect(0).stderr, "big is running: nothing was removed\n");
    let resume = home.quiver_as(&server, "Ron", ["resume"]).run().await;
    assert_eq!(resume.expect(0).stderr, "big is running in another process\n");

    // The second get has a partial file of its own, and finishes first.
    let second = get(&home, &server, &[]).await;
    assert_eq!(assert_received(&home, &second, &content).0, 0);
    relay.limit_rate(0);
    // The first get finds the file that it was to fetch, and succeeds.
    assert_eq!(first.wait_for_exit(TIMEOUT).await.code(), Some(0), "{:?}", first.stderr.lines());
    assert!(fs::read(home.file("big")).unwrap() == content);
    assert_eq!(home.names(), ["big"]);
    assert!(home.journal().is_empty());
}

#[tokio::test]
async fn no_resume_starts_over() {
    let (server, content) = server(6).await;
    let home = Home::new();
    interrupt_get(&home, &server).await;
    let output = get(&home, &server, &["--no-resume"]).await;
    assert_eq!(assert_received(&home, &output, &content), (0, SIZE as u64));
    assert_eq!(home.names(), ["big"]);
    assert!(home.journal().is_empty());
}

#[tokio::test]
async fn a_partial_file_belongs_to_one_path_one_folder_and_one_server() {
    let (server, content) = server(7).await;
    let other = Server::start().await;
    other.add_file("big", &content);
    server.add_file("notes/big", &content);
    let home = Home::new();
    let (length, _) = interrupt_get(&home, &server).await;
    fs::create_dir(home.file("other")).unwrap();
    symlink(".", home.file("same")).unwrap();
    // Another path, another server and another folder start over.
    for (server, arguments) in [
        (&server, ["notes/big", "-o", "."]),
        (&other, ["big", "-o", "."]),
        (&server, ["big", "-o", "other"]),
    ] {
        let output =
            home.quiver_as(server, "Ron", ["get", "--json"]).arguments(arguments).run().await;
        let line: Value = serde_json::from_str(&output.expect(0).stdout).unwrap();
        assert_eq!(line["resumed_at"], 0, "{arguments:?}");
        let _ = fs::remove_file(home.file("big"));
    }
    assert_eq!(names(&home.file("other")), ["big"]);
    // The same folder through a link resumes.
    let output = get(&home, &server, &["-o", "same"]).await;
    assert_eq!(assert_received(&home, &output, &content).0, length);
}

#[tokio::test]
async fn a_get_keeps_a_link_at_its_target_and_its_partial_file() {
    let (server, content) = server(8).await;
    let home = Home::new();
    let (length, _) = interrupt_get(&home, &server).await;
    let target = home.root().join("target");
    fs::write(&target, "mine").unwrap();
    symlink(&target, home.file("big")).unwrap();
    get(&home, &server, &[]).await.expect(1);
    home.quiver_as(&server, "Ron", ["resume"]).run().await.expect(1);
    assert_eq!(home.partial_length(), length);
    let output = get(&home, &server, &["--overwrite"]).await;
    assert_eq!(assert_received(&home, &output, &content).0, length);
    assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    assert!(fs::symlink_metadata(home.file("big")).unwrap().is_file());
}
