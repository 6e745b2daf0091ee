//! Offers are stored whole or not reported as stored: files that are gone or cannot be read, recipients that store less
//! than was offered, and files that a recipient has already.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use quiver_e2e::process::Process;
use quiver_e2e::quiver::finish;
use quiver_e2e::{Home, PeerProgram, RawPeer, Server};
use serde_json::json;

/// Ben, who offers `notes` with four files of three bytes each, and Ron, who has it offered.
struct Notes {
    server: Server,
    ben_home: Home,
    ron_home: Home,
    ben: PeerProgram,
}

impl Notes {
    async fn start() -> Self {
        let server = Server::start().await;
        let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
        let notes = ben_home.file("notes");
        fs::create_dir(&notes).unwrap();
        for name in ["a", "b", "c", "d"] {
            fs::write(notes.join(name), "123").unwrap();
        }
        let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
        let command = ben_home.quiver_as(&server, "Ben", ["send", "Ron", "notes", "--json"]);
        let ben = PeerProgram::start(&command);
        receive.next_event("offer").await;
        receive.interrupt().await;
        Self { server, ben_home, ron_home, ben }
    }

    fn accept(&self, arguments: &[&str]) -> PeerProgram {
        let command = self.ron_home.quiver_as(&self.server, "Ron", ["accept", "1", "--json"]);
        PeerProgram::start(&command.arguments(arguments))
    }
}

#[tokio::test]
async fn an_offer_whose_files_are_gone_is_reported_as_stored_by_nobody() {
    let mut test = Notes::start().await;
    fs::remove_dir_all(test.ben_home.file("notes")).unwrap();
    let mut accept = test.accept(&[]);
    accept.expect_exit(10).await;
    accept.wait_for_text("Ben lists 0 of the 4 offered files").await;
    assert_eq!(accept.events_called("stored"), [json!(null); 0]);
    assert_eq!(test.ron_home.names(), [""; 0]);
    test.ben.expect_exit(1).await;
    test.ben.wait_for_text("could not store the files: there is less than was offered").await;
    assert_eq!(test.ben.events_called("stored"), [json!(null); 0]);
    // It stays accepted, should the files come back.
    let offers = test.ron_home.quiver(["offers", "--json"]).run().await;
    assert!(offers.expect(0).stdout.contains("accepted"), "{}", offers.stdout);
}

#[tokio::test]
async fn the_files_of_an_offer_that_are_left_are_stored_and_both_sides_learn_that_one_is_missing() {
    let mut test = Notes::start().await;
    fs::remove_file(test.ben_home.file("notes/c")).unwrap();
    let mut accept = test.accept(&[]);
    accept.expect_exit(10).await;
    accept.wait_for_text("Ben lists 3 of the 4 offered files").await;
    accept.wait_for_text("1 of 4 files").await;
    test.ben.expect_exit(1).await;
    test.ben.wait_for_text("could not store the files: some files were not received").await;
    let stored = quiver_e2e::quiver::names(&test.ron_home.file("notes"));
    assert_eq!(stored, ["a", "b", "d"]);
    for program in [&test.ben, &accept] {
        assert_eq!(program.events_called("stored"), [json!(null); 0]);
    }
}

#[tokio::test]
async fn a_recipient_that_skips_a_file_has_not_stored_the_offer() {
    let mut test = Notes::start().await;
    fs::create_dir(test.ron_home.file("notes")).unwrap();
    fs::write(test.ron_home.file("notes/b"), "another").unwrap();
    let mut accept = test.accept(&["--skip"]);
    accept.expect_exit(0).await;
    let stored = accept.next_event("stored").await;
    assert_eq!((&stored["files"], &stored["bytes"]), (&json!(3), &json!(9)), "{stored}");
    test.ben.expect_exit(1).await;
    test.ben.wait_for_text("offer 1 has failed: Ron has stored 3 of 4 files").await;
    let offers = test.ben_home.quiver(["offers", "--all"]).run().await;
    let failed = "failed: Ron has stored 3 of 4 files";
    assert!(offers.expect(0).stdout.contains(failed), "{}", offers.stdout);
}

#[tokio::test]
async fn both_sides_report_what_the_recipient_has() {
    let mut test = Notes::start().await;
    // One is there already, and one has another size than when it was offered.
    fs::create_dir(test.ron_home.file("notes")).unwrap();
    fs::write(test.ron_home.file("notes/b"), "123").unwrap();
    fs::write(test.ben_home.file("notes/c"), "1").unwrap();
    let mut accept = test.accept(&[]);
    accept.expect_exit(0).await;
    test.ben.expect_exit(0).await;
    for program in [&mut test.ben, &mut accept] {
        let stored = program.next_event("stored").await;
        assert_eq!((&stored["files"], &stored["bytes"]), (&json!(4), &json!(10)), "{stored}");
    }
}

#[tokio::test]
async fn a_recipient_that_confirms_fewer_files_has_not_stored_the_offer() {
    let server = Server::start().await;
    let home = Home::new();
    fs::write(home.file("a.txt"), "Hello").unwrap();
    let ron = RawPeer::sign_in(&server, "Ron").await;
    let mut listening = ron.client.listen().await;
    let command = home.quiver_as(&server, "Ben", ["send", "Ron", "a.txt", "--json"]);
    let mut ben = PeerProgram::start(&command);
    let connection = ron.accept(&mut listening).await;
    let (request, mut stream) = connection.next_request().await;
    assert_eq!(request["command"], "offer");
    stream
        .write_frame(&quiver_e2e::wire::RawFrame::json(
            quiver_e2e::wire::kind::EOF,
            &json!({"files": 0, "bytes": 0}),
        ))
        .await
        .unwrap();
    stream.finish();
    ben.expect_exit(1).await;
    ben.wait_for_text("offer 1 has failed: Ron has stored 0 of 1 file").await;
    assert_eq!(ben.events_called("stored"), [json!(null); 0]);
}

#[tokio::test]
async fn a_folder_with_a_file_or_folder_that_cannot_be_read_is_not_offered() {
    let server = Server::start().await;
    let home = Home::new();
    for folder in ["file", "folder", "folder/private"] {
        fs::create_dir(home.file(folder)).unwrap();
        fs::write(home.file(folder).join("a"), "a").unwrap();
    }
    let private = ["file/private", "folder/private"].map(|name| home.file(name));
    fs::write(&private[0], "secret").unwrap();
    for path in &private {
        fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
    }
    for name in ["file", "folder"] {
        let send = home.quiver_as(&server, "Ben", ["send", "Ron", name]);
        let sent = finish(Process::start(&mut send.unprivileged())).await;
        sent.expect(8);
        assert!(sent.stderr.contains("error: cannot read "), "{}", sent.stderr);
        let why = format!("/{name}/private: permission denied");
        assert!(sent.stderr.to_lowercase().contains(&why), "{}", sent.stderr);
    }
    fs::set_permissions(&private[1], Permissions::from_mode(0o700)).unwrap();
}
