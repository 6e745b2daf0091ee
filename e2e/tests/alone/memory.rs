//! The server's memory during large or many transfers.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs::File;

use quiver_e2e::wire::Dialer;
use quiver_e2e::{Client, Server};

/// KiB in a MiB.
const MIB: u64 = 1024;

fn add_big_file(server: &Server, mib: u64) {
    File::create(server.files().join("big")).unwrap().set_len(mib * 1024 * 1024).unwrap();
}

#[tokio::test]
async fn a_get_of_300_mib_takes_less_than_64_mib() {
    let server = Server::start().await;
    add_big_file(&server, 300);
    let client = Client::member(&server, "Ron").await;
    let content = client.get("big").await.unwrap().finish().await.unwrap();
    assert_eq!(content.bytes, 300 * 1024 * 1024);
    content.acknowledge().await;
    let memory = server.memory();
    assert!(memory.peak < 64 * MIB, "{memory:?}");
}

#[tokio::test]
async fn members_that_read_nothing_stay_within_the_memory_budget() {
    const MEMBERS: u64 = 20;
    let server = Server::options().max_clients(MEMBERS as u32).start().await;
    add_big_file(&server, 300);
    let mut downloads = Vec::new();
    for number in 0..MEMBERS {
        // Small windows, so that most content stays in the server's memory.
        let dial = Dialer::new(&server).transport(|settings| {
            settings.stream_receive_window((64 * 1024_u32).into());
        });
        let member = dial.sign_in(&format!("member-{number}")).await;
        for _ in 0..16 {
            let mut download = member.get("big").await.unwrap();
            download.read_at_least(1).await;
            downloads.push((member.clone(), download));
        }
        member.assert_alive().await;
    }
    let memory = server.memory();
    // 64 MiB, and 6.25 MiB for each busy member.
    assert!(memory.peak * 4 < 64 * 4 * MIB + 25 * MIB * MEMBERS, "{memory:?}");
    // The memory of abandoned gets is released or reused.
    for (_, download) in downloads {
        download.stream.abandon();
    }
    server.log().wait_for_nth("not delivered: big", 16 * MEMBERS as usize).await;
}

#[tokio::test]
async fn members_with_stalled_puts_stay_within_the_memory_budget() {
    const MEMBERS: u64 = 20;
    let uploads = Server::options().argument("--allow-upload").argument("--keep-free=0");
    let server = uploads.max_clients(MEMBERS as u32).start().await;
    let mut puts = Vec::new();
    for number in 0..MEMBERS {
        let member = Client::member(&server, &format!("member-{number}")).await;
        // As many puts as the server accepts at once, each with several blocks and part of another.
        for put in 0..3 {
            let mut upload = member.put(&format!("{number}-{put}"), 64 << 20).await.unwrap();
            upload.send_offset(0).await;
            upload.send_data(&vec![7; 1_500_000 / 1024 * 1024]).await;
            puts.push((member.clone(), upload));
        }
        member.assert_alive().await;
    }
    let memory = server.memory();
    // 64 MiB, and 6.25 MiB for each busy member.
    assert!(memory.peak * 4 < 64 * 4 * MIB + 25 * MIB * MEMBERS, "{memory:?}");
}

#[tokio::test]
async fn an_idle_member_costs_at_most_64_kib() {
    const MEMBERS: u64 = 400;
    let server = Server::options().max_clients(MEMBERS as u32 + 1).start().await;
    let first = Client::member(&server, "Ron").await;
    first.assert_alive().await;
    let before = server.memory();
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        let dial = Dialer::new(&server).endpoint(first.endpoint());
        members.push(dial.sign_in(&format!("member-{number}")).await);
    }
    first.assert_alive().await;
    let memory = server.memory();
    assert!(memory.peak - before.peak < 64 * MEMBERS, "{before:?}, {memory:?}");
}
