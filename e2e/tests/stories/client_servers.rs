//! Servers with names in the configuration file, and the list of known servers.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use quiver_e2e::{Home, PromptUser, Server};
use serde_json::Value;

fn configure(home: &Home, text: &str) {
    fs::create_dir_all(home.config().parent().unwrap()).unwrap();
    fs::write(home.config(), text).unwrap();
}

/// An entry of the configuration file.
fn entry(entry: &str, server: &Server, keys: &str) -> String {
    format!("[servers.{entry}]\naddress = \"{}\"\n{keys}\n", server.address())
}

/// The client that the last row of `status --json` describes.
async fn signed_in_name(home: &Home, arguments: &[&str]) -> String {
    let finished = home.quiver(arguments).arguments(["status", "--json"]).run().await;
    let row: Value =
        serde_json::from_str(finished.expect(0).stdout.lines().last().unwrap()).unwrap();
    row["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_entry_of_the_configuration_selects_server_certificate_name_and_password() {
    let work = Server::options().account("Ron", "a secret").start().await;
    let lab = Server::start().await;
    let home = Home::new();
    // The home folder is the root of this one.
    fs::copy(work.certificate(), home.root().join("work.pem")).unwrap();
    fs::write(home.root().join("password"), "a secret\n").unwrap();
    fs::set_permissions(home.root().join("password"), fs::Permissions::from_mode(0o600)).unwrap();
    let keys = "cert = \"~/work.pem\"\nname = \"Ron\"\npassword_file = \"~/password\"\n";
    let lab_keys = format!("cert = \"{}\"\nname = \"Ben\"\n", lab.certificate().display());
    configure(&home, &(entry("work", &work, keys) + &entry("lab", &lab, &lab_keys)));
    assert_eq!(signed_in_name(&home, &["--server", "work"]).await, "Ron");
    assert_eq!(signed_in_name(&home, &["--server", "LAB"]).await, "Ben");
    assert_eq!(signed_in_name(&home, &["--server", "lab", "--name", "Pete"]).await, "Pete");
    let by_variable = home.quiver(["message", "Hi"]).environment("QUIVER_SERVER", "work");
    assert_eq!(by_variable.run().await.expect(0).stdout, "Hi ACK\n");
    // Contacts belong to a server, which can be an entry too.
    let contacts = home.quiver(["contacts", "block", "Eve", "--server", "work"]).run().await;
    assert_eq!(contacts.expect(0).stderr, "Eve: blocked\n");
}

#[tokio::test]
async fn the_certificate_of_the_default_server_is_not_that_of_others() {
    let (global, other) = (Server::start().await, Server::start().await);
    let home = Home::new();
    configure(
        &home,
        &format!(
            "server = \"{}\"\ncert = \"{}\"\nname = \"Ron\"\n",
            global.address(),
            global.certificate().display()
        ),
    );
    assert_eq!(signed_in_name(&home, &[]).await, "Ron");
    let address = global.address().to_string();
    assert_eq!(signed_in_name(&home, &["--server", &address]).await, "Ron");
    let refused =
        home.quiver(["--name", "Ron", "status"]).server_address(other.address()).run().await;
    let stderr = &refused.expect(4).stderr;
    assert!(stderr.contains(&format!("{} is not known", other.address())), "{stderr}");
    assert!(stderr.contains(other.fingerprint()), "{stderr}");
}

#[tokio::test]
async fn an_invalid_entry_is_named_with_its_file_and_key() {
    let home = Home::new();
    let file = home.config().display().to_string();
    for (text, expected) in [
        ("[servers.a]\naddress = 'b:0'\n", ": servers.a.address: \"0\" is not a port"),
        ("[servers.a]\naddress = 'b'\ncolour = 1\n", ", line 3: unknown field `colour`"),
    ] {
        configure(&home, text);
        let finished = home.quiver(["status"]).run().await;
        let error = format!("error: {file}{expected}");
        assert!(finished.expect(2).stderr.starts_with(&error), "{}", finished.stderr);
    }
}

/// Confirms a server at a terminal with an answer to the question, and signs in as Ron.
fn confirm(home: &Home, server: &Server, answer: &str) {
    let mut terminal =
        home.quiver(["--name", "Ron"]).server_address(server.address()).start_at_terminal();
    terminal.wait_for_end("Trust and remember it? [yes/no]");
    terminal.type_line(answer);
    PromptUser::at_terminal(terminal, "Ron").exit();
}

#[tokio::test]
async fn the_question_about_a_server_takes_its_fingerprint_and_no_other() {
    let (server, other) = (Server::start().await, Server::start().await);
    let home = Home::new();
    let mut terminal =
        home.quiver(["--name", "Ron"]).server_address(server.address()).start_at_terminal();
    terminal.wait_for_end("Trust and remember it? [yes/no]");
    terminal.type_line(&server.fingerprint()[..60]);
    terminal.wait_for_end("Please type yes or no, or paste the whole fingerprint:");
    terminal.type_line(other.fingerprint());
    assert_eq!(terminal.wait_for_exit().exit_code(), 4);
    let screen = terminal.contents();
    assert!(screen.contains("error: the fingerprint that you entered is not that of "), "{screen}");
    assert!(screen.contains("\nhint: "), "{screen}");
    assert!(!home.known_servers().exists());
    assert_eq!(server.log().count("connection from"), 0);
    confirm(&home, &server, &server.fingerprint().to_uppercase());
    assert!(home.known_servers().exists());
}

#[tokio::test]
async fn known_servers_are_listed_and_forgotten() {
    let server = Server::start().await;
    let home = Home::new();
    let nothing = home.quiver(["trust"]).run().await;
    assert_eq!(
        (nothing.expect(0).stdout.as_str(), nothing.stderr.as_str()),
        ("", "no known servers\n")
    );
    confirm(&home, &server, "yes");
    let (address, fingerprint) = (server.address().to_string(), server.fingerprint());
    for arguments in [&["trust"][..], &["trust", "list"]] {
        let listed = home.quiver(arguments).run().await;
        let rows: Vec<&str> = listed.expect(0).stdout.lines().collect();
        // The fingerprint alone takes most of a terminal's width.
        assert!(rows[0].starts_with(&format!("{address}  since 2")), "{}", listed.stdout);
        assert_eq!(rows[1..], [format!("  {fingerprint}")]);
    }
    let listed = home.quiver(["trust", "--json"]).run().await;
    let row: Value = serde_json::from_str(&listed.expect(0).stdout).unwrap();
    assert_eq!(
        (row["server"].as_str(), row["fingerprint"].as_str()),
        (Some(&*address), Some(fingerprint))
    );
    assert!(row["since"].as_str().unwrap().ends_with('Z'), "{row}");

    configure(&home, &entry("work", &server, ""));
    let forgotten = home.quiver(["trust", "forget", "work"]).run().await;
    assert_eq!(forgotten.expect(0).stderr, format!("{address}: forgotten\n"));
    let unknown = home.quiver(["trust", "forget", &address]).run().await;
    let error = format!("error: {address} is not a known server\nhint: ");
    assert!(unknown.expect(7).stderr.starts_with(&error), "{}", unknown.stderr);
    // The server is unknown again.
    let refused = home.quiver(["--name", "Ron", "status"]).server_address(server.address());
    refused.run().await.expect(4);

    confirm(&home, &server, "yes");
    let forgotten = home.quiver(["trust", "forget", &address, "--json"]).run().await;
    let line: Value = serde_json::from_str(&forgotten.expect(0).stdout).unwrap();
    assert_eq!(line, serde_json::json!({"server": address, "result": "forgotten"}));
    // None of these commands has connected.
    let sessions = server.log().count("Client connected as Client");
    assert_eq!(sessions, 2);
}

#[tokio::test]
async fn an_invalid_list_of_known_servers_is_reported_and_left_alone() {
    let home = Home::new();
    fs::create_dir_all(home.known_servers().parent().unwrap()).unwrap();
    fs::write(home.known_servers(), "host:1 abc\n").unwrap();
    for arguments in [&["trust"][..], &["trust", "forget", "host:1"]] {
        let failed = home.quiver(arguments).run().await;
        let stderr = &failed.expect(8).stderr;
        assert!(stderr.contains("known_servers, line 1: "), "{stderr}");
        assert!(stderr.contains("\nhint: correct or remove that line"), "{stderr}");
    }
    assert_eq!(fs::read_to_string(home.known_servers()).unwrap(), "host:1 abc\n");
}

#[tokio::test]
async fn the_prompt_lists_known_servers_too() {
    let server = Server::start().await;
    let home = Home::new();
    confirm(&home, &server, "yes");
    let terminal =
        home.quiver(["--name", "Ron"]).server_address(server.address()).start_at_terminal();
    let mut ron = PromptUser::at_terminal(terminal, "Ron");
    let listed = ron.enter("/trust");
    assert!(listed.contains(server.fingerprint()), "{listed}");
    assert!(ron.enter("help").contains("/trust [forget HOST]"));
    ron.exit();
    let help = home.quiver(["--help"]).run().await;
    assert!(help.expect(0).stdout.contains("\n  trust "), "{}", help.stdout);
}
