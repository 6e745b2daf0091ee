//! The page shows and steers transfers of other processes, and unfinished ones.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::collections::BTreeMap;
use std::fs;

use quiver_e2e::process::Signal;
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{
    Home, PageProgram, PageSocket, PeerProgram, PromptUser, Server, TIMEOUT, TransferWatch,
    wait_within,
};
use serde_json::{Value, json};

const SIZE: usize = 48 * 1024 * 1024;

async fn server_with_big_file() -> (Server, Vec<u8>) {
    let server = Server::start().await;
    let content = Random::new(3).bytes(SIZE);
    server.add_file("big", &content);
    (server, content)
}

/// A page that has signed in.
async fn open(home: &Home, server: &Server, name: &str) -> (PageProgram, Board) {
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let mut board = Board::new(page.open().await);
    let request = json!({
        "do": "connect",
        "server": server.address().to_string(),
        "name": name,
        "certificate": server.certificate(),
    });
    board.request(request).await.unwrap();
    (page, board)
}

/// A page, and the transfers that it shows.
struct Board {
    socket: PageSocket,
    transfers: BTreeMap<String, Value>,
}

impl Board {
    fn new(socket: PageSocket) -> Self {
        Self { socket, transfers: BTreeMap::new() }
    }

    async fn next(&mut self) {
        let event = self.socket.next_event().await;
        assert_ne!(event["kind"], "notice", "{event}");
        if event["kind"] == "snapshot" {
            self.transfers.clear();
            self.add(&event["snapshot"]["transfers"]);
        } else if event["kind"] == "transfers" {
            self.add(&event["transfers"]);
            for name in event["gone"].as_array().unwrap() {
                self.transfers.remove(name.as_str().unwrap());
            }
        }
    }

    fn add(&mut self, transfers: &Value) {
        for view in transfers.as_array().unwrap() {
            self.transfers.insert(view["transfer"].as_str().unwrap().to_owned(), view.clone());
        }
    }

    /// Waits until `wanted` accepts a transfer.
    async fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                if let Some(view) = self.transfers.values().find(|view| wanted(view)) {
                    return view.clone();
                }
                self.next().await;
            }
        };
        wait_within(TIMEOUT, what, found).await
    }

    async fn wait_until_gone(&mut self, transfer: &Value) {
        let gone = async {
            while self.transfers.contains_key(transfer.as_str().unwrap()) {
                self.next().await;
            }
        };
        wait_within(TIMEOUT, "a transfer that is gone", gone).await;
    }

    /// Sends a request, and waits for its reply.
    async fn request(&mut self, request: Value) -> Result<Value, Value> {
        self.socket.request(request).await
    }
}

/// Whether enough of the content is there that some of it is stored.
fn is_moving(view: &Value) -> bool {
    view["state"] == "running" && view["received"].as_u64() > Some(1_000_000)
}

fn has_state(state: &str) -> impl Fn(&Value) -> bool {
    move |view| view["state"] == state
}

#[tokio::test]
async fn a_transfer_begun_at_the_prompt_is_steered_from_the_page() {
    let (server, _) = server_with_big_file().await;
    let home = Home::new();
    let (page, mut board) = open(&home, &server, "Ann").await;
    let mut user = PromptUser::sign_in(&home, &server, "Ben");
    user.enter("get big --limit 1MB");
    let view = board.wait_for("content", is_moving).await;
    assert_eq!((&view["own"], &view["process"]), (&json!(false), &json!("prompt")));
    assert_eq!(view["can"], json!(["pause", "cancel"]));
    let transfer = &view["transfer"];
    board.request(json!({"do": "pause", "transfer": transfer})).await.unwrap();
    board.wait_for("paused", has_state("paused")).await;
    user.terminal.wait_for("big: the transfer is paused");
    let files = json!({"do": "transfer_files", "transfer": transfer, "after": 0, "limit": 9});
    let files = board.request(files).await.unwrap();
    assert_eq!((&files["files"][0]["source"], &files["more"]), (&json!("big"), &json!(false)));
    // A second page gets it with its snapshot.
    let link = home.quiver(["gui", "--no-open"]).run().await;
    let (_, code) = quiver_e2e::page_program::parse_link(link.expect(0).stdout.trim());
    let secret: Value = serde_json::from_str(&page.exchange(&code).await.body).unwrap();
    let mut second = PageSocket::open(page.address(), secret["secret"].as_str().unwrap()).await;
    let snapshot = second.snapshot().await;
    assert_eq!(snapshot["transfers"][0]["transfer"], *transfer, "{snapshot}");
    second.request(json!({"do": "resume", "transfer": transfer})).await.unwrap();
    board.wait_for("content", is_moving).await;
    board.request(json!({"do": "cancel", "transfer": transfer})).await.unwrap();
    user.terminal.wait_for("Transfer cancelled: get big");
    board.wait_for("cancelled", has_state("cancelled")).await;
    // The same transfer is unfinished now.
    let unfinished = board.wait_for("unfinished", has_state("unfinished")).await;
    assert_eq!(unfinished["names"], json!(["big"]));
    let late = board.request(json!({"do": "cancel", "transfer": transfer})).await;
    assert_eq!(late.unwrap_err()["code"], "not_found");
    user.exit();
    board.wait_until_gone(transfer).await;
    let gone = board.request(json!({"do": "pause", "transfer": transfer})).await;
    assert_eq!(gone.unwrap_err()["code"], "not_found");
}

#[tokio::test]
async fn a_transfer_of_the_page_is_steered_from_the_command_line() {
    let (server, _) = server_with_big_file().await;
    let home = Home::new();
    let (_page, mut board) = open(&home, &server, "Ann").await;
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(1_000_000);
    board.request(json!({"do": "disconnect"})).await.unwrap();
    let request = json!({
        "do": "connect", "server": relay.address().to_string(), "name": "Ann",
        "certificate": server.certificate(),
    });
    board.request(request).await.unwrap();
    let get = json!({"do": "get", "paths": ["big"], "folder": home.folder(), "on_conflict": "ask"});
    let transfer = board.request(get).await.unwrap()["transfer"].take();
    let mut watch = TransferWatch::start(home.quiver([""; 0]));
    let view = watch.wait_for("the transfer", is_moving).await;
    assert_eq!((&view["transfer"], &view["process"]), (&transfer, &json!("page")));
    home.quiver(["pause", "1"]).run().await.expect(0);
    board.wait_for("paused", has_state("paused")).await;
    watch.wait_for("a pause", |view| view["state"] == "paused").await;
    home.quiver(["resume", "1"]).run().await.expect(0);
    board.wait_for("running", has_state("running")).await;
    home.quiver(["cancel", "1"]).run().await.expect(0);
    board.wait_for("cancelled", has_state("cancelled")).await;
    home.quiver(["cancel", transfer.as_str().unwrap()]).run().await.expect(7);
}

#[tokio::test]
async fn what_a_killed_process_has_left_is_resumed_or_removed_on_the_page() {
    let (server, content) = server_with_big_file().await;
    server.add_file("other", Random::new(4).bytes(SIZE));
    let home = Home::new();
    let (_page, mut board) = open(&home, &server, "Ann").await;
    for name in ["big", "other"] {
        let mut get = home.quiver_as(&server, "Ben", ["get", name, "--limit", "4MB"]).start();
        let is_this = |view: &Value| view["names"] == json!([name]);
        let has_stored = |view: &Value| view["received"].as_u64() > Some(2_000_000);
        board.wait_for("that", |view| is_this(view) && has_stored(view)).await;
        get.signal(Signal::KILL);
        get.wait_for_exit(TIMEOUT).await;
        let unfinished =
            board.wait_for("that", |view| is_this(view) && view["state"] == "unfinished").await;
        assert_eq!(unfinished["can"], json!(["resume", "remove", "show"]));
        let transfer = unfinished["transfer"].as_str().unwrap().to_owned();
        assert!(transfer.starts_with("journal:"), "{transfer}");
        assert!(unfinished["received"].as_u64() > Some(0), "{unfinished}");
        let pause = board.request(json!({"do": "pause", "transfer": transfer})).await;
        assert_eq!(pause.unwrap_err()["code"], "invalid_request");
        if name == "big" {
            let resumed =
                board.request(json!({"do": "resume", "transfer": transfer})).await.unwrap();
            board
                .wait_for("the end", |view| {
                    view["transfer"] == resumed["transfer"] && view["state"] == "done"
                })
                .await;
            assert!(fs::read(home.file("big")).unwrap() == content);
        } else {
            board.request(json!({"do": "remove_transfer", "transfer": transfer})).await.unwrap();
            board.wait_until_gone(&json!(transfer)).await;
            assert_eq!(home.names(), ["big"]);
        }
        let again = board.request(json!({"do": "resume", "transfer": transfer})).await;
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
    let (_page, mut board) = open(&home, &other, "Ann").await;
    let transfers = board.request(json!({"do": "transfers"})).await.unwrap();
    let transfer = transfers["transfers"][0]["transfer"].clone();
    let resumed = board.request(json!({"do": "resume", "transfer": transfer})).await;
    let failure = resumed.unwrap_err();
    assert_eq!(failure["code"], "invalid_request", "{failure}");
    assert!(failure["text"].as_str().unwrap().contains("of a server other than"), "{failure}");
}

#[tokio::test]
async fn an_offer_that_the_page_sends_is_one_of_its_transfers_while_it_is_fetched() {
    let server = Server::start().await;
    let [ann_home, ron_home] = [(); 2].map(|()| Home::new());
    fs::write(ann_home.file("big"), Random::new(7).bytes(SIZE)).unwrap();
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(2_000_000);
    let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let (_page, mut board) = open(&ann_home, &server, "Ann").await;
    let send = json!({"do": "send", "name": "Ron", "paths": [ann_home.file("big")]});
    let offer = board.request(send).await.unwrap()["offer"].take();
    receive.next_event("offer").await;
    let accept = ron_home.quiver(["--name", "Ron", "--relay-only", "accept", "1"]);
    let mut accept = accept.server(relay.address(), &server.certificate()).start();
    let is_sending = |view: &Value| view["direction"] == "send" && view["sent"].as_u64() > Some(0);
    let view = board.wait_for("a sent offer", is_sending).await;
    assert!(view["transfer"].as_str().unwrap().ends_with(&format!(":offer-{offer}")), "{view}");
    assert_eq!((&view["with"], &view["names"]), (&json!("@Ron"), &json!(["big"])));
    assert_eq!((&view["own"], &view["can"]), (&json!(true), &json!(["cancel"])));
    let pause = json!({"do": "pause", "transfer": view["transfer"]});
    assert_eq!(board.request(pause).await.unwrap_err()["code"], "invalid_request");
    // Another process lists it too, and cancels it.
    let listed = ann_home.quiver(["transfers"]).run().await;
    assert!(listed.expect(0).stdout.starts_with("1: big to @Ron  running  "), "{listed:?}");
    ann_home.quiver(["cancel", "1"]).run().await.expect(0);
    board.wait_until_gone(&view["transfer"]).await;
    assert_ne!(accept.wait_for_exit(TIMEOUT).await.code(), Some(0));
    assert!(!ron_home.file("big").exists());
}
