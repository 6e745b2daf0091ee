//! Whom the client talks to. To nobody else it says a word: no name, no password.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use quiver_e2e::fake_server::{Certificate, ClientRecord};
use quiver_e2e::process::ProgramOutput;
use quiver_e2e::{FakeServer, Home, PromptUser, Server};

/// A home with a password that must not leave it.
fn home() -> Home {
    let home = Home::new();
    let file = home.root().join("password");
    fs::write(&file, "a secret\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    home
}

/// Not a byte was said to any of them; those that came so far did not even see who was there.
fn nothing_was_said(met: &[ClientRecord]) {
    for met in met {
        assert!(met.received.is_empty(), "{:?}", String::from_utf8_lossy(&met.received));
        assert!(!met.has_certificate, "the client showed who it is");
    }
}

/// `quiver message` with name and password, believing this certificate, to this impostor.
async fn refused(impostor: &FakeServer, certificate: &std::path::Path) -> ProgramOutput {
    let home = home();
    let quiver = home.quiver(["--name", "Ron", "--password-file"]);
    let quiver = quiver.arguments([home.root().join("password")]);
    let quiver = quiver.arguments(["message", "Hello"]).server(impostor.address(), certificate);
    let finished = quiver.run().await;
    finished.expect(4);
    assert_eq!(finished.stdout, "");
    let met = impostor.closed_clients(1).await;
    assert!(!met[0].connected, "the handshake was gone through with");
    nothing_was_said(&met);
    assert!(!home.known_servers().exists());
    finished
}

#[tokio::test]
async fn another_servers_certificate_is_refused() {
    let impostor = FakeServer::start(|_| None);
    let expected = Certificate::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &expected.pem).unwrap();
    let finished = refused(&impostor, file.path()).await;
    let said = &finished.stderr;
    assert!(said.starts_with("error: "), "{said}");
    assert!(said.contains("is not the server of"), "{said}");
    assert!(said.contains(&format!("expected fingerprint {}", expected.fingerprint)), "{said}");
    assert!(said.contains("\nhint: "), "{said}");
}

#[tokio::test]
async fn a_copied_certificate_does_not_make_a_server() {
    let server = Server::start().await;
    let impostor = FakeServer::with_certificate(Certificate::with_wrong_key(&server.certificate()));
    let finished = refused(&impostor, &server.certificate()).await;
    let why = "the server does not hold the key of its certificate";
    assert!(finished.stderr.contains(why), "{}", finished.stderr);
}

#[tokio::test]
async fn a_copied_certificate_does_not_pass_for_an_unknown_server_either() {
    let server = Server::start().await;
    let impostor = FakeServer::with_certificate(Certificate::with_wrong_key(&server.certificate()));
    let home = home();
    let quiver = home.quiver(["--name", "Ron", "status"]).server_address(impostor.address());
    let finished = quiver.run().await;
    finished.expect(4);
    let why = "the server does not hold the key of its certificate";
    assert!(finished.stderr.contains(why), "{}", finished.stderr);
    nothing_was_said(&impostor.closed_clients(1).await);
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let impostor = FakeServer::with_certificate(Certificate::expired());
    let finished = refused(&impostor, &impostor.certificate()).await;
    let why = "the server's certificate expired on 2001-01-01";
    assert!(finished.stderr.contains(why), "{}", finished.stderr);
    assert!(finished.stderr.contains("\nhint: check this machine's clock"));
}

#[tokio::test]
async fn a_certificate_of_the_future_is_refused() {
    let impostor = FakeServer::with_certificate(Certificate::not_yet_valid());
    let finished = refused(&impostor, &impostor.certificate()).await;
    let why = "the server's certificate is not valid before 4000-01-01";
    assert!(finished.stderr.contains(why), "{}", finished.stderr);
    assert!(finished.stderr.contains("\nhint: check this machine's clock"));
}

#[tokio::test]
async fn off_a_terminal_an_unknown_server_is_refused() {
    let certificate = Certificate::new();
    let impostor = FakeServer::with_certificate(certificate.clone());
    for arguments in [&["status"][..], &[]] {
        let home = home();
        let quiver =
            home.quiver(["--name", "Ron"]).arguments(arguments).server_address(impostor.address());
        let finished = quiver.run_with_input("Hello\n").await;
        finished.expect(4);
        let said = &finished.stderr;
        assert!(said.contains(&format!("{} is not known", impostor.address())), "{said}");
        assert!(said.contains(&certificate.fingerprint), "{said}");
        assert!(said.contains("\nhint: --cert FILE trusts the server"), "{said}");
        assert!(!home.known_servers().exists());
    }
    nothing_was_said(&impostor.closed_clients(2).await);
}

#[tokio::test]
async fn a_person_confirms_a_server_once() {
    let server = Server::start().await;
    let home = Home::new();
    let mut terminal =
        home.quiver(["--name", "Ron"]).server_address(server.address()).start_at_terminal();
    terminal.wait_for_end("Trust and remember it? [yes/no]");
    let screen = terminal.contents();
    assert!(screen.contains(server.fingerprint()), "{screen}");
    assert!(screen.contains(&server.address().to_string()), "{screen}");
    terminal.type_line("y");
    terminal.wait_for_end("Please type yes or no:");
    terminal.type_line("Yes");
    let mut ron = PromptUser::at_terminal(terminal, "Ron");
    ron.exit();
    let line = format!("{} {}\n", server.address(), server.fingerprint());
    assert_eq!(fs::read_to_string(home.known_servers()).unwrap(), line);

    let terminal =
        home.quiver(["--name", "Ron"]).server_address(server.address()).start_at_terminal();
    let mut ron = PromptUser::at_terminal(terminal, "Ron");
    ron.exit();
    assert!(!ron.terminal.contents().contains(server.fingerprint()));
    let finished = home
        .quiver(["--name", "Ron", "message", "Hi"])
        .server_address(server.address())
        .run()
        .await;
    assert_eq!(finished.expect(0).stdout, "Hi ACK\n");
    assert_eq!(fs::read_to_string(home.known_servers()).unwrap(), line);
}

#[tokio::test]
async fn a_person_who_says_no_has_said_nothing_else() {
    let impostor = FakeServer::start(|_| None);
    for answer in ["no\r", "\x04"] {
        let home = home();
        let mut terminal =
            home.quiver(["--name", "Ron"]).server_address(impostor.address()).start_at_terminal();
        terminal.wait_for_end("Trust and remember it? [yes/no]");
        terminal.type_text(answer);
        assert_eq!(terminal.wait_for_exit().exit_code(), 4);
        let screen = terminal.contents();
        assert!(screen.contains("is not trusted"), "{screen}");
        assert!(!home.known_servers().exists());
    }
    let met = impostor.closed_clients(2).await;
    assert_eq!(met.len(), 2, "and was not dialled again");
    nothing_was_said(&met);
}

#[tokio::test]
async fn a_remembered_server_that_has_changed_is_refused() {
    let (old, new) = (Certificate::new(), Certificate::new());
    let impostor = FakeServer::with_certificate(old.clone());
    let home = home();
    let mut terminal =
        home.quiver(["--name", "Ron"]).server_address(impostor.address()).start_at_terminal();
    terminal.wait_for_end("Trust and remember it? [yes/no]");
    terminal.type_line("yes");
    PromptUser::at_terminal(terminal, "Ron").exit();
    let before = impostor.closed_clients(2).await;
    assert!(before[1].connected && before[1].has_certificate);

    impostor.set_certificate(&new);
    let finished =
        home.quiver(["--name", "Ron", "status"]).server_address(impostor.address()).run().await;
    finished.expect(4);
    let said = &finished.stderr;
    assert!(said.contains("the key of ") && said.contains(" has changed"), "{said}");
    assert!(said.contains(&old.fingerprint) && said.contains(&new.fingerprint), "{said}");
    let file = home.known_servers();
    assert!(said.contains(&format!("remove line 1 of {}", file.display())), "{said}");
    let mut terminal =
        home.quiver(["--name", "Ron"]).server_address(impostor.address()).start_at_terminal();
    assert_eq!(terminal.wait_for_exit().exit_code(), 4);
    assert!(!terminal.contents().contains("[yes/no]"), "nobody is asked");
    let met = impostor.closed_clients(4).await;
    assert!(met[2..].iter().all(|met| !met.connected));
    nothing_was_said(&met[2..]);
    // Without that line the server is as good as any.
    fs::write(&file, "").unwrap();
    let mut terminal =
        home.quiver(["--name", "Ron"]).server_address(impostor.address()).start_at_terminal();
    terminal.wait_for_end("Trust and remember it? [yes/no]");
    terminal.type_line("yes");
    PromptUser::at_terminal(terminal, "Ron").exit();
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_named() {
    let impostor = FakeServer::start(|_| None);
    let home = home();
    let key = home.file("other.pem");
    fs::write(&key, "-----BEGIN NOTHING-----\n").unwrap();
    for path in [home.file("missing.pem"), key, home.folder()] {
        let quiver = home.quiver(["--name", "Ron", "status"]).server(impostor.address(), &path);
        let finished = quiver.run().await;
        finished.expect(8);
        let said = &finished.stderr;
        assert!(said.contains(&path.display().to_string()), "{said}");
        assert!(said.contains("\nhint: "), "{said}");
    }
    assert!(impostor.closed_clients(0).await.is_empty());
}
