//! An account on two machines: its second key is a question at a terminal, and is refused elsewhere.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use quiver_e2e::quiver::QuiverCommand;
use quiver_e2e::{Home, PeerProgram, Server, TIMEOUT, wait_within};

/// A server with the accounts of Ben and Ron.
async fn server() -> Server {
    Server::options().account("Ben", "one").account("Ron", "two").start().await
}

/// `quiver` of an account.
fn quiver(home: &Home, server: &Server, name: &str, arguments: &[&str]) -> QuiverCommand {
    let file = home.root().join("password");
    fs::write(&file, if name == "Ben" { "one\n" } else { "two\n" }).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    home.quiver_as(server, name, arguments)
        .arguments(["--password-file".as_ref(), file.as_os_str()])
}

/// Starts `receive` on a machine of Ron.
async fn receive(home: &Home, server: &Server) -> PeerProgram {
    let program = PeerProgram::start(&quiver(home, server, "Ron", &["receive", "--json"]));
    program.wait_until_listening().await;
    program
}

#[tokio::test]
async fn another_machine_of_the_recipient_is_confirmed_once_at_a_terminal() {
    let server = server().await;
    let [ben_home, laptop, phone] = [(); 3].map(|()| Home::new());
    let tell = ["tell", "Ron", "Hello"];
    let mut at_laptop = receive(&laptop, &server).await;
    quiver(&ben_home, &server, "Ben", &tell).run().await.expect(0);
    at_laptop.next_event("message").await;
    // The newest machine that listens is asked.
    let mut at_phone = receive(&phone, &server).await;
    let refused = quiver(&ben_home, &server, "Ben", &tell).run().await;
    refused.expect(4);
    let keys = [laptop.client_fingerprint(), phone.client_fingerprint()];
    assert!(keys.iter().all(|key| refused.stderr.contains(key)), "{}", refused.stderr);
    for (answer, code) in [("n", 4), ("y", 0)] {
        let mut terminal = quiver(&ben_home, &server, "Ben", &tell).start_at_terminal();
        terminal.wait_for_end("Is it another machine of Ron? [y/N]");
        let screen = terminal.contents();
        assert!(keys.iter().all(|key| screen.contains(key)), "{screen}");
        terminal.type_line(answer);
        assert_eq!(terminal.wait_for_exit().exit_code(), code, "{}", terminal.contents());
    }
    at_phone.next_event("message").await;
    assert_eq!(at_phone.events_called("message").len(), 1);
    // From now on, both are known.
    quiver(&ben_home, &server, "Ben", &tell).run().await.expect(0);
    at_phone.next_event("message").await;
    at_phone.interrupt().await;
    let reaches = async {
        while at_laptop.events_called("message").len() < 2 {
            let told = quiver(&ben_home, &server, "Ben", &tell).run().await;
            told.expect(0);
        }
    };
    wait_within(TIMEOUT, "a message at the laptop", reaches).await;
}

#[tokio::test]
async fn another_machine_of_the_sender_is_refused_without_a_terminal_and_asked_about_at_one() {
    let server = server().await;
    let [ron_home, laptop, phone] = [(); 3].map(|()| Home::new());
    let mut ron = receive(&ron_home, &server).await;
    let tell = ["tell", "Ron", "Hello"];
    quiver(&laptop, &server, "Ben", &tell).run().await.expect(0);
    ron.next_event("message").await;
    quiver(&phone, &server, "Ben", &tell).run().await.expect(3);
    let refused = ron.next_event("key_refused").await;
    assert_eq!(refused["presented"], phone.client_fingerprint());
    assert_eq!(refused["known"][0], laptop.client_fingerprint());
    // At the prompt, the newest that listens, a person is asked once.
    let mut prompt = quiver(&ron_home, &server, "Ron", &[]).start_at_terminal();
    prompt.wait_for_end("\nRon:");
    let mut told = quiver(&phone, &server, "Ben", &tell).start();
    prompt.wait_for("Ben connects with a key that is not known yet. Press Enter to answer.");
    prompt.type_line("");
    prompt.wait_for_end("Is it another machine of Ben? [y/N]");
    prompt.type_line("y");
    prompt.wait_for("[Ben] Hello");
    let status = told.wait_for_exit(TIMEOUT).await;
    assert_eq!(status.code(), Some(0), "{:?}", told.stderr.lines());
    for home in [&laptop, &phone] {
        let before = prompt.contents().matches("[Ben] Hello").count();
        quiver(home, &server, "Ben", &tell).run().await.expect(0);
        prompt
            .wait_until("another message", |screen| screen.matches("[Ben] Hello").count() > before);
    }
    assert_eq!(prompt.contents().matches("not known yet. Press Enter").count(), 1);
}

#[tokio::test]
async fn an_offer_to_one_machine_waits_for_it_while_another_one_is_connected() {
    let server = server().await;
    let [ben_home, laptop, phone] = [(); 3].map(|()| Home::new());
    fs::write(ben_home.file("a.txt"), "Hello").unwrap();
    let tell = ["tell", "Ron", "Hello"];
    let at_laptop = receive(&laptop, &server).await;
    quiver(&ben_home, &server, "Ben", &tell).run().await.expect(0);
    let _at_phone = receive(&phone, &server).await;
    let mut terminal = quiver(&ben_home, &server, "Ben", &tell).start_at_terminal();
    terminal.wait_for_end("Is it another machine of Ron? [y/N]");
    terminal.type_line("y");
    assert_eq!(terminal.wait_for_exit().exit_code(), 0, "{}", terminal.contents());
    // The newest machine that listens is offered the file, and leaves without an answer.
    at_laptop.interrupt().await;
    let mut at_laptop = receive(&laptop, &server).await;
    let send = quiver(&ben_home, &server, "Ben", &["send", "Ron", "a.txt", "--json"]);
    let mut ben = PeerProgram::start(&send);
    at_laptop.next_event("offer").await;
    ben.next_event("pending").await;
    at_laptop.interrupt().await;
    let waiting = ben.next_event("waiting").await;
    assert!(waiting["why"].as_str().unwrap().contains("another machine"), "{waiting}");
    let mut at_laptop = receive(&laptop, &server).await;
    at_laptop.next_event("offer").await;
    quiver(&laptop, &server, "Ron", &["accept", "1"]).run().await.expect(0);
    ben.expect_exit(0).await;
    assert_eq!(fs::read_to_string(laptop.file("a.txt")).unwrap(), "Hello");
    assert_eq!(phone.names(), [""; 0]);
}
