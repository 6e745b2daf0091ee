//! Which servers the client trusts. It sends nothing to any other server: no name, no password.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use quiver_e2e::fake_server::{Certificate, ClientRecord};
use quiver_e2e::process::ProgramOutput;
use quiver_e2e::{FakeServer, Home, PromptUser, Server};

/// A home with a password file, whose content must not be sent to an untrusted server.
fn home() -> Home {
    let home = Home::new();
    let file = home.root().join("password");
    fs::write(&file, "a secret\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    home
}

/// Checks that no client sent a byte or showed its certificate.
fn assert_nothing_sent(clients: &[ClientRecord]) {
    for client in clients {
        assert!(client.received.is_empty(), "{:?}", String::from_utf8_lossy(&client.received));
        assert!(!client.has_certificate, "the client showed its certificate");
    }
}

/// Runs `quiver message` with a name, a password and `--cert`, and checks that it refuses the impostor.
async fn run_refused(impostor: &FakeServer, certificate: &std::path::Path) -> ProgramOutput {
    let home = home();
    let quiver = home.quiver(["--name", "Ron", "--password-file"]);
    let quiver = quiver.arguments([home.root().join("password")]);
    let quiver = quiver.arguments(["message", "Hello"]).server(impostor.address(), certificate);
    let output = quiver.run().await;
    output.expect(4);
    assert_eq!(output.stdout, "");
    let clients = impostor.closed_clients(1).await;
    assert!(!clients[0].connected, "the client completed the handshake");
    assert_nothing_sent(&clients);
    assert!(!home.known_servers().exists());
    output
}

#[tokio::test]
async fn the_client_refuses_a_server_with_another_certificate() {
    let impostor = FakeServer::start(|_| None);
    let expected = Certificate::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &expected.pem).unwrap();
    let output = run_refused(&impostor, file.path()).await;
    let stderr = &output.stderr;
    assert!(stderr.starts_with("error: "), "{stderr}");
    assert!(stderr.contains("is not the server of"), "{stderr}");
    assert!(stderr.contains(&format!("expected fingerprint {}", expected.fingerprint)), "{stderr}");
    assert!(stderr.contains("\nhint: "), "{stderr}");
}

#[tokio::test]
async fn the_client_refuses_a_copied_certificate_without_its_key() {
    let server = Server::start().await;
    let impostor = FakeServer::with_certificate(Certificate::with_wrong_key(&server.certificate()));
    let output = run_refused(&impostor, &server.certificate()).await;
    let why = "the server does not hold the key of its certificate";
    assert!(output.stderr.contains(why), "{}", output.stderr);
}

#[tokio::test]
async fn the_client_refuses_a_copied_certificate_of_an_unknown_server() {
    let server = Server::start().await;
    let impostor = FakeServer::with_certificate(Certificate::with_wrong_key(&server.certificate()));
    let home = home();
    let quiver = home.quiver(["--name", "Ron", "status"]).server_address(impostor.address());
    let output = quiver.run().await;
    output.expect(4);
    let why = "the server does not hold the key of its certificate";
    assert!(output.stderr.contains(why), "{}", output.stderr);
    assert_nothing_sent(&impostor.closed_clients(1).await);
}

#[tokio::test]
async fn the_client_refuses_an_expired_certificate() {
    let impostor = FakeServer::with_certificate(Certificate::expired());
    let output = run_refused(&impostor, &impostor.certificate()).await;
    let why = "the server's certificate expired on 2001-01-01";
    assert!(output.stderr.contains(why), "{}", output.stderr);
    assert!(output.stderr.contains("\nhint: check this machine's clock"));
}

#[tokio::test]
async fn the_client_refuses_a_certificate_that_is_not_valid_yet() {
    let impostor = FakeServer::with_certificate(Certificate::not_yet_valid());
    let output = run_refused(&impostor, &impostor.certificate()).await;
    let why = "the server's certificate is not valid before 4000-01-01";
    assert!(output.stderr.contains(why), "{}", output.stderr);
    assert!(output.stderr.contains("\nhint: check this machine's clock"));
}

#[tokio::test]
async fn the_client_refuses_an_unknown_server_without_a_terminal() {
    let certificate = Certificate::new();
    let impostor = FakeServer::with_certificate(certificate.clone());
    for arguments in [&["status"][..], &[]] {
        let home = home();
        let quiver =
            home.quiver(["--name", "Ron"]).arguments(arguments).server_address(impostor.address());
        let output = quiver.run_with_input("Hello\n").await;
        output.expect(4);
        let stderr = &output.stderr;
        assert!(stderr.contains(&format!("{} is not known", impostor.address())), "{stderr}");
        assert!(stderr.contains(&certificate.fingerprint), "{stderr}");
        assert!(stderr.contains("\nhint: --cert FILE trusts the server"), "{stderr}");
        assert!(!home.known_servers().exists());
    }
    assert_nothing_sent(&impostor.closed_clients(2).await);
}

#[tokio::test]
async fn the_user_confirms_a_new_server_once() {
    let server = Server::start().await;
    let home = Home::new();
    let mut terminal =
        home.quiver(["--name", "Ron"]).server_address(server.address()).start_at_terminal();
    terminal.wait_for_end("Trust and remember it? [yes/no]");
    let screen = terminal.contents();
    assert!(screen.contains(server.fingerprint()), "{screen}");
    assert!(screen.contains(&server.address().to_string()), "{screen}");
    terminal.type_line("y");
    terminal.wait_for_end("Please type yes or no, or paste the whole fingerprint:");
    terminal.type_line("Yes");
    let mut ron = PromptUser::at_terminal(terminal, "Ron");
    ron.exit();
    let line = fs::read_to_string(home.known_servers()).unwrap();
    let known = format!("{} {} 2", server.address(), server.fingerprint());
    assert!(line.starts_with(&known) && line.lines().count() == 1, "{line}");

    let terminal =
        home.quiver(["--name", "Ron"]).server_address(server.address()).start_at_terminal();
    let mut ron = PromptUser::at_terminal(terminal, "Ron");
    ron.exit();
    assert!(!ron.terminal.contents().contains(server.fingerprint()));
    let output = home
        .quiver(["--name", "Ron", "message", "Hi"])
        .server_address(server.address())
        .run()
        .await;
    assert_eq!(output.expect(0).stdout, "Hi ACK\n");
    assert_eq!(fs::read_to_string(home.known_servers()).unwrap(), line);
}

#[tokio::test]
async fn the_client_sends_nothing_to_a_server_that_the_user_declines() {
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
    let clients = impostor.closed_clients(2).await;
    assert_eq!(clients.len(), 2, "the client dialled again");
    assert_nothing_sent(&clients);
}

#[tokio::test]
async fn the_client_refuses_a_known_server_with_another_key() {
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
    let output =
        home.quiver(["--name", "Ron", "status"]).server_address(impostor.address()).run().await;
    output.expect(4);
    let stderr = &output.stderr;
    assert!(stderr.contains("the key of ") && stderr.contains(" has changed"), "{stderr}");
    assert!(stderr.contains(&old.fingerprint) && stderr.contains(&new.fingerprint), "{stderr}");
    let file = home.known_servers();
    assert!(stderr.contains(&format!("remove line 1 of {}", file.display())), "{stderr}");
    assert!(stderr.contains(&format!("quiver trust forget {}", impostor.address())), "{stderr}");
    let mut terminal =
        home.quiver(["--name", "Ron"]).server_address(impostor.address()).start_at_terminal();
    assert_eq!(terminal.wait_for_exit().exit_code(), 4);
    assert!(!terminal.contents().contains("[yes/no]"), "the user was asked");
    let clients = impostor.closed_clients(4).await;
    assert!(clients[2..].iter().all(|client| !client.connected));
    assert_nothing_sent(&clients[2..]);
    // Without that line the server is an unknown server.
    fs::write(&file, "").unwrap();
    let mut terminal =
        home.quiver(["--name", "Ron"]).server_address(impostor.address()).start_at_terminal();
    terminal.wait_for_end("Trust and remember it? [yes/no]");
    terminal.type_line("yes");
    PromptUser::at_terminal(terminal, "Ron").exit();
}

#[tokio::test]
async fn the_client_names_a_certificate_file_that_it_cannot_read() {
    let impostor = FakeServer::start(|_| None);
    let home = home();
    let key = home.file("other.pem");
    fs::write(&key, "-----BEGIN NOTHING-----\n").unwrap();
    for path in [home.file("missing.pem"), key, home.folder()] {
        let quiver = home.quiver(["--name", "Ron", "status"]).server(impostor.address(), &path);
        let output = quiver.run().await;
        output.expect(8);
        let stderr = &output.stderr;
        assert!(stderr.contains(&path.display().to_string()), "{stderr}");
        assert!(stderr.contains("\nhint: "), "{stderr}");
    }
    assert!(impostor.closed_clients(0).await.is_empty());
}
