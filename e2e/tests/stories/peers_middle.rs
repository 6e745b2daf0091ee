//! A server that puts itself between two clients: it is caught by a known key, by the handshake, or by the digits.

use quiver_e2e::quiver::QuiverCommand;
use quiver_e2e::wire::Key;
use quiver_e2e::{Home, InterposingServer, Interposition, PeerProgram, Server};

/// Ben and Ron, who may know each other from the time when their server was honest, and that server as it is now.
struct DishonestServer {
    server: Server,
    interposing: InterposingServer,
    ben_home: Home,
    ron_home: Home,
    /// Of Rom, a client of the server's operator.
    rom_home: Home,
}

impl DishonestServer {
    /// Starts the honest server, lets both clients meet there if they are `acquainted`, and then starts the other one with
    /// its key.
    async fn start(interposition: Interposition, acquainted: bool) -> Self {
        let server = Server::start().await;
        let [ben_home, ron_home, rom_home] = [(); 3].map(|()| Home::new());
        let _ron = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
        let command = if acquainted { &["tell", "Ron", "Hello"][..] } else { &["status"] };
        ben_home.quiver_as(&server, "Ben", command).run().await.expect(0);
        rom_home.quiver_as(&server, "Rom", ["status"]).run().await.expect(0);
        let certs = server.root().join("certs");
        let key = Key::load(&certs.join("server.pem"), &certs.join("server.key"));
        let keys = [&ben_home, &ron_home, &rom_home].map(Home::client_fingerprint);
        let [ben, ron, rom] = keys.each_ref().map(String::as_str);
        let clients = [("Ben", ben), ("Ron", ron), ("Rom", rom)];
        let interposing = InterposingServer::start(&key, interposition, &clients);
        Self { server, interposing, ben_home, ron_home, rom_home }
    }

    fn quiver(&self, home: &Home, name: &str, arguments: &[&str]) -> QuiverCommand {
        let quiver = home.quiver(["--name", name]).arguments(arguments);
        quiver.server(self.interposing.address(), &self.server.certificate())
    }

    async fn receive(&self) -> PeerProgram {
        self.receive_as(&self.ron_home, "Ron").await
    }

    async fn receive_as(&self, home: &Home, name: &str) -> PeerProgram {
        let program = PeerProgram::start(&self.quiver(home, name, &["receive", "--json"]));
        program.wait_until_listening().await;
        program
    }
}

#[tokio::test]
async fn a_substituted_key_of_a_contact_is_refused_on_both_sides_with_all_fingerprints() {
    let test = DishonestServer::start(Interposition::Substitute, true).await;
    let mut ron = test.receive().await;
    let told = test.quiver(&test.ben_home, "Ben", &["tell", "Ron", "Secret"]).run().await;
    told.expect(4);
    let (presented, ron_key) = (test.interposing.key(), test.ron_home.client_fingerprint());
    assert!(told.stderr.contains(presented) && told.stderr.contains(&ron_key), "{}", told.stderr);
    let refused = ron.next_event("key_refused").await;
    assert_eq!(refused["presented"], presented);
    assert_eq!(refused["known"][0], test.ben_home.client_fingerprint());
    assert_eq!(ron.events().len(), 1, "{:?}", ron.events());
}

#[tokio::test]
async fn nothing_for_a_contact_goes_to_a_client_of_another_name() {
    // Also if Ron is not known yet.
    for acquainted in [true, false] {
        let test = DishonestServer::start(Interposition::Redirect("Rom"), acquainted).await;
        let rom = test.receive_as(&test.rom_home, "Rom").await;
        std::fs::write(test.ben_home.file("a.txt"), "Secret").unwrap();
        for arguments in
            [&["tell", "Ron", "Secret"][..], &["send", "Ron", "a.txt"], &["path", "Ron"]]
        {
            let refused = test.quiver(&test.ben_home, "Ben", arguments).run().await;
            refused.expect(1);
            let why = "cannot reach Ron: malformed response: the server has introduced Rom";
            assert!(refused.stderr.contains(why), "{}", refused.stderr);
        }
        let mut ben = test.quiver(&test.ben_home, "Ben", &["verify", "Ron"]).start_at_terminal();
        assert_eq!(ben.wait_for_exit().exit_code(), 1, "{}", ben.contents());
        assert!(rom.events().is_empty(), "{:?}", rom.events());
        let contacts = test.ben_home.quiver(["contacts", "--json"]).run().await;
        assert!(!contacts.expect(0).stdout.contains("Rom"), "{}", contacts.stdout);
        assert!(!contacts.stdout.contains("\"verified\":\""), "{}", contacts.stdout);
    }
}

#[tokio::test]
async fn the_digits_differ_if_the_server_is_in_the_middle_from_the_first_contact_on() {
    let test = DishonestServer::start(Interposition::Substitute, false).await;
    let ron_at = test.quiver(&test.ron_home, "Ron", &[]).start_at_terminal();
    let mut ron = ron_at;
    ron.wait_for_end("\nRon:");
    let mut ben = test.quiver(&test.ben_home, "Ben", &["verify", "Ron"]).start_at_terminal();
    ben.wait_for_end("Does Ron see the same digits? [y/N]");
    ron.wait_for("Ben wants to compare keys. Press Enter to answer.");
    ron.type_line("");
    ron.wait_for_end("Does Ben see the same digits? [y/N]");
    let digits = |screen: String| {
        let line = screen.lines().skip_while(|line| !line.contains("Compare these digits")).nth(1);
        line.unwrap_or_else(|| panic!("no digits: {screen}")).trim().to_owned()
    };
    assert_ne!(digits(ben.contents()), digits(ron.contents()));
    // Two attentive people say no.
    ben.type_line("n");
    ron.type_line("n");
    assert_eq!(ben.wait_for_exit().exit_code(), 4);
    assert!(ben.contents().contains("the digits differ"), "{}", ben.contents());
    for home in [&test.ben_home, &test.ron_home] {
        let contacts = home.quiver(["contacts", "--json"]).run().await;
        assert!(contacts.expect(0).stdout.contains("\"verified\":null"), "{}", contacts.stdout);
    }
}

#[tokio::test]
async fn an_introduction_that_the_server_repeats_is_refused_on_both_sides() {
    // This server gives all introductions for which a client asks the same id.
    let test = DishonestServer::start(Interposition::Substitute, false).await;
    let mut ron = test.receive().await;
    let lines = "/tell Ron one\n/contacts block Ron\n/contacts unblock Ron\n/tell Ron two\n";
    let told = test.quiver(&test.ben_home, "Ben", &[]).run_with_input(lines).await;
    let refused = "cannot reach Ron: the server has repeated an introduction";
    assert!(told.stderr.contains(refused), "{}", told.stderr);
    assert_eq!(ron.next_event("message").await["text"], "one");
    // Another process of Ben does not know the id yet, and Ron's does.
    let told = test.quiver(&test.ben_home, "Ben", &["tell", "Ron", "three"]).run().await;
    told.expect(3);
    assert_eq!(ron.events_called("message").len(), 1, "{:?}", ron.events());
}

#[tokio::test]
async fn an_impostor_with_the_introduction_but_not_the_key_fails_the_handshake() {
    for acquainted in [true, false] {
        let test = DishonestServer::start(Interposition::Impersonate, acquainted).await;
        let ron = test.receive().await;
        let told = test.quiver(&test.ben_home, "Ben", &["tell", "Ron", "Secret"]).run().await;
        told.expect(3);
        assert!(told.stderr.contains("cannot reach Ron"), "{}", told.stderr);
        assert!(ron.events().is_empty(), "{:?}", ron.events());
    }
}
