//! Two clients get a file while a third replaces it repeatedly: each get returns one whole version.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::HashSet;
use std::fs;

use quiver_e2e::process::Process;
use quiver_e2e::random::Random;
use quiver_e2e::{Home, Server, TIMEOUT};

const MIB: usize = 1024 * 1024;

/// How often each client repeats its command.
const ROUNDS: usize = 8;

/// Gets `same` [`ROUNDS`] times, and returns the hash of each received file.
async fn get_repeatedly(server: &Server, home: &Home, name: &str) -> Vec<blake3::Hash> {
    let mut hashes = Vec::new();
    for _ in 0..ROUNDS {
        let quiver = home.quiver_as(server, name, ["get", "same", "--overwrite", "--quiet"]);
        expect_success(quiver.start()).await;
        hashes.push(blake3::hash(&fs::read(home.file("same")).unwrap()));
        assert_eq!(home.names(), ["same"]);
    }
    hashes
}

async fn expect_success(mut process: Process) {
    let status = process.wait_for_exit(TIMEOUT).await;
    assert_eq!(status.code(), Some(0), "{}", process.stderr.lines().join("\n"));
}

#[tokio::test]
async fn clients_receive_whole_files_while_another_client_replaces_them() {
    let server = Server::options().argument("--allow-upload").start().await;
    // The lengths differ, so that the length of a mixed file would be wrong too.
    let versions = [(71, 6 * MIB + 1), (72, 5 * MIB + 7), (73, 6 * MIB)]
        .map(|(seed, size)| Random::new(seed).bytes(size));
    let hashes: HashSet<_> = versions.iter().map(|version| blake3::hash(version)).collect();
    server.add_file("same", &versions[0]);
    let homes = [(); 3].map(|()| Home::new());
    let puts = async {
        for round in 0..ROUNDS {
            fs::write(homes[2].file("same"), &versions[round % versions.len()]).unwrap();
            let quiver =
                homes[2].quiver_as(&server, "Pete", ["put", "same", "--overwrite", "--quiet"]);
            expect_success(quiver.start()).await;
        }
    };
    let (hashes_of_ron, hashes_of_ben, ()) = tokio::join!(
        get_repeatedly(&server, &homes[0], "Ron"),
        get_repeatedly(&server, &homes[1], "Ben"),
        puts
    );
    let received: HashSet<_> = hashes_of_ron.into_iter().chain(hashes_of_ben).collect();
    assert!(received.is_subset(&hashes), "a received file is none of the versions");
    assert!(received.len() > 1, "no put ran at the same time as the gets");
    assert!(fs::read(server.files().join("same")).unwrap() == versions[(ROUNDS - 1) % 3]);
    assert_eq!(server.stored_names(), ["same"]);
}
