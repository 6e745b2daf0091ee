//! A get that stopped in the middle, and the same command again: what is here does not come twice, and
//! is not believed without proof.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::os::unix::fs::symlink;

use quiver_e2e::process::{ProgramOutput, Signal};
use quiver_e2e::quiver::names;
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use serde_json::Value;

const MIB: usize = 1024 * 1024;

/// A file of so many bytes takes a second on a slow path.
const SIZE: usize = 16 * MIB;

/// A server with `big`, and its content.
async fn server(seed: u64) -> (Server, Vec<u8>) {
    let server = Server::start().await;
    let content = Random::new(seed).bytes(SIZE);
    server.add_file("big", &content);
    (server, content)
}

/// Begins to get `big` and presses Ctrl-C when some of it is here; how much, and what was said.
async fn interrupted(home: &Home, server: &Server) -> (u64, String) {
    let path = UdpRelay::start(server.address()).await;
    path.limit_rate(16 * MIB as u64);
    let quiver = home.quiver(["--name", "Ron", "get", "big"]);
    let mut process = quiver.server(path.address(), &server.certificate()).start();
    wait_until("some of the content", || home.partial_length() > 2 * MIB as u64).await;
    process.signal(Signal::INT);
    assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(130));
    let length = home.partial_length();
    assert!(0 < length && length < SIZE as u64, "{length}");
    assert_eq!(home.names().len(), 1, "{:?}", home.names());
    (length, process.stderr.lines().join("\n"))
}

async fn get(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", ["get", "big", "--json"]).arguments(arguments).run().await
}

/// What a get that went well says of the file, which is now what the server has.
fn arrived(home: &Home, finished: &ProgramOutput, content: &[u8]) -> (u64, u64) {
    let line: Value = serde_json::from_str(&finished.expect(0).stdout).unwrap();
    let number = |name: &str| line[name].as_u64().unwrap();
    assert!(fs::read(home.file("big")).unwrap() == content, "another content");
    assert_eq!(line["blake3"], blake3::hash(content).to_hex().as_str());
    assert_eq!(number("size"), content.len() as u64);
    assert_eq!(number("verified"), content.len() as u64);
    assert_eq!(number("sent") + number("resumed_at"), content.len() as u64);
    assert_eq!(number("received"), number("sent"));
    assert!(line["seconds"].as_f64().unwrap() > 0.0 && line["bytes_per_second"].is_u64());
    (number("resumed_at"), number("received"))
}

#[tokio::test]
async fn after_ctrl_c_the_same_command_goes_on() {
    let (server, content) = server(1).await;
    let home = Home::new();
    let (length, said) = interrupted(&home, &server).await;
    let share = length * 100 / SIZE as u64;
    let hint = "error: interrupted\nhint: the same command, or quiver resume, continues at ";
    let (_, told) = said.split_once(hint).unwrap_or_else(|| panic!("{said}"));
    let told: u64 = told.strip_suffix(" %").unwrap().parse().unwrap();
    // What was being written just then is not counted.
    assert!((share.saturating_sub(5)..=share).contains(&told), "{told} where {share} are here");
    assert_eq!(home.journal().len(), 1);

    let finished = get(&home, &server, &[]).await;
    assert_eq!(arrived(&home, &finished, &content).0, length);
    assert!(finished.stderr.starts_with(&format!("big: resuming at {share} %\n")));
    assert_eq!(home.names(), ["big"]);
    assert!(home.journal().is_empty());
    server.log().wait_for("delivered big (16777216 bytes) to Client").await;
}

#[tokio::test]
async fn a_source_that_changed_meanwhile_starts_over_and_one_that_grew_goes_on() {
    let (server, content) = server(2).await;
    let other = Random::new(22).bytes(SIZE);
    let rewritten = [&[!content[0]], &content[1..]].concat();
    let grown = [&content[..], b"and more"].concat();
    for (what, now, goes_on) in [
        ("replaced", &other[..], false),
        ("truncated", &content[..MIB], false),
        ("emptied", &[], false),
        ("rewritten", &rewritten, false),
        ("grown", &grown, true),
        ("the same", &content, true),
    ] {
        server.add_file("big", &content);
        let home = Home::new();
        let (length, _) = interrupted(&home, &server).await;
        // Under another file, as who writes it does, or into it.
        if what == "replaced" {
            fs::rename(server.add_file("new", now), server.files().join("big")).unwrap();
        } else {
            fs::write(server.files().join("big"), now).unwrap();
        }
        let finished = get(&home, &server, &[]).await;
        let (resumed_at, _) = arrived(&home, &finished, now);
        assert_eq!(resumed_at, if goes_on { length } else { 0 }, "{what}");
        let said = finished.stderr.contains("big changed on the server: starting over\n");
        assert_eq!(said, !goes_on, "{what}: {}", finished.stderr);
        assert_eq!(home.names(), ["big"], "{what}");
    }
}

#[tokio::test]
async fn a_part_that_somebody_wrote_to_is_not_believed() {
    let (server, content) = server(3).await;
    let home = Home::new();
    let (length, _) = interrupted(&home, &server).await;
    let part = home.partial_files().remove(0);
    let good = fs::read(&part).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let longer = [&content[..], b"x"].concat();
    for (what, bytes, expected) in [
        ("a bit flipped", &flipped, 0),
        ("more than the file", &longer, 0),
        ("whole, but for its name", &content, SIZE as u64),
        ("shortened", &good[..MIB].to_vec(), MIB as u64),
        ("as it was", &good, length),
    ] {
        fs::write(&part, bytes).unwrap();
        let finished = get(&home, &server, &[]).await;
        assert_eq!(arrived(&home, &finished, &content).0, expected, "{what}");
        assert_eq!(home.names(), ["big"], "{what}");
        fs::remove_file(home.file("big")).unwrap();
    }
}

#[tokio::test]
async fn what_is_not_ones_own_part_is_neither_read_nor_written() {
    let (server, content) = server(4).await;
    let home = Home::new();
    interrupted(&home, &server).await;
    let part = home.partial_files().remove(0);
    let precious = home.root().join("precious");
    fs::write(&precious, "mine").unwrap();
    for what in ["a link", "a second name", "a folder"] {
        match what {
            "a link" => {
                fs::remove_file(&part).unwrap();
                symlink(&precious, &part).unwrap();
            }
            "a second name" => {
                fs::remove_file(&part).unwrap();
                fs::hard_link(&precious, &part).unwrap();
            }
            _ => {
                fs::remove_file(&part).unwrap();
                fs::create_dir(&part).unwrap();
            }
        }
        let finished = get(&home, &server, &[]).await;
        assert_eq!(arrived(&home, &finished, &content).0, 0, "{what}");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "mine", "{what}");
        assert_eq!(home.names().len(), 2, "{what}: {:?}", home.names());
        fs::remove_file(home.file("big")).unwrap();
    }
}

#[tokio::test]
async fn a_part_that_a_running_get_holds_is_left_to_it() {
    let (server, content) = server(5).await;
    let home = Home::new();
    let path = UdpRelay::start(server.address()).await;
    path.limit_rate(4 * MIB as u64);
    let quiver = home.quiver(["--name", "Ron", "get", "big"]);
    let mut first = quiver.server(path.address(), &server.certificate()).start();
    wait_until("some of the content", || home.partial_length() > MIB as u64).await;
    let list = home.quiver(["transfers"]).run().await;
    assert!(list.expect(0).stdout.ends_with(", running\n"), "{}", list.stdout);
    let clean = home.quiver(["transfers", "--clean"]).run().await;
    assert_eq!(clean.expect(0).stderr, "big is running: nothing was removed\n");
    let resume = home.quiver_as(&server, "Ron", ["resume"]).run().await;
    assert_eq!(resume.expect(0).stderr, "big is running in another process\n");

    // It has a part of its own, and is first.
    let second = get(&home, &server, &[]).await;
    assert_eq!(arrived(&home, &second, &content).0, 0);
    path.limit_rate(0);
    // What stands there now is what it was to fetch.
    assert_eq!(first.wait_for_exit(TIMEOUT).await.code(), Some(0), "{:?}", first.stderr.lines());
    assert!(fs::read(home.file("big")).unwrap() == content);
    assert_eq!(home.names(), ["big"]);
    assert!(home.journal().is_empty());
}

#[tokio::test]
async fn no_resume_starts_over() {
    let (server, content) = server(6).await;
    let home = Home::new();
    interrupted(&home, &server).await;
    let finished = get(&home, &server, &["--no-resume"]).await;
    assert_eq!(arrived(&home, &finished, &content), (0, SIZE as u64));
    assert_eq!(home.names(), ["big"]);
    assert!(home.journal().is_empty());
}

#[tokio::test]
async fn the_part_belongs_to_one_path_one_place_and_one_server() {
    let (server, content) = server(7).await;
    let other = Server::start().await;
    other.add_file("big", &content);
    server.add_file("notes/big", &content);
    let home = Home::new();
    let (length, _) = interrupted(&home, &server).await;
    fs::create_dir(home.file("there")).unwrap();
    symlink(".", home.file("same")).unwrap();
    // From elsewhere, from another server, to elsewhere: from the beginning.
    for (server, arguments) in [
        (&server, ["notes/big", "-o", "."]),
        (&other, ["big", "-o", "."]),
        (&server, ["big", "-o", "there"]),
    ] {
        let finished =
            home.quiver_as(server, "Ron", ["get", "--json"]).arguments(arguments).run().await;
        let line: Value = serde_json::from_str(&finished.expect(0).stdout).unwrap();
        assert_eq!(line["resumed_at"], 0, "{arguments:?}");
        let _ = fs::remove_file(home.file("big"));
    }
    assert_eq!(names(&home.file("there")), ["big"]);
    // The same place by another way.
    let finished = get(&home, &server, &["-o", "same"]).await;
    assert_eq!(arrived(&home, &finished, &content).0, length);
}

#[tokio::test]
async fn what_stands_at_the_target_meanwhile_stays_and_so_does_the_part() {
    let (server, content) = server(8).await;
    let home = Home::new();
    let (length, _) = interrupted(&home, &server).await;
    let elsewhere = home.root().join("elsewhere");
    fs::write(&elsewhere, "mine").unwrap();
    symlink(&elsewhere, home.file("big")).unwrap();
    get(&home, &server, &[]).await.expect(8);
    home.quiver_as(&server, "Ron", ["resume"]).run().await.expect(8);
    assert_eq!(home.partial_length(), length);
    let finished = get(&home, &server, &["--overwrite"]).await;
    assert_eq!(arrived(&home, &finished, &content).0, length);
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
    assert!(fs::symlink_metadata(home.file("big")).unwrap().is_file());
}
