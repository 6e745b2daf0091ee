//! `--verbose` says in sentences how the connection is made and how transfers end; `QUIVER_LOG` is for developers.

use quiver_e2e::{Home, PromptUser, Server};

/// Whether a line is a sentence, and no log line.
fn is_sentence(line: &str) -> bool {
    let is_log = line.contains(" DEBUG ") || line.contains("quiver_");
    !is_log && line.starts_with(|first: char| first.is_ascii_uppercase()) && line.ends_with('.')
}

#[tokio::test]
async fn a_verbose_command_tells_what_it_connects_to_and_how_its_transfer_ended() {
    let server = Server::start().await;
    server.add_file("a", vec![7; 100_000]);
    let home = Home::new();
    let quiver = home.quiver_as(&server, "Ron", ["get", "a", "--verbose"]);
    let fetched = quiver.run().await;
    let stderr = &fetched.expect(0).stderr;
    let sentences: Vec<&str> = stderr.lines().filter(|line| is_sentence(line)).collect();
    let [key, dialling, dialled, signed_in, ended, path] = sentences[..] else {
        panic!("{stderr}")
    };
    let address = server.address();
    let certificate = server.certificate();
    let certificate = certificate.display();
    assert!(key.starts_with("The server's key must have the fingerprint "), "{key}");
    assert!(key.ends_with(&format!(", from {certificate}.")), "{key}");
    assert_eq!(dialling, format!("Connecting to {address}."));
    assert!(dialled.starts_with(&format!("Connected to {address} in ")), "{dialled}");
    assert!(dialled.contains(" ms, with QUIC, TLS 1.3 and congestion control by CUBIC."));
    assert_eq!(signed_in, "Signed in as Ron, client 1, who may read files on the server.");
    let end =
        "The download of a is complete: 1 file finished, 100.0 kB received, 100.0 kB verified";
    assert!(ended.starts_with(end), "{ended}");
    assert!(path.starts_with(&format!("The path to {address}: round trip ")), "{path}");
    assert!(path.contains(" lost, congestion control by CUBIC with up to "), "{path}");
    assert!(path.ends_with(" in flight, datagrams of up to 65507 bytes."), "{path}");
    // Without the flag there are none, and with --quiet nothing but errors.
    let plain = home.quiver_as(&server, "Ron", ["get", "a", "--overwrite"]).run().await;
    assert!(!plain.expect(0).stderr.contains("Connect"), "{}", plain.stderr);
    let quiet = home.quiver_as(&server, "Ron", ["get", "a", "-v", "--quiet"]).run().await;
    assert_eq!(quiet.expect(0).stderr, "");
}

#[tokio::test]
async fn a_failed_transfer_says_so_and_the_prompt_stays_intact() {
    let server = Server::start().await;
    server.add_file("a", "content");
    let home = Home::new();
    let failed = home.quiver_as(&server, "Ron", ["get", "missing", "-v"]).run().await;
    assert!(failed.expect(7).stderr.contains("The download of missing has failed: 0 files"));
    let quiver = home.quiver_as(&server, "Ron", ["--verbose"]);
    let mut ron = PromptUser::at_terminal(quiver.start_at_terminal(), "Ron");
    let shown = ron.enter("get a");
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "File received successfully.");
    assert!(lines[1].starts_with("The download of a is complete: 1 file finished, "), "{shown}");
    ron.exit();
}

#[tokio::test]
async fn developers_choose_log_lines_by_a_variable() {
    let server = Server::start().await;
    let home = Home::new();
    let logged = |filter: &str| {
        let quiver = home.quiver_as(&server, "Ron", ["message", "Hello"]);
        quiver.environment("QUIVER_LOG", filter)
    };
    let all = logged("debug").run().await;
    let lines: Vec<&str> = all.expect(0).stderr.lines().collect();
    assert!(lines.iter().any(|line| line.contains(" DEBUG quiver_client::")), "{}", all.stderr);
    assert!(lines.iter().all(|line| !line.contains("quinn")), "{}", all.stderr);
    let other = logged("quinn_proto=trace").run().await;
    assert!(other.expect(0).stderr.contains("quinn_proto"), "{}", other.stderr);
    assert!(!other.stderr.contains("quiver_client"), "{}", other.stderr);
    assert_eq!(logged("").run().await.expect(0).stderr, "");
    let invalid = logged("quinn=loud").run().await;
    assert!(invalid.expect(2).stderr.starts_with("error: QUIVER_LOG is no filter: "));
}
