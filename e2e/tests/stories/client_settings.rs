//! Where settings come from, commands out of a pipe, and what is made without a server.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;

use quiver_e2e::quiver::QuiverCommand;
use quiver_e2e::{Home, Server};

fn configure(home: &Home, text: &str) {
    fs::create_dir_all(home.config().parent().unwrap()).unwrap();
    fs::write(home.config(), text).unwrap();
}

/// A configuration with the server and this name.
fn configuration(server: &Server, name: &str) -> String {
    let (address, certificate) = (server.address(), server.certificate());
    format!("server = \"{address}\"\ncert = \"{}\"\nname = \"{name}\"\n", certificate.display())
}

/// The name it goes by.
async fn name(quiver: &QuiverCommand) -> String {
    let finished = quiver.run().await;
    let row = finished.expect(0).stdout.lines().last().unwrap().to_owned();
    let name = row.split_once(": ").unwrap().1;
    name.split_once(" - Start: ").unwrap().0.to_owned()
}

#[tokio::test]
async fn flags_beat_the_environment_which_beats_the_file() {
    let server = Server::start().await;
    let home = Home::new();
    configure(&home, &configuration(&server, "File"));
    assert_eq!(name(&home.quiver(["status"])).await, "File");
    let by_environment = home.quiver(["status"]).environment("QUIVER_NAME", "Variable");
    assert_eq!(name(&by_environment).await, "Variable");
    let by_flag = home.quiver(["status", "--name", "Flag"]).environment("QUIVER_NAME", "Variable");
    assert_eq!(name(&by_flag).await, "Flag");
    // An empty variable is none.
    let empty = home.quiver(["status"]).environment("QUIVER_NAME", "");
    assert_eq!(name(&empty).await, "File");

    let nowhere = Home::new();
    configure(&nowhere, "server = \"localhost:1\"\ncert = \"missing.pem\"\nname = \"File\"\n");
    let variables = nowhere
        .quiver(["status"])
        .environment("QUIVER_SERVER", server.address().to_string())
        .environment("QUIVER_CERT", server.certificate())
        .environment("QUIVER_NAME", "Variable");
    assert_eq!(name(&variables).await, "Variable");
    let flags =
        nowhere.quiver_as(&server, "Flag", ["status"]).environment("QUIVER_SERVER", "localhost:1");
    assert_eq!(name(&flags).await, "Flag");
}

#[tokio::test]
async fn paths_in_the_file_start_at_the_file() {
    let server = Server::start().await;
    let home = Home::new();
    configure(&home, &format!("server = \"{}\"\ncert = \"mine.pem\"\n", server.address()));
    fs::copy(server.certificate(), home.config().with_file_name("mine.pem")).unwrap();
    assert_eq!(name(&home.quiver(["--name", "Ron", "status"])).await, "Ron");
}

#[tokio::test]
async fn settings_that_cannot_be_meant_are_named() {
    let home = Home::new();
    let place = home.config().display().to_string();
    for (text, place, why) in [
        ("server = \"localhost\"\nport = 4433\n", format!("{place}, line 2"), "port"),
        ("name = \n", format!("{place}, line 1"), ""),
        ("\nname = 7\n", format!("{place}, line 2"), "string"),
        ("name = \"../x\"\n", format!("{place}: name"), ""),
        ("server = \"a:b:c\"\n", format!("{place}: server"), ""),
    ] {
        configure(&home, text);
        let finished = home.quiver(["status"]).run().await;
        finished.expect(2);
        assert!(finished.stderr.starts_with(&format!("error: {place}")), "{}", finished.stderr);
        assert!(finished.stderr.contains(why), "{}", finished.stderr);
    }
    fs::remove_file(home.config()).unwrap();
    for (variable, value) in [("QUIVER_NAME", "a b"), ("QUIVER_SERVER", "host:99999")] {
        let finished = home.quiver(["status"]).environment(variable, value).run().await;
        finished.expect(2);
        assert!(finished.stderr.starts_with(&format!("error: {variable}")), "{}", finished.stderr);
    }
    for arguments in [
        &["--name", "a b", "status"][..],
        &["--server", "", "status"],
        &["--timeout", "0", "status"],
        &["dance"],
        &["--password", "x", "status"],
    ] {
        home.quiver(arguments).run().await.expect(2);
    }
}

#[tokio::test]
async fn lines_out_of_a_pipe_are_commands() {
    let server = Server::start().await;
    server.add_file("with space.txt", "content");
    let home = Home::new();
    let lines = "Hello\n\n  LIST\nget \"with space.txt\"\n/say exit\nstatus --json\nEXIT\nnever\n";
    let finished = home.quiver_as(&server, "Ron", [""; 0]).run_with_input(lines).await;
    let stdout: Vec<&str> = finished.expect(0).stdout.lines().collect();
    assert_eq!(stdout[..3], ["Hello ACK", "with space.txt", "exit ACK"]);
    let row: serde_json::Value = serde_json::from_str(stdout[3]).unwrap();
    assert_eq!(row["name"], "Ron");
    assert_eq!(stdout.len(), 4, "{stdout:?}");
    assert_eq!(
        finished.stderr,
        "Connected to server.\nConnected to the server successfully.\n\
         with space.txt: 7 bytes received and verified\n\
         Closing connection to server...\nConnection closed.\n"
    );
    assert_eq!(home.names(), ["with space.txt"]);
    let quiet = home.quiver_as(&server, "Ron", ["--quiet"]).run_with_input("Hello").await;
    assert_eq!((quiet.expect(0).stdout.as_str(), quiet.stderr.as_str()), ("Hello ACK\n", ""));
    let nothing = home.quiver_as(&server, "Ron", ["--quiet"]).run_with_input("").await;
    assert_eq!((nothing.expect(0).stdout.as_str(), nothing.stderr.as_str()), ("", ""));
}

#[tokio::test]
async fn the_first_line_that_fails_gives_the_exit_code() {
    let server = Server::start().await;
    server.add_file("a", "content");
    let home = Home::new();
    fs::write(home.file("a"), "old").unwrap();
    let lines = "get missing\nget a\nlist a b\nHello\n";
    let finished = home.quiver_as(&server, "Ron", [""; 0]).run_with_input(lines).await;
    assert_eq!(finished.expect(7).stdout, "Hello ACK\n", "the others run all the same");
    assert_eq!(finished.stderr.matches("error: ").count(), 3, "{}", finished.stderr);
    let finished =
        home.quiver_as(&server, "Ron", [""; 0]).run_with_input("get a\nget missing\n").await;
    finished.expect(8);
    let finished =
        home.quiver_as(&server, "Ron", [""; 0]).run_with_input("get\nget missing\n").await;
    finished.expect(2);
    assert_eq!(fs::read_to_string(home.file("a")).unwrap(), "old");
}

#[tokio::test]
async fn what_is_made_without_a_server_needs_none() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.quiver(["completions", shell]).run().await;
        for word in ["quiver", "status", "message", "overwrite"] {
            assert!(script.expect(0).stdout.contains(word), "{shell}: {word}");
        }
        assert_eq!(script.stderr, "");
    }
    let page = home.quiver(["man"]).run().await;
    assert!(page.expect(0).stdout.contains(".TH quiver 1"), "{:.300}", page.stdout);
    for word in ["status", "get", "QUIVER_SERVER", "Exit codes"] {
        assert!(page.stdout.contains(word), "{word}");
    }
    let help = home.quiver(["--help"]).run().await;
    assert!(help.expect(0).stdout.contains("Exit codes: 0 done"));
    let version = home.quiver(["--version"]).run().await;
    assert!(version.expect(0).stdout.starts_with("quiver "));
    // No key is made for that, either.
    assert_eq!(fs::read_dir(home.root().join("data")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_reported_in_bounded_time() {
    let home = Home::new();
    // A port that was free a moment ago, and that nobody answers at.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let began = std::time::Instant::now();
    let pem = home.root().join("server.pem");
    fs::write(&pem, quiver_e2e::fake_server::Certificate::new().pem).unwrap();
    let finished = home.quiver(["--name", "Ron", "status"]).server(address, &pem).run().await;
    finished.expect(3);
    assert!(began.elapsed().as_secs() < 15, "{:?}", began.elapsed());
    assert!(finished.stderr.starts_with(&format!("error: cannot connect to {address}: ")));
    assert!(finished.stderr.contains("\nhint: check that the server runs"), "{}", finished.stderr);
}
