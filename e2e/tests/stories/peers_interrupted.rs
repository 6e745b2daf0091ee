//! Offers whose sender or recipient is killed, whose files have grown, and that do not fit: resumed, asked about, or
//! reported to the sender, and never half under a final name.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;

use quiver_e2e::deadline::wait_until;
use quiver_e2e::disk::SmallDisk;
use quiver_e2e::process::{Process, Signal};
use quiver_e2e::quiver::{QuiverCommand, finish};
use quiver_e2e::random::Random;
use quiver_e2e::server::small_disks_available;
use quiver_e2e::{Home, PeerProgram, Server, TIMEOUT};

const MIB: usize = 1024 * 1024;

/// More than is transferred between two looks at the partial file.
const SIZE: usize = 96 * MIB;

/// The least content at the recipient before a kill, and the most that a kill may cost.
const BEFORE_KILL: u64 = 8 * 1024 * 1024;
const LOST: u64 = 16 * 1024 * 1024;

/// Ben, who offers `big`, and Ron, who is asked.
struct BigOffer {
    server: Server,
    ben_home: Home,
    ron_home: Home,
    content: Vec<u8>,
    ben: PeerProgram,
    receive: PeerProgram,
}

impl BigOffer {
    async fn start() -> Self {
        let server = Server::start().await;
        let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
        let content = Random::new(7).bytes(SIZE);
        fs::write(ben_home.file("big"), &content).unwrap();
        let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
        let command = ben_home.quiver_as(&server, "Ben", ["send", "Ron", "big", "--json"]);
        let ben = PeerProgram::start(&command);
        receive.next_event("offer").await;
        Self { server, ben_home, ron_home, content, ben, receive }
    }

    fn accept(&self) -> QuiverCommand {
        self.ron_home.quiver_as(&self.server, "Ron", ["accept", "1", "--json"])
    }

    async fn wait_for_half(&self) -> u64 {
        wait_until("a part of the file", || self.ron_home.partial_length() >= BEFORE_KILL).await;
        self.ron_home.partial_length()
    }

    fn assert_complete(&self) {
        assert_eq!(self.ron_home.names(), ["big"]);
        assert!(fs::read(self.ron_home.file("big")).unwrap() == self.content, "another content");
    }
}

/// Takes as long as the recipient needs to notice that the killed sender is gone.
#[tokio::test]
async fn a_transfer_whose_sender_is_killed_continues_with_its_next_process() {
    let mut test = BigOffer::start().await;
    let mut accept = PeerProgram::start(&test.accept());
    test.wait_for_half().await;
    test.ben.process.signal(Signal::KILL);
    test.ben.process.wait_for_exit(TIMEOUT).await;
    assert_eq!(test.ron_home.partial_files().len(), 1, "the transfer was over too early");
    // Not `send`, but any process that listens.
    let mut ben = PeerProgram::receive(&test.server, &test.ben_home, "Ben", &[]).await;
    accept.expect_exit(0).await;
    let file = accept.next_event("file").await;
    assert!(file["resumed_at"].as_u64().unwrap() > 0, "{file}");
    let received = file["received"].as_u64().unwrap();
    assert!(received < SIZE as u64 + LOST, "{received} bytes were received");
    test.assert_complete();
    assert_eq!(ben.next_event("ended").await["state"], "stored");
}

#[tokio::test]
async fn a_transfer_whose_recipient_is_killed_is_continued_by_the_process_that_listens() {
    let mut test = BigOffer::start().await;
    let mut accept = test.accept().start();
    let stored = test.wait_for_half().await;
    accept.signal(Signal::KILL);
    accept.wait_for_exit(TIMEOUT).await;
    assert_eq!(test.ron_home.partial_files().len(), 1, "the transfer was over too early");
    test.ben.expect_exit(0).await;
    let notice = test.receive.wait_for_text("big: resuming at ").await;
    assert!(stored > 0 && !notice.contains("resuming at 0 "), "{notice}");
    test.assert_complete();
}

#[tokio::test]
async fn a_transfer_whose_recipient_is_killed_altogether_is_continued_after_its_restart() {
    let mut test = BigOffer::start().await;
    let mut accept = test.accept().start();
    test.wait_for_half().await;
    for process in [&mut accept, &mut test.receive.process] {
        process.signal(Signal::KILL);
        process.wait_for_exit(TIMEOUT).await;
    }
    assert_eq!(test.ron_home.partial_files().len(), 1, "the transfer was over too early");
    let receive = PeerProgram::receive(&test.server, &test.ron_home, "Ron", &[]).await;
    test.ben.expect_exit(0).await;
    receive.wait_for_text("big: resuming at ").await;
    test.assert_complete();
}

/// Ben offers a folder, which then grows. Returns Ben's process and a command that accepts the offer.
async fn offer_and_grow(
    server: &Server,
    ben_home: &Home,
    ron_home: &Home,
) -> (PeerProgram, QuiverCommand) {
    fs::create_dir(ben_home.file("notes")).unwrap();
    fs::write(ben_home.file("notes/a.txt"), "Hello").unwrap();
    let mut receive = PeerProgram::receive(server, ron_home, "Ron", &[]).await;
    let command = ben_home.quiver_as(server, "Ben", ["send", "Ron", "notes", "--json"]);
    let mut ben = PeerProgram::start(&command);
    receive.next_event("offer").await;
    ben.next_event("pending").await;
    fs::write(ben_home.file("notes/b.txt"), "More").unwrap();
    receive.interrupt().await;
    (ben, ron_home.quiver_as(server, "Ron", ["accept", "1"]))
}

#[tokio::test]
async fn a_folder_that_has_grown_is_refused_without_a_person_and_asked_about_at_a_terminal() {
    let server = Server::start().await;
    let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
    let (mut ben, accept) = offer_and_grow(&server, &ben_home, &ron_home).await;
    let refused = accept.run().await;
    refused.expect(1);
    assert!(refused.stderr.contains("Ben sends more than it has offered"), "{}", refused.stderr);
    assert_eq!(ron_home.names(), [""; 0]);
    // The sender learns it, and any later process of Ben serves the offer.
    ben.expect_exit(1).await;
    ben.wait_for_text("there is more than was offered").await;
    let mut ben = PeerProgram::receive(&server, &ben_home, "Ben", &[]).await;
    let mut terminal = accept.start_at_terminal();
    terminal.wait_for("Ben has offered 5 B, and now sends 9 B. Continue? [y/N]");
    terminal.type_line("y");
    assert_eq!(terminal.wait_for_exit().exit_code(), 0, "{}", terminal.contents());
    assert_eq!(fs::read_to_string(ron_home.file("notes/b.txt")).unwrap(), "More");
    assert_eq!(ben.next_event("ended").await["state"], "stored");
}

#[tokio::test]
async fn files_that_are_gone_since_the_offer_are_missed_at_both_sides() {
    let server = Server::start().await;
    let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
    fs::create_dir(ben_home.file("notes")).unwrap();
    for name in ["notes/a.txt", "notes/b.txt"] {
        fs::write(ben_home.file(name), "Hello").unwrap();
    }
    let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let send = ben_home.quiver_as(&server, "Ben", ["send", "Ron", "notes"]);
    let mut ben = PeerProgram::start(&send);
    receive.next_event("offer").await;
    receive.interrupt().await;
    fs::remove_file(ben_home.file("notes/b.txt")).unwrap();
    let accept = ron_home.quiver_as(&server, "Ron", ["accept", "1"]);
    let partial = accept.run().await;
    let error = "error: Ben lists 1 of the 2 offered files";
    assert!(partial.expect(10).stderr.contains(error), "{}", partial.stderr);
    ben.expect_exit(1).await;
    ben.wait_for_text("Ron could not store the files: some files were not received").await;
    assert_eq!(quiver_e2e::quiver::names(&ron_home.file("notes")), ["a.txt"]);

    // None is left.
    let ben = PeerProgram::receive(&server, &ben_home, "Ben", &[]).await;
    fs::remove_dir_all(ben_home.file("notes")).unwrap();
    let gone = accept.run().await;
    let error = "error: cannot list the files of Ben: the offered files are gone\n";
    assert!(gone.expect(7).stderr.contains(error), "{}", gone.stderr);
    ben.interrupt().await;

    // The offer is still accepted, and is completed once they are back.
    fs::create_dir(ben_home.file("notes")).unwrap();
    for name in ["notes/a.txt", "notes/b.txt"] {
        fs::write(ben_home.file(name), "Hello").unwrap();
    }
    let mut ben = PeerProgram::receive(&server, &ben_home, "Ben", &[]).await;
    accept.run().await.expect(0);
    assert_eq!(quiver_e2e::quiver::names(&ron_home.file("notes")), ["a.txt", "b.txt"]);
    assert_eq!(ben.next_event("ended").await["state"], "stored");
}

#[tokio::test]
async fn a_full_disk_is_reported_to_the_sender_and_nothing_has_a_final_name() {
    if !small_disks_available() {
        return;
    }
    let BigOffer { server, ben_home: _ben_home, ron_home, mut ben, receive, .. } =
        BigOffer::start().await;
    // It would fetch the files outside of the small disk.
    receive.interrupt().await;
    let inbox = ron_home.file("in");
    fs::create_dir(&inbox).unwrap();
    let disk = SmallDisk::mount(&inbox, "4m");
    let accept = ron_home.quiver_as(&server, "Ron", ["accept", "1", "in"]);
    let mut command = disk.command_inside(&accept.command());
    let failed = finish(Process::start(&mut command)).await;
    assert_eq!(failed.code(), 8, "{failed:?} {:?} {:?}", ben.events(), ben.process.stderr.lines());
    ben.expect_exit(1).await;
    ben.wait_for_text("Ron could not store the files").await;
    let names = quiver_e2e::quiver::names(&disk.folder());
    assert!(names.iter().all(|name| name.starts_with(".quiver-")), "{names:?}");
}
