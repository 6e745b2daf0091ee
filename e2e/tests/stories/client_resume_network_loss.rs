//! A network or server that fails while a get runs: the client resumes by itself, or prints how to resume.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::time::{Duration, Instant};

use quiver_e2e::deadline::wait_within;
use quiver_e2e::process::{Process, Signal};
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use tokio::time::sleep;

const MIB: u64 = 1024 * 1024;
const SIZE: u64 = 16 * MIB;

/// A running get of `big` through a relay, with some of the content received.
struct RelayedGet {
    server: Server,
    relay: UdpRelay,
    home: Home,
    content: Vec<u8>,
    process: Process,
}

/// Starts a get of `big`, and waits for content.
async fn start_get(server: Server, arguments: &[&str]) -> RelayedGet {
    let content = Random::new(7).bytes(SIZE as usize);
    server.add_file("big", &content);
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(6 * MIB);
    let home = Home::new();
    let quiver = home.quiver(["--name", "Ron", "get", "big"]).arguments(arguments);
    let process = quiver.server(relay.address(), &server.certificate()).start();
    wait_until("some of the content", || home.partial_length() > MIB).await;
    RelayedGet { server, relay, home, content, process }
}

impl RelayedGet {
    /// Waits until the client says that it has lost the connection.
    async fn wait_for_loss(&self) {
        let loss = self.process.stderr.wait(|line| line.contains("connection lost").then_some(()));
        wait_within(TIMEOUT, "the client to notice the loss", loss).await;
    }

    /// Waits for the end of the get, and checks that it stored the file. Returns its standard error.
    async fn wait_for_success(&mut self) -> String {
        let status = self.process.wait_for_exit(2 * TIMEOUT).await;
        let stderr = self.process.stderr.lines().join("\n");
        assert_eq!(status.code(), Some(0), "{stderr}");
        assert!(fs::read(self.home.file("big")).unwrap() == self.content, "the content differs");
        assert_eq!(self.home.names(), ["big"]);
        assert!(self.home.journal().is_empty());
        stderr
    }
}

#[tokio::test]
async fn a_get_survives_five_seconds_without_a_network() {
    let mut get = start_get(Server::start().await, &[]).await;
    get.relay.cut();
    // Not a wait for something: no event ends an outage, and its length is what is tested.
    sleep(Duration::from_secs(5)).await;
    get.relay.restore();
    let stderr = get.wait_for_success().await;
    assert!(!stderr.contains("connection lost"), "{stderr}");
    assert_eq!(get.server.log().count("Client connected as Client"), 1, "another client");
}

/// Slow: longer than the idle timeout of a connection.
#[tokio::test]
async fn a_get_resumes_after_an_outage_that_ends_its_connection() {
    let mut get = start_get(Server::start().await, &[]).await;
    get.relay.cut();
    get.wait_for_loss().await;
    // The server has given up the connection, so this is an attempt to connect again.
    get.server.log().wait_for("Ron has disconnected").await;
    get.relay.wait_for_loss().await;
    get.relay.restore();
    let stderr = get.wait_for_success().await;
    let lost = "connection lost (no sign of life): trying again for 10 min";
    assert_eq!(stderr.matches(lost).count(), 1, "{stderr}");
    assert!(stderr.contains("\nbig: resuming at "), "{stderr}");
}

#[tokio::test]
async fn a_get_continues_after_a_change_of_the_clients_address() {
    let mut get = start_get(Server::start().await, &[]).await;
    get.relay.rebind();
    let stderr = get.wait_for_success().await;
    assert!(!stderr.contains("connection lost"), "{stderr}");
    assert_eq!(get.server.log().count("connection from"), 1);
}

#[tokio::test]
async fn a_get_resumes_after_a_restart_with_the_password_it_has_read() {
    let server = Server::options().account("Ron", "a secret").start().await;
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("password");
    fs::write(&file, "a secret\n").unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut get = start_get(server, &["--password-file", file.to_str().unwrap()]).await;
    fs::remove_file(&file).unwrap();
    // The second signal skips the wait for running transfers.
    get.server.signal(Signal::TERM);
    get.server.log().wait_for("stopping: running transfers may end").await;
    get.server.signal(Signal::TERM);
    get.server.log().wait_for("not delivered: big").await;
    // The relay must deliver its queued datagrams before it is redirected.
    get.wait_for_loss().await;
    get.server.restart_at_new_port().await;
    get.relay.redirect_to(get.server.address());
    let stderr = get.wait_for_success().await;
    assert!(
        stderr.contains("connection lost (shutting down): trying again for 10 min"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_get_does_not_wait_for_a_server_with_another_key() {
    let mut get = start_get(Server::start().await, &[]).await;
    let other = Server::start().await;
    other.add_file("big", &get.content);
    get.relay.redirect_to(other.address());
    get.server.signal(Signal::KILL);
    let start = Instant::now();
    let status = get.process.wait_for_exit(TIMEOUT).await;
    let stderr = get.process.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(4), "{stderr}");
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    assert!(get.home.partial_length() > 0);
    assert_eq!(get.home.names().len(), 1);
    assert_eq!(other.log().count("Ron"), 0, "the client signed in to it");
    get.server.wait_for_exit(TIMEOUT).await;
}

#[tokio::test]
async fn a_get_whose_retry_timeout_passes_prints_how_to_resume() {
    let mut get = start_get(Server::start().await, &["--retry-timeout", "3"]).await;
    get.relay.cut();
    let status = get.process.wait_for_exit(TIMEOUT).await;
    let stderr = get.process.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("connection lost (no sign of life): trying again for 3 s"), "{stderr}");
    let share = get.home.partial_length() * 100 / SIZE;
    let end = format!(
        "error: cannot get big: connection lost: no sign of life\n\
         hint: the same command, or quiver resume, continues at {share} %"
    );
    assert!(stderr.ends_with(&end), "{stderr}");
    assert_eq!(get.home.names().len(), 1);
    assert_eq!(get.home.journal().len(), 1);
}
