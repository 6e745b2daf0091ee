//! How a server starts, and when it refuses to start.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use quiver_e2e::process::{self, Process};
use quiver_e2e::wire::{Dialer, fingerprint};
use quiver_e2e::{Client, Home, Server, TIMEOUT, binary, wait_within};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

#[tokio::test]
async fn a_server_creates_its_certificate_at_its_first_start() {
    let server = Server::start().await;
    let pem = fs::read(server.certificate()).unwrap();
    let certificate = CertificateDer::from_pem_slice(&pem).unwrap();
    assert_eq!(fingerprint(&certificate), server.fingerprint());
    // The server uses this certificate: the client accepts no other fingerprint.
    Client::member(&server, "Ron").await.assert_alive().await;
    let key = server.certificate().with_extension("key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);

    let mut show = Command::new(binary::server());
    show.args(["cert", "show", "--certs"]).arg(server.certificate().parent().unwrap());
    let shown = process::run(&mut show, b"");
    assert!(shown.stdout.contains(server.fingerprint()), "{}", shown.stdout);
}

#[tokio::test]
async fn each_server_has_its_own_certificate_and_keeps_it_when_it_restarts() {
    let (mut server, other) = (Server::start().await, Server::start().await);
    let fingerprint = server.fingerprint().to_owned();
    assert_ne!(fingerprint, other.fingerprint());
    let key_file = server.certificate().with_extension("key");
    let before = (fs::read(server.certificate()).unwrap(), fs::read(&key_file).unwrap());
    server.restart().await;
    assert_eq!(server.fingerprint(), fingerprint);
    let after = (fs::read(server.certificate()).unwrap(), fs::read(&key_file).unwrap());
    assert!(before == after, "the restarted server changed its certificate or key");
    let dialer = Dialer::to_address(server.address(), &fingerprint);
    dialer.sign_in("Ron").await.assert_alive().await;
}

#[tokio::test]
async fn a_client_with_the_certificate_of_another_server_does_not_sign_in() {
    let (expected, dialled) = (Server::start().await, Server::start().await);
    let home = Home::new();
    let quiver = home.quiver(["--name", "Ron", "status"]);
    let refused = quiver.server(dialled.address(), &expected.certificate()).run().await;
    let stderr = &refused.expect(4).stderr;
    for fingerprint in [expected.fingerprint(), dialled.fingerprint()] {
        assert!(stderr.contains(fingerprint), "{stderr}");
    }
    // The dialled server has had no client before Ben.
    let ben = Client::member(&dialled, "Ben").await;
    assert_eq!(ben.status().await.len(), 1);
    assert_eq!(dialled.log().count("Ron"), 0);
}

#[tokio::test]
async fn a_server_refuses_a_key_that_others_can_read() {
    let refused = Server::options().expect_start_failure(|folder| {
        let mut new = Command::new(binary::server());
        new.args(["cert", "new", "--certs"]).arg(folder.join("certs"));
        assert!(process::run(&mut new, b"").status.success());
        fs::set_permissions(folder.join("certs/server.key"), Permissions::from_mode(0o640))
            .unwrap();
    });
    let refused = refused.await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("chmod 600"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_server_does_not_serve_its_own_secrets() {
    for secret in ["certs", "passwords"] {
        // The served folder becomes the folder that contains the secret.
        let refused = Server::options().account("Ron", "tomato").expect_start_failure(|folder| {
            fs::remove_dir(folder.join("files")).unwrap();
            if secret == "passwords" {
                fs::create_dir(folder.join("files")).unwrap();
                fs::rename(folder.join("passwords"), folder.join("files/passwords")).unwrap();
                std::os::unix::fs::symlink("files/passwords", folder.join("passwords")).unwrap();
            } else {
                fs::create_dir(folder.join("certs")).unwrap();
                std::os::unix::fs::symlink("certs", folder.join("files")).unwrap();
            }
        });
        let refused = refused.await;
        assert_eq!(refused.status.code(), Some(1), "{secret}");
        assert!(refused.stderr.contains("which every client may read"), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn a_server_without_its_folder_or_port_names_it_with_a_hint() {
    let mut missing = PathBuf::new();
    let refused = Server::options().expect_start_failure(|folder| {
        missing = folder.join("files");
        fs::remove_dir(&missing).unwrap();
    });
    let refused = refused.await;
    assert_eq!(refused.status.code(), Some(1));
    let error = format!("error: cannot serve {}: No such file", missing.display());
    assert!(refused.stderr.contains(&error), "{}", refused.stderr);
    assert!(refused.stderr.contains("\nhint: make the folder"), "{}", refused.stderr);

    let running = Server::start().await;
    let mut second = Command::new(binary::server());
    second.arg("--listen").arg(running.address().to_string());
    second.arg("--files").arg(running.files()).current_dir(running.root());
    let refused = process::run(&mut second, b"");
    assert_eq!(refused.status.code(), Some(1));
    let error = format!("error: cannot listen on {}: Address already in use", running.address());
    assert!(refused.stderr.contains(&error), "{}", refused.stderr);
    assert!(refused.stderr.contains("\nhint: "), "{}", refused.stderr);
}

#[tokio::test]
async fn a_server_says_what_it_serves_and_how_to_connect() {
    let server = Server::options().account("Ron", "a secret").argument("--allow-upload");
    let server = server.start_with_folder(|folder| {
        fs::create_dir(folder.join("files/notes")).unwrap();
        for name in ["a", "notes/b"] {
            fs::write(folder.join("files").join(name), "content").unwrap();
        }
    });
    let server = server.await;
    let files = server.files();
    let serving =
        format!("serving {} (2 files), 3 slots, uploads on, passwords on", files.display());
    server.log().wait_for(&serving).await;

    let open = Server::start().await;
    open.log().wait_for("(0 files), 3 slots, uploads off, passwords off").await;
    let line = open.log().wait_for("connect with: quiver ").await.message;
    let arguments = line.strip_prefix("connect with: quiver ").unwrap().split(' ');
    let home = Home::new();
    let connected = home.quiver(arguments).arguments(["--name", "Ron", "message", "Hi"]);
    assert_eq!(connected.run().await.expect(0).stdout, "Hi ACK\n");
}

#[tokio::test]
async fn a_server_listens_at_a_port_or_at_localhost() {
    for (listen, expected) in [
        ("0", &["[::]", "0.0.0.0"][..]),
        (":0", &["[::]", "0.0.0.0"]),
        ("localhost:0", &["127.0.0.1"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("files")).unwrap();
        let mut command = Command::new(binary::server());
        command.args(["--listen", listen]).current_dir(folder.path());
        let process = Process::start(&mut command);
        let listening = process.stderr.wait(|line| {
            line.split_once("listening on ").map(|(_, address)| address.parse().unwrap())
        });
        let address: SocketAddr =
            wait_within(TIMEOUT, "the server to listen", listening).await.unwrap();
        let host = address.to_string();
        assert!(expected.iter().any(|expected| host.starts_with(expected)), "{listen}: {host}");
        let home = Home::new();
        let server = format!("localhost:{}", address.port());
        let certificate = folder.path().join("certs/server.pem");
        let quiver = home.quiver(["--name", "Ron", "--server", &server, "--cert"]);
        let quiver = quiver.arguments([certificate]).arguments(["message", "Hi"]);
        assert_eq!(quiver.run().await.expect(0).stdout, "Hi ACK\n", "{listen}");
    }
    let refused = Command::new(binary::server()).args(["--listen", "example.org:1"]).output();
    let refused = refused.unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert!(stderr.contains("expected a port, an address or localhost"), "{stderr}");
}
