//! `quiver put -r` to a real server: the stored files are the same as the local ones.

use std::fs;
use std::os::unix::fs::symlink;

use quiver_e2e::process::ProgramOutput;
use quiver_e2e::quiver::names;
use quiver_e2e::tree::{self, TreeEntry};
use quiver_e2e::{Home, PromptUser, Server};
use serde_json::{Value, json};

async fn start_server() -> Server {
    Server::options().argument("--allow-upload").start().await
}

/// `quiver put ...` as Ron.
async fn put(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", ["put"]).arguments(arguments).run().await
}

#[tokio::test]
async fn put_stores_a_folder_with_all_its_content() {
    let server = start_server().await;
    let home = Home::new();
    let notes = home.file("notes");
    tree::create_sample(&notes, 32);
    symlink("a.txt", notes.join("link")).unwrap();
    symlink("/", notes.join("deep/root")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(notes.join("socket")).unwrap();
    for path in ["notes/deep", "notes"] {
        tree::set_modified(&home.file(path), 1_300_000_000);
    }
    let stored = put(&home, &server, &["-r", "notes"]).await;
    assert_eq!(stored.expect(0).stdout, "");
    for notice in [
        "notes/link: left out, it is a symbolic link\n",
        "notes/deep/root: left out, it is a symbolic link\n",
    ] {
        assert!(stored.stderr.contains(notice), "{}", stored.stderr);
    }
    assert!(stored.stderr.contains("8 files stored and verified ("), "{}", stored.stderr);
    assert!(stored.stderr.contains(", 3 left out\n"), "{}", stored.stderr);
    let mut local = tree::read(&home.folder());
    local.retain(|_, entry| *entry != TreeEntry::Other);
    let remote = tree::read(&server.files());
    assert!(local == remote, "{:?}\n{:?}", local.keys(), remote.keys());
    // The second run transfers and changes nothing.
    let again = put(&home, &server, &["-r", "notes/"]).await;
    let summary = "0 files stored, 8 already there, 3 left out\n";
    assert!(again.expect(0).stderr.ends_with(summary), "{}", again.stderr);
    assert!(tree::read(&server.files()) == remote);
    // A get of the folder receives the same tree.
    let other = Home::new();
    other.quiver_as(&server, "Ron", ["get", "-r", "notes"]).run().await.expect(0);
    assert!(tree::read(&other.folder()) == remote);
    // Without -r, put refuses a folder.
    let refused = put(&home, &server, &["notes"]).await;
    assert!(refused.expect(7).stderr.contains("hint: put -r stores folders"), "{}", refused.stderr);
}

#[tokio::test]
async fn put_leaves_out_partial_files_of_unfinished_gets() {
    let server = start_server().await;
    let home = Home::new();
    fs::create_dir(home.file("notes")).unwrap();
    for name in ["a", ".quiver-0123456789abcdef.part"] {
        fs::write(home.file("notes").join(name), "content").unwrap();
    }
    let stored = put(&home, &server, &["-r", "notes"]).await;
    let notice = "notes/.quiver-0123456789abcdef.part: left out, it is a partial file\n";
    assert!(stored.expect(0).stderr.contains(notice), "{}", stored.stderr);
    assert!(stored.stderr.contains(", 1 left out\n"), "{}", stored.stderr);
    assert_eq!(names(&server.files().join("notes")), ["a"]);
}

#[tokio::test]
async fn put_stores_a_folder_at_the_given_path() {
    let server = start_server().await;
    let home = Home::new();
    for path in ["n/a", "n/sub/b", "c"] {
        fs::create_dir_all(home.file(path).parent().unwrap()).unwrap();
        fs::write(home.file(path), path).unwrap();
    }
    let stored = || tree::read(&server.files()).into_keys().collect::<Vec<_>>();
    // Into a new folder, through a local link, under another name, and without the folder's own
    // name.
    put(&home, &server, &["-r", "n", "c", "--to", "new/deep"]).await.expect(0);
    let all = [
        "new",
        "new/deep",
        "new/deep/c",
        "new/deep/n",
        "new/deep/n/a",
        "new/deep/n/sub",
        "new/deep/n/sub/b",
    ];
    assert_eq!(stored(), all);
    fs::remove_dir_all(server.files().join("new")).unwrap();
    symlink(home.file("n"), home.file("link")).unwrap();
    put(&home, &server, &["-r", "link"]).await.expect(0);
    put(&home, &server, &["-r", "n/sub", "--as", "other"]).await.expect(0);
    assert_eq!(stored(), ["link", "link/a", "link/sub", "link/sub/b", "other", "other/b"]);
    fs::remove_dir_all(server.files().join("link")).unwrap();
    fs::remove_dir_all(server.files().join("other")).unwrap();
}

#[tokio::test]
async fn put_of_a_path_that_ends_with_a_dot_stores_the_contents_of_the_folder() {
    let server = start_server().await;
    let home = Home::new();
    for path in ["n/a", "n/sub/b"] {
        fs::create_dir_all(home.file(path).parent().unwrap()).unwrap();
        fs::write(home.file(path), path).unwrap();
    }
    symlink("n", home.file("link")).unwrap();
    let stored = || tree::read(&server.files()).into_keys().collect::<Vec<_>>();
    let absolute = home.file("n").join(".");
    for (folder, path) in [
        ("n", "."),
        ("n", "./"),
        ("", "n/."),
        ("", "n/./"),
        ("", "./n/."),
        ("", "link/."),
        ("", "n/sub/.."),
        ("n/sub", ".."),
        ("", absolute.to_str().unwrap()),
    ] {
        let put = home.quiver_as(&server, "Ron", ["put", "-r", path]).in_folder(home.file(folder));
        put.run().await.expect(0);
        assert_eq!(stored(), ["a", "sub", "sub/b"], "{path}");
        let put = home.quiver_as(&server, "Ron", ["put", "-r", path, "--to", "x"]);
        put.in_folder(home.file(folder)).run().await.expect(0);
        assert_eq!(stored(), ["a", "sub", "sub/b", "x", "x/a", "x/sub", "x/sub/b"], "{path}");
        for name in ["sub", "x"] {
            fs::remove_dir_all(server.files().join(name)).unwrap();
        }
        fs::remove_file(server.files().join("a")).unwrap();
        // With a new name, the folder itself is stored.
        let put = home.quiver_as(&server, "Ron", ["put", "-r", path, "--as", "y"]);
        put.in_folder(home.file(folder)).run().await.expect(0);
        assert_eq!(stored(), ["y", "y/a", "y/sub", "y/sub/b"], "{path}");
        fs::remove_dir_all(server.files().join("y")).unwrap();
    }
    // The slash alone is part of the folder's name.
    put(&home, &server, &["-r", "n/"]).await.expect(0);
    assert_eq!(stored(), ["n", "n/a", "n/sub", "n/sub/b"]);
    put(&home, &server, &["n/."]).await.expect(7);
    put(&home, &server, &["-r", "n/a/."]).await.expect(7);
    let root = put(&home, &server, &["-r", "/", "--as", "y"]).await;
    assert!(root.expect(2).stderr.contains("hint: --to DIR sets the folder"), "{}", root.stderr);
}

#[tokio::test]
async fn put_stores_the_files_with_valid_names_of_a_folder() {
    let server = start_server().await;
    let home = Home::new();
    fs::create_dir(home.file("n")).unwrap();
    for name in ["good", "aux.txt", "back\\slash", "dot."] {
        fs::write(home.file("n").join(name), name).unwrap();
    }
    let stored = put(&home, &server, &["-r", "n"]).await;
    let stderr = &stored.expect(10).stderr;
    assert!(stderr.contains("n/aux.txt: left out, a part of the path is a reserved"), "{stderr}");
    assert!(stderr.contains("1 file stored and verified"), "{stderr}");
    assert!(stderr.contains(", 3 left out\n"), "{stderr}");
    assert!(stderr.ends_with("error: 3 of 4 files were not stored\n"), "{stderr}");
    assert_eq!(server.stored_names(), ["n"]);
    assert_eq!(tree::names(&server.files().join("n")), ["good"]);
}

#[tokio::test]
async fn put_replaces_different_files_only_if_the_user_says_so() {
    let home = Home::new();
    fs::create_dir(home.file("n")).unwrap();
    for (path, content) in [("n/same", "same"), ("n/size", "new size"), ("n/content", "new")] {
        fs::write(home.file(path), content).unwrap();
    }
    let server = start_server().await;
    for (path, content) in [("n/same", "same"), ("n/size", "old"), ("n/content", "old")] {
        server.add_file(path, content);
    }
    let text = |name: &str| fs::read_to_string(server.files().join("n").join(name)).unwrap();
    let refused = put(&home, &server, &["-r", "n"]).await;
    let summary = "0 files stored, 1 already there, 2 failed\n";
    assert!(refused.expect(10).stderr.contains(summary), "{}", refused.stderr);
    let skipped = put(&home, &server, &["-r", "n", "--skip"]).await;
    let summary = "0 files stored, 1 already there, 2 left unchanged\n";
    assert_eq!(skipped.expect(0).stderr, summary);
    assert_eq!((text("size"), text("content")), ("old".into(), "old".into()));
    let both = put(&home, &server, &["-r", "n", "--keep-both"]).await;
    assert!(
        both.expect(0).stderr.contains("n/size is kept, the new file is n/size (2)\n"),
        "{}",
        both.stderr
    );
    assert_eq!((text("size"), text("size (2)")), ("old".into(), "new size".into()));
    let replaced = put(&home, &server, &["-r", "n", "--overwrite", "--json"]).await;
    let lines: Vec<Value> =
        replaced.expect(0).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = json!({"summary": {"moved": 2, "bytes": 11, "same": 1, "kept": 0, "failed": 0, "left_out": 0}});
    assert_eq!((lines.len(), lines.last()), (4, Some(&summary)));
    assert_eq!((text("size"), text("content")), ("new size".into(), "new".into()));
}

#[tokio::test]
async fn put_of_a_tree_that_does_not_fit_stores_nothing() {
    let server = Server::options();
    let server =
        server.argument("--allow-upload").argument("--quota").argument("1MB").start().await;
    let home = Home::new();
    fs::create_dir(home.file("n")).unwrap();
    for name in ["a", "b"] {
        fs::write(home.file("n").join(name), vec![7; 700_000]).unwrap();
    }
    let refused = put(&home, &server, &["-r", "n"]).await;
    let why = "1.4 MB are needed, but only 1.0 MB are free";
    assert!(refused.expect(1).stderr.contains(why), "{}", refused.stderr);
    assert_eq!(tree::names(&server.files()), [""; 0]);
}

#[tokio::test]
async fn the_server_refuses_the_folder_of_a_read_only_client() {
    let server = Server::start().await;
    let home = Home::new();
    fs::create_dir(home.file("n")).unwrap();
    let refused = put(&home, &server, &["-r", "n"]).await;
    assert!(refused.expect(1).stderr.contains("read-only for you"), "{}", refused.stderr);
    assert_eq!(tree::names(&server.files()), [""; 0]);
}

#[tokio::test]
async fn put_stores_trees_at_the_prompt() {
    let server = start_server().await;
    let home = Home::new();
    fs::create_dir(home.file("n")).unwrap();
    fs::write(home.file("n/a"), "a").unwrap();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    let output = ron.enter("put -r n");
    assert!(output.contains("1 file stored and verified"), "{output}");
    ron.exit();
    assert_eq!(fs::read_to_string(server.files().join("n/a")).unwrap(), "a");
}
