//! The process of `quiver gui`: its sockets, its links, the browser that it opens, and its end.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use quiver_e2e::page_program::parse_link;
use quiver_e2e::process::Signal;
use quiver_e2e::{Home, PageProgram, PageSocket, TIMEOUT, wait_until};

/// A program in the place of xdg-open, which writes down how it was called. Returns the folder for PATH, and the file.
fn opener(home: &Home) -> (PathBuf, PathBuf) {
    let (folder, report) = (home.root().join("bin"), home.root().join("opened"));
    fs::create_dir(&folder).unwrap();
    let program = folder.join("xdg-open");
    let script = format!(
        "#!/bin/sh\n{{ echo \"$1\"; cat \"$1\"; stat -c %a \"$1\"; tr '\\0' ' ' < /proc/$PPID/cmdline; }} > {0}.new\n\
         mv {0}.new {0}\n",
        report.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, report)
}

fn path_with(folder: &Path) -> String {
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

/// The local addresses of listening TCP sockets of a process, from /proc.
fn listening(process: u32) -> Vec<(String, u16)> {
    let sockets: Vec<String> = fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .map(|link| link.to_string_lossy().into_owned())
        .collect();
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let table = fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let columns: Vec<&str> = line.split_whitespace().collect();
            if columns[3] == "0A" && sockets.contains(&format!("socket:[{}]", columns[9])) {
                let (address, port) = columns[1].split_once(':').unwrap();
                found.push((address.to_owned(), u16::from_str_radix(port, 16).unwrap()));
            }
        }
    }
    found
}

#[tokio::test]
async fn only_loopback_listens_with_one_port() {
    let home = Home::new();
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let sockets = listening(page.process.id());
    assert!(!sockets.is_empty());
    for (address, port) in sockets {
        let loopback = [
            format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1])),
            format!("{:024X}{:08X}", 0, u32::from_ne_bytes([0, 0, 0, 1])),
        ];
        assert!(loopback.contains(&address), "{address}");
        assert_eq!(port, page.port);
    }
}

#[tokio::test]
async fn the_browser_is_opened_without_showing_the_code() {
    let home = Home::new();
    let (folder, report) = opener(&home);
    let command = home.quiver(["gui", "--verbose"]).environment("QUIVER_LOG", "debug");
    let command = command.environment("PATH", path_with(&folder)).environment("DISPLAY", ":9");
    let page = PageProgram::start(&command).await;
    wait_until("the browser to open", || report.exists()).await;
    let opened = fs::read_to_string(&report).unwrap();
    let lines: Vec<&str> = opened.lines().collect();
    let [file, redirect, mode, command_line] = lines[..] else { panic!("{opened}") };
    assert!(!file.contains(&page.code) && !command_line.contains(&page.code), "{opened}");
    assert!(redirect.contains(&page.code), "{opened}");
    assert_eq!(mode, "600");
    assert!(Path::new(file).exists());
    let secret = page.secret().await;
    // The code is used, and the file with it is gone.
    assert!(!Path::new(file).exists());
    PageSocket::open(page.address(), &secret).await.snapshot().await;
    let log = page.process.stderr.lines().join("\n");
    assert!(!log.contains(&secret) && !log.contains(&page.code), "{log}");
}

#[tokio::test]
async fn no_browser_is_opened_without_a_display_or_against_the_users_will() {
    for (arguments, display) in [(vec!["gui"], ""), (vec!["gui", "--no-open"], ":9")] {
        let home = Home::new();
        let (folder, report) = opener(&home);
        let command = home.quiver(&arguments).environment("PATH", path_with(&folder));
        let page = PageProgram::start(&command.environment("DISPLAY", display)).await;
        // Said after the browser would have been opened.
        let said = page.process.stderr.wait(|line| line.contains("Ctrl-C ends").then_some(()));
        quiver_e2e::wait_within(TIMEOUT, "the last line", said).await.unwrap();
        assert!(!report.exists());
        let files = fs::read_dir(home.root().join("state/quiver/run")).unwrap();
        let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".html")), "{names:?}");
    }
}

#[tokio::test]
async fn a_second_gui_prints_another_link_to_the_running_page() {
    let home = Home::new();
    let runtime = home.root().join("runtime");
    fs::create_dir(&runtime).unwrap();
    let command = || home.quiver(["gui", "--no-open"]).environment("XDG_RUNTIME_DIR", &runtime);
    let mut page = PageProgram::start(&command()).await;
    let socket = runtime.join("quiver/page.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let second = command().run().await;
    second.expect(0);
    let (port, code) = parse_link(second.stdout.trim());
    assert_eq!(port, page.port);
    assert_ne!(code, page.code);
    assert_eq!(page.exchange(&code).await.status, 200);
    page.open().await.snapshot().await;
    // One that is killed leaves its socket, and the next one takes its place.
    page.process.signal(Signal::KILL);
    page.process.wait_for_exit(TIMEOUT).await;
    assert!(socket.exists());
    let page = PageProgram::start(&command()).await;
    page.open().await.snapshot().await;
}

#[tokio::test]
async fn a_signal_ends_the_page_and_removes_its_socket() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let home = Home::new();
        let mut page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
        let mut open = page.open().await;
        open.snapshot().await;
        page.process.signal(signal);
        let status = page.process.wait_for_exit(TIMEOUT).await;
        assert_eq!(status.code(), Some(code));
        assert!(!home.root().join("state/quiver/run/page.sock").exists());
    }
}
