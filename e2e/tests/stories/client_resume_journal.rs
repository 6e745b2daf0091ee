//! `quiver transfers` and `quiver resume`: whatever was begun is found again, and nothing else.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;

use quiver_e2e::process::Signal;
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use serde_json::Value;

const MIB: usize = 1024 * 1024;
const SIZE: usize = 16 * MIB;

/// Begins to get a file of the server into a folder, and is killed; the file's content.
async fn killed(home: &Home, server: &Server, name: &str, folder: &str) -> Vec<u8> {
    let content = Random::new(name.len() as u64).bytes(SIZE);
    server.add_file(name, &content);
    fs::create_dir_all(home.file(folder)).unwrap();
    let path = UdpRelay::start(server.address()).await;
    path.limit_rate(16 * MIB as u64);
    let parts = || {
        let parts = quiver_e2e::quiver::names(&home.file(folder));
        let parts = parts.into_iter().filter(|name| name.starts_with(".quiver-"));
        parts.map(|part| home.file(folder).join(part)).collect::<Vec<_>>()
    };
    let before = parts();
    let quiver = home.quiver(["--name", "Ron", "get", name, "-o", folder]);
    let mut process = quiver.server(path.address(), &server.certificate()).start();
    wait_until("some of the content", || {
        parts().iter().any(|part| {
            !before.contains(part) && fs::metadata(part).is_ok_and(|part| part.len() > MIB as u64)
        })
    })
    .await;
    process.signal(Signal::KILL);
    process.wait_for_exit(TIMEOUT).await;
    content
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The journal remembers the path's address; the server itself is asked.
fn at(server: &Server) -> [String; 2] {
    ["--server".to_owned(), server.address().to_string()]
}

#[tokio::test]
async fn what_is_unfinished_is_listed_and_resumed_until_nothing_is() {
    let server = Server::start().await;
    let home = Home::new();
    let none = home.quiver(["transfers"]).run().await;
    assert_eq!(
        (none.expect(0).stdout.as_str(), none.stderr.as_str()),
        ("", "no unfinished transfers\n")
    );
    let none = home.quiver(["resume"]).run().await;
    assert_eq!(none.expect(0).stderr, "no unfinished transfers\n");

    let one = killed(&home, &server, "one", ".").await;
    let other = killed(&home, &server, "notes/other", "there").await;
    let list = home.quiver(["transfers", "--json"]).run().await;
    let listed = rows(&list.expect(0).stdout);
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["path"], "one");
    assert_eq!(listed[0]["direction"], "get");
    assert_eq!(listed[0]["size"], SIZE);
    assert_eq!(listed[0]["here"], home.partial_length());
    assert_eq!(listed[0]["running"], false);
    let local = home.folder().canonicalize().unwrap().join("there/other");
    assert_eq!(listed[1]["local"], local.to_str().unwrap());
    let list = home.quiver(["transfers"]).run().await;
    let share = home.partial_length() * 100 / SIZE as u64;
    assert!(list.expect(0).stdout.contains(&format!(": {share} % of {SIZE} bytes, started 2")));

    let missing = home.quiver(["resume", "two"]).run().await;
    assert!(
        missing.expect(2).stderr.starts_with("error: there is no unfinished transfer of two\n")
    );
    // One of them, wherever one stands and whatever it is called by.
    let resumed =
        home.quiver(["resume", "there/other", "--json"]).arguments(at(&server)).run().await;
    let resumed = rows(&resumed.expect(0).stdout);
    assert_eq!(resumed.len(), 1);
    assert!(resumed[0]["resumed_at"].as_u64().unwrap() > 0);
    assert!(fs::read(home.file("there/other")).unwrap() == other);
    let resumed = home.quiver(["resume"]).in_folder(home.root()).arguments(at(&server)).run().await;
    assert!(resumed.expect(0).stderr.contains("one: resuming at "), "{}", resumed.stderr);
    assert!(fs::read(home.file("one")).unwrap() == one);
    assert_eq!(home.names(), ["one", "there"]);
    assert!(home.journal().is_empty());
}

#[tokio::test]
async fn several_servers_are_asked_one_after_the_other() {
    let servers = [Server::start().await, Server::start().await];
    let home = Home::new();
    killed(&home, &servers[0], "one", ".").await;
    killed(&home, &servers[1], "three", "there").await;
    // The paths of the first attempts are gone: the journal is told where the servers are.
    for file in home.journal() {
        let mut entry: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let server = &servers[usize::from(entry["path"] == "three")];
        entry["server"] = server.address().to_string().into();
        fs::write(&file, entry.to_string()).unwrap();
    }
    // One server is of no use for the other's file.
    let wrong = home.quiver(["resume", "three"]).arguments(at(&servers[0]));
    let wrong =
        wrong.arguments([std::ffi::OsStr::new("--cert"), servers[0].certificate().as_os_str()]);
    let wrong = wrong.run().await;
    assert!(
        wrong.expect(2).stderr.contains("three is a file of a server other than"),
        "{}",
        wrong.stderr
    );

    let resumed = home.quiver(["resume", "--json"]).run().await;
    let resumed = rows(&resumed.expect(0).stdout);
    assert_eq!(resumed.len(), 2);
    assert!(resumed.iter().all(|row| row["resumed_at"].as_u64().unwrap() > 0), "{resumed:?}");
    assert!(home.file("one").exists() && home.file("there/three").exists());
}

#[tokio::test]
async fn clean_removes_parts_and_nothing_else() {
    let server = Server::start().await;
    let home = Home::new();
    killed(&home, &server, "one", ".").await;
    killed(&home, &server, "three", "there").await;
    fs::write(home.file("mine"), "mine").unwrap();
    fs::write(home.file(".quiver-0123456789abcdef.part"), "somebody's").unwrap();
    // An entry that names a file of mine, and one that is not of this journal.
    let entry = home.journal().remove(0);
    let text = fs::read_to_string(&entry).unwrap();
    let mine = home.file("mine").canonicalize().unwrap();
    let mut foreign: Value = serde_json::from_str(&text).unwrap();
    foreign["local"] = mine.to_str().unwrap().into();
    let foreign_file = entry.with_file_name("00000000000000aa.json");
    fs::write(&foreign_file, foreign.to_string()).unwrap();
    let corrupt = entry.with_file_name("00000000000000bb.json");
    fs::write(&corrupt, &text[..20]).unwrap();

    for arguments in [&["transfers"][..], &["transfers", "--clean"]] {
        let finished = home.quiver(arguments).run().await;
        for file in [&foreign_file, &corrupt] {
            let what = format!("error: {} is not a valid journal entry: ", file.display());
            assert!(finished.expect(0).stderr.contains(&what), "{}", finished.stderr);
        }
    }
    assert_eq!(home.names(), [".quiver-0123456789abcdef.part", "mine", "there"]);
    assert!(quiver_e2e::quiver::names(&home.file("there")).is_empty());
    assert_eq!(home.journal(), [foreign_file, corrupt]);
}

#[tokio::test]
async fn a_transfer_whose_folder_is_gone_is_reported_and_the_others_go_on() {
    let server = Server::start().await;
    let home = Home::new();
    killed(&home, &server, "one", ".").await;
    killed(&home, &server, "three", "there").await;
    fs::remove_dir_all(home.file("there")).unwrap();
    let resumed = home.quiver(["resume"]).arguments(at(&server)).run().await;
    let said = &resumed.expect(10).stderr;
    assert!(said.contains("there: No such file or directory"), "{said}");
    assert!(said.ends_with("error: 1 of 2 transfers did not finish\n"), "{said}");
    assert!(home.file("one").exists());
    home.quiver(["transfers", "--clean"]).run().await.expect(0);
    assert!(home.journal().is_empty());
}
