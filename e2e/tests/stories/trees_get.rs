//! `quiver get` of folders and patterns from a real server: the local files are the same as those
//! of the server.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::os::unix::fs::symlink;

use quiver_e2e::disk::{SmallDisk, small_disks_available};
use quiver_e2e::fake_server::{FakeServer, Step};
use quiver_e2e::process::ProgramOutput;
use quiver_e2e::tree::{self, TreeEntry};
use quiver_e2e::{Home, PromptUser, Server};
use serde_json::{Value, json};

/// `quiver get ...` as Ron.
async fn get(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", ["get"]).arguments(arguments).run().await
}

/// Parses the lines of JSON on standard output.
fn parse_lines(output: &ProgramOutput) -> Vec<Value> {
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn get_receives_a_folder_with_all_its_content() {
    let server = Server::start().await;
    tree::create_sample(&server.add_file("notes/x", "").with_file_name(""), 31);
    fs::remove_file(server.files().join("notes/x")).unwrap();
    symlink("a.txt", server.files().join("notes/link")).unwrap();
    tree::set_modified(&server.files().join("notes"), 1_200_000_000);
    let home = Home::new();
    let got = get(&home, &server, &["-r", "notes"]).await;
    assert_eq!(got.expect(0).stdout, "");
    let left_out = "notes/link: left out, it is a symbolic link\n";
    assert!(got.stderr.starts_with(left_out), "{}", got.stderr);
    assert!(got.stderr.contains("8 files received and verified ("), "{}", got.stderr);
    assert!(got.stderr.contains(", 1 left out\n"), "{}", got.stderr);
    let mut remote = tree::read(&server.files());
    assert_eq!(remote.remove("notes/link"), Some(TreeEntry::Other));
    let local = tree::read(&home.folder());
    assert!(local == remote, "{:?}\n{:?}", local.keys(), remote.keys());
    // The second run transfers and changes nothing.
    let again = get(&home, &server, &["-r", "notes/"]).await;
    let summary = "0 files received, 8 already there, 1 left out\n";
    assert_eq!(again.expect(0).stderr, format!("{left_out}{summary}"));
    assert!(tree::read(&home.folder()) == local);
    // Without -r, get refuses a folder.
    let refused = get(&Home::new(), &server, &["notes"]).await;
    assert!(refused.expect(7).stderr.contains("get -r PATH fetches them"), "{}", refused.stderr);
}

#[tokio::test]
async fn get_receives_the_whole_served_folder_into_a_local_folder() {
    let server = Server::start().await;
    for path in ["a", "b/c", "b/d/e"] {
        server.add_file(path, path);
    }
    let home = Home::new();
    fs::create_dir(home.file("all")).unwrap();
    get(&home, &server, &["-r", "/", "-o", "all"]).await.expect(0);
    let names: Vec<String> = tree::read(&home.file("all")).into_keys().collect();
    assert_eq!(names, ["a", "b", "b/c", "b/d", "b/d/e"]);
    // With -r, get receives single files too.
    get(&home, &server, &["-r", "b/c", "b/d"]).await.expect(0);
    assert_eq!(home.names(), ["all", "c", "d"]);
}

#[tokio::test]
async fn get_matches_a_pattern_with_the_names_on_the_server() {
    let server = Server::start().await;
    for path in ["a.txt", "b.txt", "c.md", "[d].txt", "notes/e.txt", "notes/f/g.txt", "x.txt/h"] {
        server.add_file(path, path);
    }
    for (pattern, names) in [
        ("*.txt", vec!["[d].txt", "a.txt", "b.txt"]),
        ("[ab].txt", vec!["a.txt", "b.txt"]),
        ("[d].txt", vec!["[d].txt"]),
        ("notes/?.txt", vec!["e.txt"]),
        ("**/*.txt", vec!["[d].txt", "a.txt", "b.txt", "e.txt", "g.txt"]),
        ("notes/**/g.txt", vec!["g.txt"]),
    ] {
        let home = Home::new();
        get(&home, &server, &[pattern]).await.expect(0);
        assert_eq!(home.names(), names, "{pattern}");
    }
    let home = Home::new();
    get(&home, &server, &["-r", "*s", "x*"]).await.expect(0);
    let names: Vec<String> = tree::read(&home.folder()).into_keys().collect();
    let all = ["notes", "notes/e.txt", "notes/f", "notes/f/g.txt", "x.txt", "x.txt/h"];
    assert_eq!(names, all);
    let no_match = get(&home, &server, &["*.png"]).await;
    assert_eq!(
        no_match.expect(7).stderr,
        "error: cannot get *.png: nothing matches\nhint: list shows the server's files\n"
    );
    // The files that match are received although other patterns match nothing.
    let some = get(&home, &server, &["*.png", "c.*", "missing*"]).await;
    assert!(some.expect(10).stderr.contains("1 file received and verified"), "{}", some.stderr);
    assert!(some.stderr.ends_with("error: 2 of 3 files were not downloaded\n"), "{}", some.stderr);
    for (invalid, code) in [("../*", 2), ("a/../b*", 2), ("[", 7)] {
        let refused = get(&home, &server, &[invalid]).await;
        let error = format!("error: cannot get {invalid}: ");
        assert!(refused.expect(code).stderr.starts_with(&error), "{}", refused.stderr);
        assert!(!refused.stderr.contains("nothing matches"), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn get_prefers_names_that_are_spelled_like_the_pattern() {
    let server = Server::start().await;
    for path in ["x*y", "xzy", "a [1.pdf", "Photos [2024/a.jpg", "d[1]/a", "d1/b", "e*/f?", "e*/fx"]
    {
        server.add_file(path, path);
    }
    let received = async |arguments: &[&str], expected: &[&str]| {
        let home = Home::new();
        get(&home, &server, arguments).await.expect(0);
        let received: Vec<String> = tree::read(&home.folder()).into_keys().collect();
        assert_eq!(received, expected, "{arguments:?}");
    };
    received(&["x*y"], &["x*y"]).await;
    received(&["x?y"], &["x*y", "xzy"]).await;
    received(&["a [1.pdf"], &["a [1.pdf"]).await;
    received(&["Photos [2024/a.jpg"], &["a.jpg"]).await;
    received(&["-r", "Photos [2024"], &["Photos [2024", "Photos [2024/a.jpg"]).await;
    received(&["d[1]/*"], &["a"]).await;
    received(&["e*/f?"], &["f?"]).await;
    let missing = get(&Home::new(), &server, &["b [1.pdf"]).await;
    let expected = "error: cannot get b [1.pdf: no such file or folder\n";
    assert!(missing.expect(7).stderr.starts_with(expected), "{}", missing.stderr);
}

#[tokio::test]
async fn get_writes_the_files_of_a_pattern_to_standard_output() {
    let server = Server::start().await;
    for path in ["1.txt", "2.txt", "3.md"] {
        server.add_file(path, format!("{path}\n"));
    }
    let home = Home::new();
    let got = get(&home, &server, &["?.txt", "-o", "-"]).await;
    assert_eq!(got.expect(0).stdout, "1.txt\n2.txt\n");
    assert!(home.names().is_empty());
    get(&home, &server, &["-r", "/", "-o", "-"]).await.expect(2);
}

#[tokio::test]
async fn get_replaces_different_files_only_if_the_user_says_so() {
    let server = Server::start().await;
    for (path, content) in [("n/same", "same"), ("n/size", "new size"), ("n/content", "new")] {
        server.add_file(path, content);
    }
    let prepare = || {
        let home = Home::new();
        fs::create_dir(home.file("n")).unwrap();
        for (path, content) in [("n/same", "same"), ("n/size", "old"), ("n/content", "old")] {
            fs::write(home.file(path), content).unwrap();
        }
        home
    };
    let text = |home: &Home, name: &str| fs::read_to_string(home.file("n").join(name)).unwrap();
    let home = prepare();
    let refused = get(&home, &server, &["-r", "n"]).await;
    assert!(refused.expect(10).stderr.contains("n/size exists already"), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("0 files received, 1 already there, 2 failed\n"),
        "{}",
        refused.stderr
    );
    assert_eq!((text(&home, "size"), text(&home, "content")), ("old".into(), "old".into()));

    let skipped = get(&home, &server, &["-r", "n", "--skip"]).await;
    let summary = "0 files received, 1 already there, 2 left unchanged\n";
    assert_eq!(skipped.expect(0).stderr, summary);
    assert_eq!(text(&home, "content"), "old");

    let both = get(&home, &server, &["-r", "n", "--keep-both"]).await;
    both.expect(0);
    assert!(
        both.stderr.contains("n/size is kept, the new file is n/size (2)\n"),
        "{}",
        both.stderr
    );
    assert_eq!((text(&home, "size"), text(&home, "size (2)")), ("old".into(), "new size".into()));
    assert_eq!((text(&home, "content"), text(&home, "content (2)")), ("old".into(), "new".into()));

    let home = prepare();
    let replaced = get(&home, &server, &["-r", "n", "--overwrite", "--json"]).await;
    let lines = parse_lines(replaced.expect(0));
    let summary = json!({"summary": {"moved": 2, "bytes": 11, "same": 1, "kept": 0, "failed": 0, "left_out": 0}});
    assert_eq!(lines.last(), Some(&summary));
    assert_eq!(lines.len(), 4);
    assert_eq!((text(&home, "size"), text(&home, "content")), ("new size".into(), "new".into()));
    // The options exclude each other.
    for pair in
        [["--skip", "--overwrite"], ["--skip", "--keep-both"], ["--keep-both", "--overwrite"]]
    {
        get(&home, &server, &["n/same", pair[0], pair[1]]).await.expect(2);
    }
    // The options work for single files too.
    let one = get(&home, &server, &["n/size", "n/same", "--skip"]).await;
    assert!(one.expect(0).stderr.contains("2 files received"), "{}", one.stderr);
}

#[tokio::test]
async fn get_does_not_write_through_local_symbolic_links() {
    let server = Server::start().await;
    for path in ["n/sub/file", "n/file"] {
        server.add_file(path, "from the server");
    }
    let home = Home::new();
    let outside = home.root().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "precious").unwrap();
    fs::create_dir(home.file("n")).unwrap();
    symlink(&outside, home.file("n/sub")).unwrap();
    symlink(outside.join("precious"), home.file("n/file")).unwrap();
    let got = get(&home, &server, &["-r", "n", "--overwrite"]).await;
    assert!(
        got.expect(10).stderr.contains("n/sub: a symbolic link has that name"),
        "{}",
        got.stderr
    );
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(outside.join("precious")).unwrap(), "precious");
    // The link to a file is replaced itself.
    assert!(home.file("n/file").symlink_metadata().unwrap().is_file());
}

#[tokio::test]
async fn get_of_a_tree_that_does_not_fit_receives_nothing() {
    if !small_disks_available() {
        return;
    }
    let server = Server::start().await;
    server.add_file("n/a", vec![1; 700_000]);
    server.add_file("n/b", vec![2; 700_000]);
    let home = Home::new();
    let disk = SmallDisk::mount(&home.folder(), "1m");
    let plan =
        home.quiver_as(&server, "Ron", ["get", "-r", "n", "--dry-run"]).in_folder(disk.folder());
    let plan = plan.run().await;
    assert!(
        plan.expect(0).stdout.contains("does not fit        n/b (700.0 kB)"),
        "{}",
        plan.stdout
    );
    let got =
        home.quiver_as(&server, "Ron", ["get", "-r", "n"]).in_folder(disk.folder()).run().await;
    assert!(got.expect(8).stderr.contains("1.4 MB are needed, but only "), "{}", got.stderr);
    assert_eq!(fs::read_dir(disk.folder()).unwrap().count(), 0);
}

#[tokio::test]
async fn get_rejects_a_list_with_paths_outside_the_requested_folder() {
    for evil in ["../evil", "/tmp/evil", "other/evil", "n/../../evil", "n/sub/evil", "evil"] {
        let impostor = FakeServer::start(move |request| {
            let moment = "2024-10-19T17:45:47Z";
            let entry = |path: &str, kind: &str| {
                let entry = json!({"reply": "entry", "path": path, "kind": kind, "size": 4, "modified": moment});
                Step::reply(&entry)
            };
            let end = [Step::eof(&json!({"entries": 1, "not_served": 0})), Step::Finish];
            match (request["command"].as_str()?, request["path"].as_str()) {
                ("list", Some("")) => Some([entry("n", "folder")].into_iter().chain(end).collect()),
                ("list", Some("n")) => Some([entry(evil, "file")].into_iter().chain(end).collect()),
                _ => None,
            }
        });
        let home = Home::new();
        let quiver = home.quiver(["--name", "Ron", "get", "-r", "n"]);
        let got = quiver.server(impostor.address(), &impostor.certificate()).run().await;
        assert_ne!(got.code(), 0, "{evil}: {}", got.stderr);
        assert!(got.stderr.contains("error: cannot list n: "), "{evil}: {}", got.stderr);
        assert!(home.names().is_empty(), "{evil}: {:?}", home.names());
        assert!(!home.root().join("evil").exists(), "{evil}");
    }
}

#[tokio::test]
async fn get_receives_trees_at_the_prompt_and_from_piped_commands() {
    let server = Server::start().await;
    for path in ["n/a", "n/b", "c.txt"] {
        server.add_file(path, path);
    }
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    let output = ron.enter("get -r n");
    assert!(output.contains("2 files received and verified"), "{output}");
    let output = ron.enter("get *.txt");
    assert!(output.contains("1 file received and verified"), "{output}");
    ron.exit();
    assert_eq!(home.names(), ["c.txt", "n"]);
    let home = Home::new();
    let piped = home.quiver_as(&server, "Ben", Vec::<&str>::new());
    piped.run_with_input("get -r n\nget c.*\n").await.expect(0);
    assert_eq!(home.names(), ["c.txt", "n"]);
}
