//! Two who get and one who puts the same name again and again: whatever is got is whole, one version or
//! another.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::collections::HashSet;
use std::fs;

use quiver_e2e::process::Process;
use quiver_e2e::random::Random;
use quiver_e2e::{Home, Server, TIMEOUT};

const MIB: usize = 1024 * 1024;

/// How often each of them does it.
const ROUNDS: usize = 8;

/// Gets `same` again and again; the hash of each that arrived.
async fn gets(server: &Server, home: &Home, name: &str) -> Vec<blake3::Hash> {
    let mut hashes = Vec::new();
    for _ in 0..ROUNDS {
        let quiver = home.quiver_as(server, name, ["get", "same", "--overwrite", "--quiet"]);
        ended_well(quiver.start()).await;
        hashes.push(blake3::hash(&fs::read(home.file("same")).unwrap()));
        assert_eq!(home.names(), ["same"]);
    }
    hashes
}

async fn ended_well(mut process: Process) {
    let status = process.wait_for_exit(TIMEOUT).await;
    assert_eq!(status.code(), Some(0), "{}", process.stderr.lines().join("\n"));
}

#[tokio::test]
async fn every_get_beside_a_put_is_whole() {
    let server = Server::options().argument("--allow-upload").start().await;
    // Of different lengths, so that a mixture would be seen by its length too.
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
            ended_well(quiver.start()).await;
        }
    };
    let (rons, bens, ()) =
        tokio::join!(gets(&server, &homes[0], "Ron"), gets(&server, &homes[1], "Ben"), puts);
    let got: HashSet<_> = rons.into_iter().chain(bens).collect();
    assert!(got.is_subset(&hashes), "a get was neither version");
    assert!(got.len() > 1, "nothing was put while somebody got it");
    assert!(fs::read(server.files().join("same")).unwrap() == versions[(ROUNDS - 1) % 3]);
    assert_eq!(server.stored_names(), ["same"]);
}
