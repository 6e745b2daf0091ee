//! The client shortens texts of the server, and escapes control characters in texts and file names.

use std::fs;

use quiver_e2e::fake_server::{Step, welcome};
use quiver_e2e::process::ProgramOutput;
use quiver_e2e::{FakeServer, Home, Server};

/// A remark of 40 kB, which is longer once it is escaped.
const REPEATS: usize = 10_000;
const REMARK: &str = "A\u{202e}";

/// The most that the client shows of it, with its own text around it, in bytes.
const MAX_SHOWN: usize = 1024 + 256;

/// Fails if the output has a control character or an override of the writing direction.
#[track_caller]
fn expect_escaped(finished: &ProgramOutput) {
    for text in [&finished.stdout, &finished.stderr] {
        let is_control = |character: char| character.is_control() && character != '\n';
        assert!(!text.contains(is_control) && !text.contains('\u{202e}'), "{text:?}");
    }
}

#[tokio::test]
async fn the_client_shortens_a_long_remark_of_the_server() {
    let remark = REMARK.repeat(REPEATS);
    let fake_server = FakeServer::start(move |request| {
        if request["command"] != "hello" {
            return Some(vec![Step::error("forbidden", &remark), Step::Finish]);
        }
        let mut welcome = welcome(&request["name"]);
        welcome["upload"] = true.into();
        Some(Step::response(&welcome))
    });
    let home = Home::new();
    fs::write(home.file("local"), "content").unwrap();
    for arguments in [
        &["get", "a"][..],
        &["get", "-r", "a"],
        &["put", "local"],
        &["put", "-r", "local"],
        &["message", "Hello"],
        &["list"],
        &["status"],
        &["rm", "a", "--yes"],
        &["mv", "a", "b"],
        &["mkdir", "a"],
    ] {
        let quiver = home.quiver(["--name", "Ron"]).arguments(arguments);
        let finished = quiver.server(fake_server.address(), &fake_server.certificate()).run().await;
        assert_ne!(finished.code(), 0, "{arguments:?}");
        expect_escaped(&finished);
        let stderr = &finished.stderr;
        assert!(stderr.len() <= MAX_SHOWN, "{arguments:?}: {} bytes", stderr.len());
        let cut = format!("... (cut: {} bytes in all)", remark_length());
        assert!(
            stderr.contains("A\\u{202e}A\\u{202e}") && stderr.contains(&cut),
            "{arguments:?}: {stderr}"
        );
    }
}

fn remark_length() -> usize {
    REMARK.len() * REPEATS
}

#[tokio::test]
async fn the_client_shortens_the_reason_of_a_refused_sign_in() {
    let remark = REMARK.repeat(REPEATS);
    for code in ["busy", "name_taken", "internal"] {
        let remark = remark.clone();
        let fake_server = FakeServer::start(move |request| {
            (request["command"] == "hello").then(|| vec![Step::error(code, &remark), Step::Finish])
        });
        let home = Home::new();
        let quiver = home.quiver(["--name", "Ron", "message", "Hello"]);
        let finished = quiver.server(fake_server.address(), &fake_server.certificate()).run().await;
        assert_ne!(finished.code(), 0, "{code}");
        expect_escaped(&finished);
        assert!(finished.stderr.len() <= MAX_SHOWN, "{code}: {} bytes", finished.stderr.len());
        assert!(finished.stderr.contains("bytes in all)"), "{code}: {}", finished.stderr);
    }
}

#[tokio::test]
async fn the_client_escapes_local_file_names() {
    let server =
        Server::options().argument("--allow-upload").argument("--keep-free=0").start().await;
    let name = "report\u{202e}fdp.exe";
    server.add_file(format!("tree/{name}"), "content");
    server.add_file(name, "content");
    let home = Home::new();
    for folder in ["tree", "out\u{202e}"] {
        fs::create_dir(home.file(folder)).unwrap();
        fs::write(home.file(folder).join(name), "another").unwrap();
    }
    fs::write(home.file(name), "another").unwrap();
    fs::create_dir(home.file("in-the-way")).unwrap();
    fs::create_dir(home.file("in-the-way").join(name)).unwrap();
    fs::write(home.file("bad\u{202e}.pem"), "no certificate").unwrap();
    fs::write(home.file("shared\u{202e}"), "password").unwrap();
    let tree = format!("tree/{name}");
    for (code, arguments) in [
        (1, &["get", name][..]),
        (1, &["get", name, "-o", "out\u{202e}"]),
        (1, &["get", name, "-o", "in-the-way"]),
        (8, &["get", name, "-o", "missing\u{202e}"]),
        (1, &["get", "-r", "tree"]),
        (8, &["get", "-r", "tree", "--skip", "-o", "missing\u{202e}"]),
        (1, &["get", &tree, "-o", "out\u{202e}"]),
        (7, &["put", "missing\u{202e}"]),
        (1, &["put", name]),
        (2, &["put", name, name]),
        (8, &["list", "--cert", "missing\u{202e}.pem"]),
        (8, &["list", "--cert", "bad\u{202e}.pem"]),
        (2, &["resume", name]),
        (2, &["get", "--unknown\u{202e}"]),
        (2, &["list", "--timeout", "\u{202e}"]),
    ] {
        let has_certificate = arguments.contains(&"--cert");
        let quiver =
            home.quiver(["--name", "Ron"]).server_address(server.address()).arguments(arguments);
        let quiver = if has_certificate {
            quiver
        } else {
            quiver.arguments([std::ffi::OsStr::new("--cert"), server.certificate().as_os_str()])
        };
        let finished = quiver.run().await;
        expect_escaped(&finished);
        assert!(finished.stderr.contains("\\u{202e}"), "{arguments:?}: {}", finished.stderr);
        assert_eq!(finished.code(), code, "{arguments:?}: {}", finished.stderr);
    }
    // The configuration file is not named by an argument.
    let config = home.config();
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, "\"ser\u{202e}ver\" = 'a'\n").unwrap();
    let finished = home.quiver(["list"]).run().await;
    expect_escaped(&finished);
    assert!(finished.stderr.contains("\\u{202e}"), "{}", finished.stderr);
    finished.expect(2);
}
