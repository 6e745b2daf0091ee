//! Two people compare the keys of their clients: equal digits at both, and what follows from them.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;

use quiver_e2e::terminal::Terminal;
use quiver_e2e::{Home, PeerProgram, PromptUser, Server};

/// The twelve digits on a screen, after the question that shows them.
fn digits(terminal: &Terminal) -> String {
    let screen = terminal.contents();
    let line = screen.lines().skip_while(|line| !line.contains("Compare these digits")).nth(1);
    let digits = line.unwrap_or_else(|| panic!("no digits: {screen}")).trim().to_owned();
    assert_eq!(digits.len(), 14, "{screen}");
    assert!(digits.bytes().all(|byte| byte == b' ' || byte.is_ascii_digit()), "{screen}");
    digits
}

/// Ben runs `verify` at a terminal, and Ron answers at the prompt. Returns both terminals once both show the digits.
fn start_comparison(server: &Server, homes: &[Home; 2]) -> (Terminal, PromptUser) {
    let mut ron = PromptUser::sign_in(&homes[1], server, "Ron");
    let ben = homes[0].quiver_as(server, "Ben", ["verify", "Ron"]).start_at_terminal();
    ben.wait_for_end("Does Ron see the same digits? [y/N]");
    ron.terminal.wait_for("Ben wants to compare keys. Press Enter to answer.");
    ron.terminal.type_line("");
    ron.terminal.wait_for_end("Does Ben see the same digits? [y/N]");
    assert_eq!(digits(&ben), digits(&ron.terminal));
    (ben, ron)
}

async fn is_verified(home: &Home) -> bool {
    let contacts = home.quiver(["contacts", "--json"]).run().await;
    let row: serde_json::Value = serde_json::from_str(&contacts.expect(0).stdout).unwrap();
    assert_eq!(row["keys"].as_array().unwrap().len(), 1);
    !row["keys"][0]["verified"].is_null()
}

#[tokio::test]
async fn both_people_see_the_same_digits_and_two_times_yes_verifies_both_keys() {
    let server = Server::start().await;
    let homes = [Home::new(), Home::new()];
    let (mut ben, mut ron) = start_comparison(&server, &homes);
    ben.type_line("y");
    ron.terminal.type_line("y");
    assert_eq!(ben.wait_for_exit().exit_code(), 0, "{}", ben.contents());
    assert!(ben.contents().contains("The key of Ron is verified."), "{}", ben.contents());
    ron.terminal.wait_for("The key of Ben is verified.");
    ron.exit();
    assert!(is_verified(&homes[0]).await && is_verified(&homes[1]).await);
}

#[tokio::test]
async fn one_no_verifies_neither_key() {
    let server = Server::start().await;
    for (ben_answer, ron_answer) in [("n", "y"), ("y", "n")] {
        let homes = [Home::new(), Home::new()];
        let (mut ben, mut ron) = start_comparison(&server, &homes);
        ben.type_line(ben_answer);
        ron.terminal.type_line(ron_answer);
        assert_eq!(ben.wait_for_exit().exit_code(), 4, "{}", ben.contents());
        ron.terminal.wait_for("WARNING: the digits differ: someone may be between you and Ben.");
        ron.exit();
        server.log().wait_for("Ron has disconnected").await;
        assert!(!is_verified(&homes[0]).await && !is_verified(&homes[1]).await);
    }
}

#[tokio::test]
async fn offers_are_accepted_without_asking_only_from_a_verified_key() {
    let server = Server::start().await;
    let homes = [Home::new(), Home::new()];
    let receive = ["receive", "--yes", "--from", "Ben", "--once"];
    // Neither of an unknown name, nor of a known key that was not compared.
    for _ in 0..2 {
        let refused = homes[1].quiver_as(&server, "Ron", receive).run().await;
        refused.expect(4);
        assert!(refused.stderr.contains("the key of Ben is not verified"), "{}", refused.stderr);
        let ron = PeerProgram::receive(&server, &homes[1], "Ron", &[]).await;
        homes[0].quiver_as(&server, "Ben", ["tell", "Ron", "Hello"]).run().await.expect(0);
        ron.interrupt().await;
    }
    let (mut ben, mut ron) = start_comparison(&server, &homes);
    ben.type_line("y");
    ron.terminal.type_line("y");
    assert_eq!(ben.wait_for_exit().exit_code(), 0, "{}", ben.contents());
    ron.terminal.wait_for("The key of Ben is verified.");
    ron.exit();
    let mut ron = PeerProgram::start(&homes[1].quiver_as(&server, "Ron", receive));
    ron.wait_for_text("Waiting for offers from Ben").await;
    fs::write(homes[0].file("a.txt"), "Hello").unwrap();
    homes[0].quiver_as(&server, "Ben", ["send", "Ron", "a.txt"]).run().await.expect(0);
    ron.expect_exit(0).await;
    assert_eq!(fs::read_to_string(homes[1].file("a.txt")).unwrap(), "Hello");
}
