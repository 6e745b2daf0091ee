//! Messages and files between clients, with the programs that people use.

use std::fs;

use quiver_e2e::{Home, PromptUser, Server};

#[tokio::test]
async fn a_person_at_the_prompt_gets_messages_and_accepts_an_offer() {
    let server = Server::start().await;
    let homes = [(); 2].map(|()| Home::new());
    let mut ron = PromptUser::sign_in(&homes[0], &server, "Ron");
    fs::write(homes[1].file("a.txt"), "twelve bytes").unwrap();
    fs::create_dir(homes[1].file("photos")).unwrap();
    fs::write(homes[1].file("photos/b"), "b").unwrap();

    let ben = |arguments: &[&str]| homes[1].quiver_as(&server, "Ben", arguments);
    let told = ben(&["tell", "Ron", "hello\x1b[2J"]).run().await;
    assert_eq!(told.expect(0).stderr, "delivered to Ron\n");
    ron.terminal.wait_for("[Ben] hello\\u{1b}[2J");

    let answer = async {
        let offered = "Ben offers 2 files (13 B): a.txt (12 B), photos/ (1 B).";
        ron.terminal.wait_for(&format!("{offered} /accept 1 or /decline 1"));
        // Without a slash it is a message to the server.
        assert_eq!(ron.enter("accept 1"), "Server: accept 1 ACK");
        ron.terminal.type_line("/accept 1");
        ron.terminal.wait_for("2 files received and verified");
    };
    let send = ben(&["send", "Ron", "a.txt", "photos"]);
    let (sent, ()) = tokio::join!(send.run(), answer);
    let stderr = &sent.expect(0).stderr;
    assert!(stderr.starts_with("Offering 2 files (13 B) to Ron.\n"), "{stderr}");
    assert!(stderr.ends_with("Ron has stored 2 files (13 B).\n"), "{stderr}");
    assert_eq!(fs::read_to_string(homes[0].file("a.txt")).unwrap(), "twelve bytes");
    assert_eq!(fs::read_to_string(homes[0].file("photos/b")).unwrap(), "b");
    ron.exit();
}

#[tokio::test]
async fn the_prompt_announces_clients_unless_a_setting_says_no() {
    let server = Server::start().await;
    let homes = [(); 3].map(|()| Home::new());
    fs::create_dir_all(homes[1].config().parent().unwrap()).unwrap();
    fs::write(homes[1].config(), "announce = false\n").unwrap();
    let mut ron = PromptUser::sign_in(&homes[0], &server, "Ron");
    let mut ben = PromptUser::sign_in(&homes[1], &server, "Ben");
    ron.terminal.wait_for("Ben has joined.");
    let mut pete = PromptUser::sign_in(&homes[2], &server, "Pete");
    ron.terminal.wait_for("Pete has joined.");
    pete.exit();
    ron.terminal.wait_for("Pete has left.");
    ben.enter("hello");
    assert!(!ben.terminal.contents().contains("Pete"), "{}", ben.terminal.contents());
    ben.exit();
    ron.exit();
}

#[tokio::test]
async fn an_offer_that_is_declined_or_never_seen_has_its_exit_code() {
    let server = Server::start().await;
    let homes = [(); 2].map(|()| Home::new());
    fs::write(homes[1].file("a.txt"), "a").unwrap();
    let ben = |arguments: &[&str]| homes[1].quiver_as(&server, "Ben", arguments);
    ben(&["send", "Ron", "a.txt"]).run().await.expect(7);
    // The recipient has never seen it, so it is withdrawn.
    assert_eq!(ben(&["offers"]).run().await.expect(0).stderr, "no open offers\n");
    ben(&["tell", "Ron", "hello"]).run().await.expect(7);

    let mut ron = PromptUser::sign_in(&homes[0], &server, "Ron");
    let answer = async {
        ron.terminal.wait_for("/accept 1 or /decline 1");
        // The end of Ben's connection may be told before the next prompt.
        let output = ron.enter("/decline 1");
        assert_eq!(output.lines().next(), Some("Offer 1 from Ben is declined."), "{output}");
    };
    let send = ben(&["send", "Ron", "a.txt", "--json"]);
    let (sent, ()) = tokio::join!(send.run(), answer);
    let events = sent.expect(11).stdout.lines().map(|line| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["event"].as_str().unwrap().to_owned()
    });
    let events: Vec<_> = events.filter(|event| event != "path").collect();
    assert_eq!(events, ["offering", "pending"]);
    ron.exit();
}

#[tokio::test]
async fn receive_off_a_terminal_leaves_offers_open_and_needs_a_verified_key_for_yes() {
    let server = Server::start().await;
    let homes = [(); 2].map(|()| Home::new());
    fs::write(homes[1].file("a.txt"), "a").unwrap();
    let ron = |arguments: &[&str]| homes[0].quiver_as(&server, "Ron", arguments);
    let ben = |arguments: &[&str]| homes[1].quiver_as(&server, "Ben", arguments);
    let unverified = ron(&["receive", "--from", "Ben", "--yes"]).run().await;
    assert!(unverified.expect(4).stderr.contains("hint: quiver verify Ben"));
    ron(&["receive", "--yes"]).run().await.expect(2);

    let receiving = ron(&["receive"]).start();
    receiving.stderr.wait(|log| log.contains("Waiting for offers").then_some(())).await.unwrap();
    let accept = async {
        let offered = |log: &str| log.contains("quiver accept 1 or quiver decline 1").then_some(());
        receiving.stderr.wait(offered).await.unwrap();
        let offers = ron(&["offers", "--json"]).run().await;
        let offer: serde_json::Value = serde_json::from_str(&offers.expect(0).stdout).unwrap();
        assert_eq!((&offer["number"], &offer["name"]), (&1.into(), &"Ben".into()));
        ron(&["accept", "1"]).run().await.expect(0);
    };
    let send = ben(&["send", "Ron", "a.txt"]);
    let (sent, ()) = tokio::join!(send.run(), accept);
    sent.expect(0);
    assert_eq!(fs::read_to_string(homes[0].file("a.txt")).unwrap(), "a");
}
