//! What is left of puts: nothing of a file that is stored, whichever of its client's puts stored it; and nothing
//! that others could have made is gone on with.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::PathBuf;

use quiver_e2e::quiver::names;
use quiver_e2e::random::Random;
use quiver_e2e::server::{ServerOptions, is_root};
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::wire::{Dialer, RawUpload};
use quiver_e2e::{Client, Key, Server, TIMEOUT, wait_until, wait_within};
use serde_json::json;

const MIB: usize = 1024 * 1024;
const QUOTA: usize = 100 * MIB;

fn uploads() -> ServerOptions {
    let options = Server::options().argument("--allow-upload").argument("--keep-free=0");
    options.argument(format!("--quota={QUOTA}"))
}

async fn counted(client: &Client) -> usize {
    let space = client.request(json!({"command": "space"})).await;
    QUOTA - usize::try_from(space.reply()["available"].as_u64().unwrap()).unwrap()
}

/// The parts on the server's disk.
fn parts(server: &Server) -> Vec<PathBuf> {
    let names = names(&server.files()).into_iter().filter(|name| name.starts_with(".quiver-"));
    names.map(|name| server.files().join(name)).collect()
}

/// A put of `big`, more than half of which is on the server's disk.
async fn begun(server: &Server, client: &Client, content: &[u8]) -> RawUpload {
    let before = parts(server);
    let mut upload = client.put("big", content.len()).await.unwrap();
    assert_eq!(upload.have(), None);
    upload.send_offset(0).await;
    upload.send_data(&content[..content.len() * 3 / 4]).await;
    let length = || {
        let new = parts(server).into_iter().filter(|part| !before.contains(part));
        new.filter_map(|part| fs::metadata(part).ok()).map(|part| part.len()).max().unwrap_or(0)
    };
    wait_until("content on the disk", || length() >= content.len() as u64 / 2).await;
    upload
}

#[tokio::test]
async fn a_third_connection_goes_on_with_what_two_dead_ones_had() {
    let server = uploads().start().await;
    let (key, content) = (Key::new(), Random::new(61).bytes(8 * MIB));
    let (first_path, second_path) =
        (UdpRelay::start(server.address()).await, UdpRelay::start(server.address()).await);
    let by = |path: &UdpRelay| Dialer::new(&server).key(&key).via(path.address());
    let (first, second) =
        (by(&first_path).sign_in("Ron").await, by(&second_path).sign_in("Ron").await);
    let third = Dialer::new(&server).key(&key).sign_in("Ron").await;
    let _first_put = begun(&server, &first, &content).await;
    first_path.cut();
    let second_put = second.put("big", content.len());
    tokio::pin!(second_put);
    // The second one waits until the first is known to be dead, and dies itself.
    tokio::select! {
        biased;
        _ = &mut second_put => panic!("nobody has asked whether the other connection lives"),
        said = second.message("Hello") => assert_eq!(said, "Hello ACK"),
    }
    second_path.cut();
    let third_put = third.put("big", content.len()).await.unwrap();
    let (have, _) = third_put.have().expect("what the first one sent");
    assert!(have >= content.len() as u64 / 2, "{have}");
    third_put.send_file(&content).await.unwrap();
    assert!(fs::read(server.files().join("big")).unwrap() == content);
    // The second one ends without a word.
    wait_until("the parts to go", || names(&server.files()) == ["big"]).await;
    let one = async {
        while counted(&third).await != content.len() {
            tokio::task::yield_now().await;
        }
    };
    wait_within(TIMEOUT, "one file to count", one).await;
}

#[tokio::test]
async fn a_stored_file_leaves_no_part_of_an_earlier_put() {
    // However it is stored: small, without a size, or beside the other.
    let content = Random::new(62).bytes(4 * MIB);
    for (what, size, bytes) in
        [("small", json!(1000), 1000), ("a pipe", json!(null), 200_000), ("empty", json!(0), 0)]
    {
        let server = uploads().start().await;
        let client = Client::member(&server, "Ron").await;
        begun(&server, &client, &content).await.finish().await.unwrap_err();
        assert_eq!(parts(&server).len(), 1, "{what}");
        let small = client.put("big", size).await.unwrap();
        small.send_file(&content[..bytes]).await.unwrap();
        assert_eq!(names(&server.files()), ["big"], "{what}");
        assert_eq!(counted(&client).await, bytes, "{what}");
    }
}

#[tokio::test]
async fn a_put_that_was_overtaken_leaves_no_part() {
    let server = uploads().start().await;
    let (key, content) = (Key::new(), Random::new(63).bytes(4 * MIB));
    let (first, second) = (
        Dialer::new(&server).key(&key).sign_in("Ron").await,
        Dialer::new(&server).key(&key).sign_in("Ron").await,
    );
    let old = begun(&server, &first, &content).await;
    // The first one lives: the second one starts over, beside it.
    let new = second.put("big", content.len()).await.unwrap();
    assert_eq!(new.have(), None);
    new.send_file(&content).await.unwrap();
    old.stream.abandon();
    server.log().wait_for("not stored: big from ").await;
    wait_until("the part to go", || parts(&server).is_empty()).await;
    assert_eq!(names(&server.files()), ["big"]);
    let all = async {
        while counted(&second).await != content.len() {
            tokio::task::yield_now().await;
        }
    };
    wait_within(TIMEOUT, "one file to count", all).await;
}

#[tokio::test]
async fn a_part_that_others_could_have_made_is_not_gone_on_with() {
    let content = Random::new(64).bytes(4 * MIB);
    let mut ways = vec!["a second name", "everybody may write to it"];
    if is_root() {
        ways.push("somebody else's");
    } else {
        eprintln!("SKIPPED: somebody else's part, which takes root");
    }
    for way in ways {
        let server = uploads().start().await;
        let client = Client::member(&server, "Ron").await;
        begun(&server, &client, &content).await.finish().await.unwrap_err();
        let part = parts(&server).remove(0);
        let precious = server.root().join("precious");
        fs::write(&precious, &content[..MIB]).unwrap();
        match way {
            "a second name" => {
                fs::remove_file(&part).unwrap();
                fs::hard_link(&precious, &part).unwrap();
            }
            "somebody else's" => chown(&part, Some(12_345), None).unwrap(),
            _ => fs::set_permissions(&part, fs::Permissions::from_mode(0o666)).unwrap(),
        }
        let kept = client.request(json!({"command": "kept", "path": "big"})).await;
        assert_eq!(kept.reply().get("have"), None, "{way}");
        let put = client.put("big", content.len()).await.unwrap();
        assert_eq!(put.have(), None, "{way}");
        put.send_file(&content).await.unwrap();
        server.log().wait_for("the partial file of big is not used").await;
        assert!(fs::read(&precious).unwrap() == content[..MIB], "{way}");
        assert!(fs::read(server.files().join("big")).unwrap() == content, "{way}");
        assert_eq!(fs::metadata(server.files().join("big")).unwrap().nlink(), 1, "{way}");
        assert_eq!(names(&server.files()), ["big"], "{way}");
        assert_eq!(counted(&client).await, content.len(), "{way}");
    }
}
