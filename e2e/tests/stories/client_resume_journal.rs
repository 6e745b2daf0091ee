//! `quiver transfers` and `quiver resume`: they find all unfinished transfers, and nothing else.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;

use quiver_e2e::process::Signal;
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use quiver_protocol::units;
use serde_json::Value;

const MIB: usize = 1024 * 1024;
const SIZE: usize = 16 * MIB;

/// Starts to get a file into a folder, and kills the client in the middle. Returns the file's content.
async fn kill_get(home: &Home, server: &Server, name: &str, folder: &str) -> Vec<u8> {
    let content = Random::new(name.len() as u64).bytes(SIZE);
    server.add_file(name, &content);
    fs::create_dir_all(home.file(folder)).unwrap();
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(16 * MIB as u64);
    let partial_files = || {
        let names = quiver_e2e::quiver::names(&home.file(folder));
        let names = names.into_iter().filter(|name| name.starts_with(".quiver-"));
        names.map(|name| home.file(folder).join(name)).collect::<Vec<_>>()
    };
    let before = partial_files();
    let quiver = home.quiver(["--name", "Ron", "get", name, "-o", folder]);
    let mut process = quiver.server(relay.address(), &server.certificate()).start();
    wait_until("some of the content", || {
        partial_files().iter().any(|file| {
            let metadata = fs::metadata(file);
            !before.contains(file) && metadata.is_ok_and(|metadata| metadata.len() > MIB as u64)
        })
    })
    .await;
    process.signal(Signal::KILL);
    process.wait_for_exit(TIMEOUT).await;
    content
}

/// The objects of JSON output, one a line.
fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The option with the server's own address, because the journal has the address of the relay.
fn server_arguments(server: &Server) -> [String; 2] {
    ["--server".to_owned(), server.address().to_string()]
}

#[tokio::test]
async fn transfers_lists_unfinished_transfers_and_resume_finishes_them() {
    let server = Server::start().await;
    let home = Home::new();
    let none = home.quiver(["transfers"]).run().await;
    assert_eq!(
        (none.expect(0).stdout.as_str(), none.stderr.as_str()),
        ("", "no running or unfinished transfers\n")
    );
    let none = home.quiver(["resume"]).run().await;
    assert_eq!(none.expect(0).stderr, "no unfinished transfers\n");

    let one = kill_get(&home, &server, "one", ".").await;
    let other = kill_get(&home, &server, "notes/file", "other").await;
    let list = home.quiver(["transfers", "--json"]).run().await;
    let listed = json_lines(&list.expect(0).stdout);
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["path"], "one");
    assert_eq!(listed[0]["direction"], "get");
    assert_eq!(listed[0]["size"], SIZE);
    assert_eq!(listed[0]["stored"], home.partial_length());
    assert_eq!(listed[0]["running"], false);
    let local = home.folder().canonicalize().unwrap().join("other/file");
    assert_eq!(listed[1]["local"], local.to_str().unwrap());
    let list = home.quiver(["transfers"]).run().await;
    let share = home.partial_length() * 100 / SIZE as u64;
    let row = format!("  {share} % of {}  started 2", units::bytes(SIZE as u64));
    assert!(list.expect(0).stdout.contains(&row));

    let missing = home.quiver(["resume", "two"]).run().await;
    assert!(
        missing.expect(2).stderr.starts_with("error: there is no unfinished transfer of two\n")
    );
    // One transfer by its local path, the other from another current folder.
    let resumed = home
        .quiver(["resume", "other/file", "--json"])
        .arguments(server_arguments(&server))
        .run()
        .await;
    let resumed = json_lines(&resumed.expect(0).stdout);
    assert_eq!(resumed.len(), 1);
    assert!(resumed[0]["resumed_at"].as_u64().unwrap() > 0);
    assert!(fs::read(home.file("other/file")).unwrap() == other);
    let resumed = home
        .quiver(["resume"])
        .in_folder(home.root())
        .arguments(server_arguments(&server))
        .run()
        .await;
    assert!(resumed.expect(0).stderr.contains("one: resuming at "), "{}", resumed.stderr);
    assert!(fs::read(home.file("one")).unwrap() == one);
    assert_eq!(home.names(), ["one", "other"]);
    assert!(home.journal().is_empty());
}

#[tokio::test]
async fn resume_continues_transfers_of_several_servers() {
    let servers = [Server::start().await, Server::start().await];
    let home = Home::new();
    kill_get(&home, &servers[0], "one", ".").await;
    kill_get(&home, &servers[1], "three", "other").await;
    // The relays of the first attempts have stopped: the entries get the addresses of the servers.
    for file in home.journal() {
        let mut entry: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let server = &servers[usize::from(entry["path"] == "three")];
        entry["server"] = server.address().to_string().into();
        fs::write(&file, entry.to_string()).unwrap();
    }
    // Resume refuses to get one server's file from the other.
    let wrong = home.quiver(["resume", "three"]).arguments(server_arguments(&servers[0]));
    let wrong =
        wrong.arguments([std::ffi::OsStr::new("--cert"), servers[0].certificate().as_os_str()]);
    let wrong = wrong.run().await;
    assert!(
        wrong.expect(2).stderr.contains("three is a file of a server other than"),
        "{}",
        wrong.stderr
    );

    let resumed = home.quiver(["resume", "--json"]).run().await;
    let resumed = json_lines(&resumed.expect(0).stdout);
    assert_eq!(resumed.len(), 2);
    assert!(resumed.iter().all(|row| row["resumed_at"].as_u64().unwrap() > 0), "{resumed:?}");
    assert!(home.file("one").exists() && home.file("other/three").exists());
}

#[tokio::test]
async fn clean_removes_partial_files_and_their_entries_only() {
    let server = Server::start().await;
    let home = Home::new();
    kill_get(&home, &server, "one", ".").await;
    kill_get(&home, &server, "three", "other").await;
    fs::write(home.file("mine"), "mine").unwrap();
    fs::write(home.file(".quiver-0123456789abcdef.part"), "another program's").unwrap();
    // One invalid entry names another file of the user, the other is truncated.
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
        let output = home.quiver(arguments).run().await;
        for file in [&foreign_file, &corrupt] {
            let what = format!("error: {} is not a valid journal entry: ", file.display());
            assert!(output.expect(0).stderr.contains(&what), "{}", output.stderr);
        }
    }
    assert_eq!(home.names(), [".quiver-0123456789abcdef.part", "mine", "other"]);
    assert!(quiver_e2e::quiver::names(&home.file("other")).is_empty());
    assert_eq!(home.journal(), [foreign_file, corrupt]);
}

#[tokio::test]
async fn resume_reports_a_transfer_without_its_folder_and_continues_the_others() {
    let server = Server::start().await;
    let home = Home::new();
    kill_get(&home, &server, "one", ".").await;
    kill_get(&home, &server, "three", "other").await;
    fs::remove_dir_all(home.file("other")).unwrap();
    let resumed = home.quiver(["resume"]).arguments(server_arguments(&server)).run().await;
    let stderr = &resumed.expect(10).stderr;
    assert!(stderr.contains("other: No such file or directory"), "{stderr}");
    assert!(stderr.ends_with("error: 1 of 2 transfers did not finish\n"), "{stderr}");
    assert!(home.file("one").exists());
    home.quiver(["transfers", "--clean"]).run().await.expect(0);
    assert!(home.journal().is_empty());
}
