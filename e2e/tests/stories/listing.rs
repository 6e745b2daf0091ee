//! `quiver list` with columns, subfolders and orders.

use std::fs;

use quiver_e2e::{Home, PromptUser, Server, tree};
use serde_json::Value;

/// Seconds of 2024-10-19 12:00:00 UTC, which is the same day in most time zones.
const NOON: u64 = 1_729_339_200;

/// A server with files of known sizes and times.
async fn server() -> Server {
    let server = Server::start().await;
    for (path, size, hours) in
        [("small.txt", 12, 0), ("big.iso", 1_500_000, 2), ("notes/deep/c", 999, 1)]
    {
        let file = server.add_file(path, vec![0; size]);
        tree::set_modified(&file, NOON + hours * 3600);
    }
    server
}

async fn list(server: &Server, arguments: &[&str]) -> String {
    let home = Home::new();
    let quiver = home.quiver_as(server, "Ron", ["list"]).environment("TZ", "UTC");
    let listed = quiver.arguments(arguments).run().await;
    listed.expect(0).stdout.clone()
}

#[tokio::test]
async fn a_long_list_has_aligned_columns_and_totals() {
    let server = server().await;
    let long = list(&server, &["-l"]).await;
    let rows: Vec<&str> = long.lines().collect();
    assert_eq!(rows[0], "   1.5 MB  2024-10-19 14:00  big.iso");
    assert!(rows[1].starts_with("        -  20") && rows[1].ends_with("  notes/"), "{long}");
    assert!(rows[2].ends_with("  2024-10-19 12:00  small.txt"), "{long}");
    let columns: Vec<_> = rows[..3].iter().map(|row| row.find("  20").unwrap()).collect();
    assert_eq!(columns, [9, 9, 9], "{long}");
    assert_eq!(rows[3..], ["2 files, 1 folder, 1.5 MB"]);
    // Bare names stay the default.
    assert_eq!(list(&server, &[]).await, "big.iso\nnotes/\nsmall.txt\n");
}

#[tokio::test]
async fn a_recursive_list_has_everything_in_the_folders() {
    let server = server().await;
    assert_eq!(
        list(&server, &["-r"]).await,
        "big.iso\nnotes/\nsmall.txt\nnotes/deep/\nnotes/deep/c\n"
    );
    let long = list(&server, &["-lr", "notes"]).await;
    assert!(long.ends_with("\n1 file, 1 folder, 999 B\n"), "{long}");
    let objects = list(&server, &["-r", "--json", "--sort", "size"]).await;
    let paths: Vec<Value> = objects
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["path"].clone())
        .collect();
    assert_eq!(paths, ["big.iso", "notes/deep/c", "small.txt", "notes", "notes/deep"]);
}

#[tokio::test]
async fn a_list_is_sorted_by_name_size_or_time() {
    let server = server().await;
    fs::remove_dir_all(server.files().join("notes")).unwrap();
    let middle = server.add_file("middle", [0; 100]);
    tree::set_modified(&middle, NOON + 3600);
    for (arguments, expected) in [
        (&["--sort", "name"][..], "big.iso\nmiddle\nsmall.txt\n"),
        (&["--reverse"], "small.txt\nmiddle\nbig.iso\n"),
        (&["--sort", "size"], "big.iso\nmiddle\nsmall.txt\n"),
        (&["--sort", "size", "--reverse"], "small.txt\nmiddle\nbig.iso\n"),
        (&["--sort", "time"], "big.iso\nmiddle\nsmall.txt\n"),
        (&["--sort=time", "--reverse", "*i*"], "small.txt\nmiddle\nbig.iso\n"),
    ] {
        let expected = match arguments.last() {
            // Without the name that the pattern does not match.
            Some(&"*i*") => expected.replace("small.txt\n", ""),
            _ => expected.to_owned(),
        };
        assert_eq!(list(&server, arguments).await, expected, "{arguments:?}");
    }
    let home = Home::new();
    let refused = home.quiver_as(&server, "Ron", ["list", "--sort", "colour"]).run().await;
    assert!(refused.expect(2).stderr.contains("name, size, time"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_long_list_at_the_prompt_is_aligned_too() {
    let server = server().await;
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    let long = ron.enter("list -l");
    let rows: Vec<&str> = long.lines().collect();
    assert!(rows[0].starts_with("   1.5 MB  20") && rows[0].ends_with("  big.iso"), "{long}");
    assert_eq!(rows[3], "2 files, 1 folder, 1.5 MB");
    assert_eq!(ron.enter("list"), "Server: big.iso\nnotes/\nsmall.txt");
}

#[tokio::test]
async fn a_list_of_many_folders_has_all_of_their_files() {
    const FOLDERS: usize = 300;
    let server = Server::start().await;
    for folder in 0..FOLDERS {
        server.add_file(format!("many/{folder}/file"), "content");
    }
    let long = list(&server, &["-lr"]).await;
    assert_eq!(long.lines().last(), Some("300 files, 301 folders, 2.1 kB"));
    assert_eq!(long.lines().count(), 2 * FOLDERS + 2);
}
