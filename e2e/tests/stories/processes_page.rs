//! The page shows and steers transfers of other processes, and unfinished ones.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;

use quiver_e2e::process::Signal;
use quiver_e2e::random::Random;
use quiver_e2e::{Home, PageProgram, PageSocket, PromptUser, Server, TIMEOUT, TransferWatch};
use serde_json::{Value, json};

const SIZE: usize = 24 * 1024 * 1024;

async fn server_with_big_file() -> (Server, Vec<u8>) {
    let server = Server::start().await;
    let content = Random::new(3).bytes(SIZE);
    server.add_file("big", &content);
    (server, content)
}

/// A page that has signed in.
async fn open(home: &Home, server: &Server, name: &str) -> (PageProgram, PageSocket) {
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let mut socket = page.open().await;
    let request = json!({
        "do": "connect",
        "server": server.address().to_string(),
        "name": name,
        "certificate": server.certificate(),
    });
    socket.request(request).await.unwrap();
    (page, socket)
}

async fn wait_for(socket: &mut PageSocket, wanted: impl Fn(&Value) -> bool) -> Value {
    let find = |event: &Value| {
        let mut transfers = event["transfers"].as_array().unwrap().iter();
        transfers.find(|view| wanted(view)).cloned()
    };
    let event = socket.wait_for_event("transfers", |event| find(event).is_some()).await;
    find(&event).unwrap()
}

fn is_moving(view: &Value) -> bool {
    view["state"] == "running" && view["received"].as_u64() > Some(0)
}

async fn wait_until_gone(socket: &mut PageSocket, transfer: &Value) {
    let is_gone =
        |event: &Value| event["gone"].as_array().unwrap().iter().any(|name| name == transfer);
    socket.wait_for_event("transfers", is_gone).await;
}

#[tokio::test]
async fn a_transfer_begun_at_the_prompt_is_steered_from_the_page() {
    let (server, _) = server_with_big_file().await;
    let home = Home::new();
    let (page, mut socket) = open(&home, &server, "Ann").await;
    let mut user = PromptUser::sign_in(&home, &server, "Ben");
    user.enter("get big --limit 400K");
    let view = wait_for(&mut socket, is_moving).await;
    assert_eq!((&view["own"], &view["process"]), (&json!(false), &json!("prompt")));
    assert_eq!(view["can"], json!(["pause", "cancel"]));
    let transfer = &view["transfer"];
    socket.request(json!({"do": "pause", "transfer": transfer})).await.unwrap();
    wait_for(&mut socket, |view| view["state"] == "paused").await;
    user.terminal.wait_for("The transfer is paused.");
    let files = json!({"do": "transfer_files", "transfer": transfer, "after": 0, "limit": 9});
    let files = socket.request(files).await.unwrap();
    assert_eq!((&files["files"][0]["source"], &files["more"]), (&json!("big"), &json!(false)));
    // A second page gets it with its snapshot.
    let link = home.quiver(["gui", "--no-open"]).run().await;
    let (_, code) = quiver_e2e::page_program::parse_link(link.expect(0).stdout.trim());
    let secret: Value = serde_json::from_str(&page.exchange(&code).await.body).unwrap();
    let mut second = PageSocket::open(page.address(), secret["secret"].as_str().unwrap()).await;
    let snapshot = second.snapshot().await;
    assert_eq!(snapshot["transfers"][0]["transfer"], *transfer, "{snapshot}");
    second.request(json!({"do": "resume", "transfer": transfer})).await.unwrap();
    wait_for(&mut socket, is_moving).await;
    socket.request(json!({"do": "cancel", "transfer": transfer})).await.unwrap();
    user.terminal.wait_for("Transfer cancelled.");
    wait_for(&mut socket, |view| view["state"] == "cancelled").await;
    // The same transfer is unfinished now.
    let unfinished = wait_for(&mut socket, |view| view["state"] == "unfinished").await;
    assert_eq!(unfinished["names"], json!(["big"]));
    let late = socket.request(json!({"do": "cancel", "transfer": transfer})).await;
    assert_eq!(late.unwrap_err()["code"], "not_found");
    user.exit();
    wait_until_gone(&mut socket, transfer).await;
    let gone = socket.request(json!({"do": "pause", "transfer": transfer})).await;
    assert_eq!(gone.unwrap_err()["code"], "not_found");
}

#[tokio::test]
async fn a_transfer_of_the_page_is_steered_from_the_command_line() {
    let (server, _) = server_with_big_file().await;
    let home = Home::new();
    let (_page, mut socket) = open(&home, &server, "Ann").await;
    let relay = quiver_e2e::udp_relay::UdpRelay::start(server.address()).await;
    relay.limit_rate(1_000_000);
    socket.request(json!({"do": "disconnect"})).await.unwrap();
    let request = json!({
        "do": "connect", "server": relay.address().to_string(), "name": "Ann",
        "certificate": server.certificate(),
    });
    socket.request(request).await.unwrap();
    let get = json!({"do": "get", "paths": ["big"], "folder": home.folder(), "on_conflict": "ask"});
    let transfer = socket.request(get).await.unwrap()["transfer"].take();
    let mut watch = TransferWatch::start(home.quiver([""; 0]));
    let view = watch.wait_for("the transfer", is_moving).await;
    assert_eq!((&view["transfer"], &view["process"]), (&transfer, &json!("page")));
    home.quiver(["pause", "1"]).run().await.expect(0);
    wait_for(&mut socket, |view| view["state"] == "paused").await;
    watch.wait_for("a pause", |view| view["state"] == "paused").await;
    home.quiver(["resume", "1"]).run().await.expect(0);
    wait_for(&mut socket, |view| view["state"] == "running").await;
    home.quiver(["cancel", "1"]).run().await.expect(0);
    wait_for(&mut socket, |view| view["state"] == "cancelled").await;
    home.quiver(["cancel", transfer.as_str().unwrap()]).run().await.expect(7);
}

#[tokio::test]
async fn what_a_killed_process_has_left_is_resumed_or_removed_on_the_page() {
    let (server, content) = server_with_big_file().await;
    server.add_file("other", Random::new(4).bytes(SIZE));
    let home = Home::new();
    let (_page, mut socket) = open(&home, &server, "Ann").await;
    for name in ["big", "other"] {
        let mut get = home.quiver_as(&server, "Ben", ["get", name, "--limit", "4MB"]).start();
        let is_this = |view: &Value| view["names"] == json!([name]);
        let has_stored = |view: &Value| view["received"].as_u64() > Some(2_000_000);
        wait_for(&mut socket, |view| is_this(view) && has_stored(view)).await;
        get.signal(Signal::KILL);
        get.wait_for_exit(TIMEOUT).await;
        let unfinished =
            wait_for(&mut socket, |view| is_this(view) && view["state"] == "unfinished").await;
        assert_eq!(unfinished["can"], json!(["resume", "remove", "show"]));
        let transfer = unfinished["transfer"].as_str().unwrap().to_owned();
        assert!(transfer.starts_with("journal:"), "{transfer}");
        assert!(unfinished["received"].as_u64() > Some(0), "{unfinished}");
        let pause = socket.request(json!({"do": "pause", "transfer": transfer})).await;
        assert_eq!(pause.unwrap_err()["code"], "invalid_request");
        if name == "big" {
            let resumed =
                socket.request(json!({"do": "resume", "transfer": transfer})).await.unwrap();
            wait_for(&mut socket, |view| {
                view["transfer"] == resumed["transfer"] && view["state"] == "done"
            })
            .await;
            assert!(fs::read(home.file("big")).unwrap() == content);
        } else {
            socket.request(json!({"do": "remove_transfer", "transfer": transfer})).await.unwrap();
            wait_until_gone(&mut socket, &json!(transfer)).await;
            assert_eq!(home.names(), ["big"]);
        }
        let again = socket.request(json!({"do": "resume", "transfer": transfer})).await;
        assert_eq!(again.unwrap_err()["code"], "not_found");
    }
    assert_eq!(home.journal(), [""; 0].map(std::path::PathBuf::from));
}

#[tokio::test]
async fn an_unfinished_transfer_of_another_server_is_not_resumed() {
    let (server, _) = server_with_big_file().await;
    let other = Server::start().await;
    let home = Home::new();
    let mut get = home.quiver_as(&server, "Ben", ["get", "big", "--limit", "4MB"]).start();
    let mut watch = TransferWatch::start(home.quiver([""; 0]));
    watch.wait_for("content", |view| view["received"].as_u64() > Some(2_000_000)).await;
    get.signal(Signal::INT);
    get.wait_for_exit(TIMEOUT).await;
    let (_page, mut socket) = open(&home, &other, "Ann").await;
    let transfers = socket.request(json!({"do": "transfers"})).await.unwrap();
    let transfer = transfers["transfers"][0]["transfer"].clone();
    let resumed = socket.request(json!({"do": "resume", "transfer": transfer})).await;
    let failure = resumed.unwrap_err();
    assert_eq!(failure["code"], "invalid_request", "{failure}");
    assert!(failure["text"].as_str().unwrap().contains("of a server other than"), "{failure}");
}
