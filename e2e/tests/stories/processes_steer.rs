//! Transfers that another process of the same user lists, pauses, resumes and cancels.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::process::Stdio;

use quiver_e2e::process::{Process, Signal};
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, PeerProgram, PromptUser, Server, TIMEOUT, TransferWatch};
use serde_json::{Value, json};

/// A file that takes longer than a story at this rate.
const SIZE: usize = 48 * 1024 * 1024;
const SLOW: [&str; 2] = ["--limit", "1MB"];

async fn server_with_big_file() -> (Server, Vec<u8>) {
    let server = Server::start().await;
    let content = Random::new(3).bytes(SIZE);
    server.add_file("big", &content);
    (server, content)
}

fn watch(home: &Home) -> TransferWatch {
    TransferWatch::start(home.quiver([""; 0]))
}

/// Whether enough of the content is there that some of it is stored.
fn is_moving(view: &Value) -> bool {
    view["state"] == "running" && view["received"].as_u64() > Some(1_000_000)
}

fn has_state(state: &str) -> impl Fn(&Value) -> bool {
    move |view| view["state"] == state
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn wait_for_message(process: &Process, text: &str) {
    let found = process.stderr.wait(|line| line.contains(text).then_some(()));
    let found = quiver_e2e::wait_within(TIMEOUT, text, found).await;
    assert!(found.is_some(), "no {text:?}: {:?}", process.stderr.lines());
}

#[tokio::test]
async fn a_get_is_paused_resumed_and_cancelled_from_another_process() {
    let (server, content) = server_with_big_file().await;
    let home = Home::new();
    let mut get = home.quiver_as(&server, "Ann", ["get", "big"]).arguments(SLOW).start();
    let mut watch = watch(&home);
    let view = watch.wait_for("the transfer", is_moving).await;
    assert_eq!((&view["number"], &view["process"]), (&json!(1), &json!("get")));
    assert_eq!((&view["direction"], &view["bytes"]), (&json!("download"), &json!(SIZE)));
    assert_eq!(view["with"], server.address().to_string());
    assert_eq!(view["transfer"], format!("{}:1", get.id()));
    let command = view["command"].as_str().unwrap();
    assert!(command.ends_with("--name Ann --server") || command.contains("get big"), "{command}");

    let listed = home.quiver(["transfers"]).run().await;
    let row = listed.expect(0).stdout.clone();
    let expected = format!("1: big from {}  running  ", server.address());
    assert!(row.starts_with(&expected) && row.ends_with(" (get)\n"), "{row}");
    // Its journal entry is not listed a second time.
    assert_eq!(row.lines().count(), 1, "{row}");

    let paused = home.quiver(["pause", "1"]).run().await;
    assert_eq!(
        paused.expect(0).stderr,
        format!("Transfer 1 is paused: big from {}\n", server.address())
    );
    wait_for_message(&get, "big: the transfer is paused").await;
    let paused = watch.wait_for("a pause", has_state("paused")).await;
    assert_eq!((&paused["can"], &paused["rate"]), (&json!(["resume", "cancel"]), &Value::Null));
    let again = home.quiver(["pause", "1", "--json"]).run().await;
    let line = json!({"done": "pause", "number": 1, "transfer": view["transfer"]});
    assert_eq!(json_lines(&again.expect(0).stdout), [line]);

    let resumed = home.quiver(["resume", "1"]).run().await;
    assert!(resumed.expect(0).stderr.starts_with("Transfer 1 continues: big"), "{resumed:?}");
    wait_for_message(&get, "big: the transfer continues").await;
    let before = paused["received"].as_u64();
    watch.wait_for("more content", |view| view["received"].as_u64() > before).await;

    let cancelled = home.quiver(["cancel", view["transfer"].as_str().unwrap()]).run().await;
    assert!(
        cancelled.expect(0).stderr.starts_with("Transfer 1 is cancelled: big"),
        "{cancelled:?}"
    );
    assert_eq!(get.wait_for_exit(TIMEOUT).await.code(), Some(130));
    let last: Vec<_> = get.stderr.lines();
    assert!(
        last.iter().any(|line| line == "error: the transfer was cancelled by another program"),
        "{last:?}"
    );
    assert!(last.last().unwrap().contains("quiver resume, continues at "), "{last:?}");
    watch.wait_for_none().await;

    // What was there is kept.
    let listed = home.quiver(["transfers", "--json"]).run().await;
    let listed = json_lines(&listed.expect(0).stdout);
    assert_eq!((listed.len(), &listed[0]["running"]), (1, &json!(false)));
    assert!(home.partial_length() > 0);
    home.quiver(["resume"]).run().await.expect(0);
    assert!(fs::read(home.file("big")).unwrap() == content);
}

#[tokio::test]
async fn a_number_without_a_transfer_is_an_error_with_its_own_code() {
    let (server, _) = server_with_big_file().await;
    let home = Home::new();
    for arguments in [["pause", "1"], ["resume", "1"], ["cancel", "1"], ["cancel", "1:1"]] {
        let failed = home.quiver(arguments).run().await;
        let stderr = &failed.expect(7).stderr;
        let [_, number] = arguments;
        let expected = format!(
            "error: there is no running transfer {number}\nhint: quiver transfers lists running transfers\n"
        );
        assert_eq!(*stderr, expected);
    }
    for arguments in [["pause", "x"], ["cancel", "-1"], ["pause", "./1"], ["cancel", ""]] {
        home.quiver(arguments).run().await.expect(2);
    }
    // Digits are a number, and ./ begins a path.
    let path = home.quiver(["resume", "./1"]).run().await;
    assert!(path.expect(2).stderr.contains("there is no unfinished transfer of ./1"), "{path:?}");
    let _get = home.quiver_as(&server, "Ann", ["get", "big"]).arguments(SLOW).start();
    watch(&home).wait_for("the transfer", is_moving).await;
    home.quiver(["pause", "2"]).run().await.expect(7);
    home.quiver(["pause", "1"]).run().await.expect(0);
}

#[tokio::test]
async fn streamed_content_cannot_be_paused_and_can_be_cancelled() {
    let (server, _) = server_with_big_file().await;
    let home = Home::new();
    let quiver = home.quiver_as(&server, "Ann", ["get", "big", "-o", "-"]).arguments(SLOW);
    let mut get =
        Process::start_with_stdio(quiver.command().stdin(Stdio::null()).stdout(Stdio::null()));
    let mut watch = watch(&home);
    let view = watch.wait_for("the transfer", is_moving).await;
    assert_eq!(view["can"], json!(["cancel"]));
    let refused = home.quiver(["pause", "1"]).run().await;
    let why = "error: transfer 1: the transfer cannot be paused: its content is streamed\n";
    assert_eq!(refused.expect(1).stderr, why);
    home.quiver(["cancel", "1"]).run().await.expect(0);
    assert_eq!(get.wait_for_exit(TIMEOUT).await.code(), Some(130));
}

#[tokio::test]
async fn numbers_are_unique_over_all_processes_and_are_not_used_again_while_one_runs() {
    let (server, _) = server_with_big_file().await;
    let home = Home::new();
    let get = |name: &str, folder: &str| {
        fs::create_dir(home.file(folder)).unwrap();
        home.quiver_as(&server, name, ["get", "big", "-o", folder]).arguments(SLOW).start()
    };
    let mut watch = watch(&home);
    let _first = get("Ann", "a");
    watch.wait_for("the first", |view| view["number"] == 1).await;
    let mut second = get("Ben", "b");
    watch.wait_for("the second", |view| view["number"] == 2).await;
    home.quiver(["cancel", "2"]).run().await.expect(0);
    second.wait_for_exit(TIMEOUT).await;
    let _third = get("Ron", "c");
    let third = watch.wait_for("the third", |view| view["number"] == 3).await;
    assert_eq!(third["process"], "get");
    let listed = json_lines(&home.quiver(["transfers", "--json"]).run().await.expect(0).stdout);
    let numbers: Vec<_> = listed.iter().filter_map(|view| view["number"].as_u64()).collect();
    assert_eq!(numbers, [1, 3], "{listed:?}");
}

#[tokio::test]
async fn the_prompt_is_steered_and_steers() {
    let (server, _) = server_with_big_file().await;
    let home = Home::new();
    let mut user = PromptUser::sign_in(&home, &server, "Ann");
    let none = user.enter("transfers");
    assert_eq!(none, "no running or unfinished transfers");
    let started = user.enter("get big --limit 1MB");
    assert!(started.contains("continues in the background"), "{started}");
    let mut watch = watch(&home);
    let view = watch.wait_for("the transfer", is_moving).await;
    assert_eq!(view["process"], "prompt");
    let command = view["command"].as_str().unwrap();
    assert!(command.ends_with("--name Ann get big --limit 1MB"), "{command}");
    home.quiver(["pause", "1"]).run().await.expect(0);
    watch.wait_for("a pause", has_state("paused")).await;
    user.terminal.wait_for("big: the transfer is paused");
    assert!(user.enter("resume 1").contains("Transfer 1 continues: big"));
    watch.wait_for("a continuation", has_state("running")).await;

    // The prompt steers a transfer of another process.
    fs::create_dir(home.file("b")).unwrap();
    let quiver = home.quiver_as(&server, "Ben", ["get", "big", "-o", "b"]);
    let mut get = quiver.arguments(SLOW).start();
    watch.wait_for("the second", |view| view["number"] == 2 && is_moving(view)).await;
    let listed = user.enter("transfers");
    assert!(listed.contains("1: big from ") && listed.contains("2: big from "), "{listed}");
    assert!(user.enter("pause 2").contains("Transfer 2 is paused: big"));
    wait_for_message(&get, "big: the transfer is paused").await;
    user.enter("cancel 2");
    assert_eq!(get.wait_for_exit(TIMEOUT).await.code(), Some(130));
    assert!(user.enter("cancel 2").contains("there is no running transfer 2"));
    // Talk stays talk.
    assert!(user.enter("cancel my order").contains("ACK"));
    user.enter("cancel 1");
    user.terminal.wait_for("Transfer cancelled: get big");
    watch.wait_for("the end", |view| view["number"] == 1 && view["state"] == "cancelled").await;
    user.exit();
    watch.wait_for_none().await;
}

#[tokio::test]
async fn piped_lines_steer_and_the_watch_ends_with_ctrl_c() {
    let (server, _) = server_with_big_file().await;
    let home = Home::new();
    let mut get = home.quiver_as(&server, "Ann", ["get", "big"]).arguments(SLOW).start();
    let mut watch = watch(&home);
    watch.wait_for("the transfer", is_moving).await;
    let piped =
        home.quiver_as(&server, "Ben", [""; 0]).run_with_input("transfers\ncancel 1\n").await;
    assert!(piped.expect(0).stdout.starts_with("1: big from "), "{piped:?}");
    assert_eq!(get.wait_for_exit(TIMEOUT).await.code(), Some(130));
    watch.wait_for_none().await;
    watch.process.signal(Signal::INT);
    assert_eq!(watch.process.wait_for_exit(TIMEOUT).await.code(), Some(130));
}

#[tokio::test]
async fn an_offer_that_is_sent_is_listed_and_withdrawn_from_another_process() {
    let server = Server::start().await;
    let [ann_home, ron_home] = [(); 2].map(|()| Home::new());
    fs::write(ann_home.file("big"), Random::new(7).bytes(SIZE)).unwrap();
    let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let send = ann_home.quiver_as(&server, "Ann", ["send", "Ron", "big"]);
    let mut send = send.start();
    receive.next_event("offer").await;
    let mut watch = watch(&ann_home);
    let view = watch.wait_for("the offer", has_state("waiting")).await;
    assert_eq!((&view["direction"], &view["with"]), (&json!("send"), &json!("@Ron")));
    assert_eq!((&view["names"], &view["can"]), (&json!(["big"]), &json!(["cancel"])));
    assert_eq!(view["bytes"], SIZE);
    let refused = ann_home.quiver(["pause", "1"]).run().await;
    assert!(refused.expect(1).stderr.contains("the sender of an offer cannot pause it"));
    ann_home.quiver(["cancel", "1"]).run().await.expect(0);
    assert_eq!(send.wait_for_exit(TIMEOUT).await.code(), Some(1));
    // The recipient knows, too.
    let accept = ron_home.quiver_as(&server, "Ron", ["accept", "1"]).run().await;
    assert!(accept.expect(1).stderr.contains("offer 1 was withdrawn"), "{accept:?}");
}

#[tokio::test]
async fn an_offer_that_is_received_is_paused_by_another_process() {
    let server = Server::start().await;
    let [ann_home, ron_home] = [(); 2].map(|()| Home::new());
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(4_000_000);
    let content = Random::new(7).bytes(SIZE);
    fs::write(ann_home.file("big"), &content).unwrap();
    let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let send = ann_home.quiver_as(&server, "Ann", ["send", "Ron", "big"]);
    let mut send = send.start();
    receive.next_event("offer").await;
    let mut ron_watch = watch(&ron_home);
    let accept = ron_home.quiver(["--name", "Ron", "--relay-only", "accept", "1"]);
    let mut accept = accept.server(relay.address(), &server.certificate()).start();
    let view = ron_watch.wait_for("the transfer", |view| view["process"] == "accept").await;
    assert_eq!((&view["direction"], &view["with"]), (&json!("receive"), &json!("@Ann")));
    ron_home.quiver(["pause", "1"]).run().await.expect(0);
    ron_watch.wait_for("a pause", has_state("paused")).await;
    relay.limit_rate(0);
    ron_home.quiver(["resume", "1"]).run().await.expect(0);
    assert_eq!(accept.wait_for_exit(TIMEOUT).await.code(), Some(0));
    assert_eq!(send.wait_for_exit(TIMEOUT).await.code(), Some(0));
    assert!(fs::read(ron_home.file("big")).unwrap() == content);
}

#[tokio::test]
async fn a_watch_at_a_terminal_replaces_its_rows_until_ctrl_c() {
    let (server, _) = server_with_big_file().await;
    let home = Home::new();
    let mut terminal = home.quiver(["transfers", "--watch"]).start_at_terminal();
    terminal.wait_for("no running transfers");
    let mut get = home.quiver_as(&server, "Ann", ["get", "big"]).arguments(SLOW).start();
    let row = format!("1: big from {}  ", server.address());
    let has_rate = |screen: &str| screen.contains(&row) && screen.contains(" left  (get)");
    terminal.wait_until("a row", has_rate);
    let screen = terminal.contents();
    assert_eq!(screen.matches("big from").count(), 1, "{screen}");
    assert!(!screen.contains("no running transfers"), "{screen}");
    home.quiver(["pause", "1"]).run().await.expect(0);
    terminal.wait_for("  paused  ");
    home.quiver(["cancel", "1"]).run().await.expect(0);
    get.wait_for_exit(TIMEOUT).await;
    terminal.wait_until("no row", |screen| screen.contains("no running transfers"));
    terminal.type_text("\u{3}");
    assert_eq!(terminal.wait_for_exit().exit_code(), 130);
}

#[tokio::test]
async fn a_watch_off_a_terminal_prints_a_row_for_each_new_state() {
    let (server, _) = server_with_big_file().await;
    let home = Home::new();
    let watch = home.quiver(["transfers", "--watch"]).start();
    let mut get = home.quiver_as(&server, "Ann", ["get", "big"]).arguments(SLOW).start();
    let mut wanted = ["running", "paused", "running", "cancelled"].into_iter().peekable();
    let commands = async {
        let mut json = self::watch(&home);
        json.wait_for("the transfer", is_moving).await;
        home.quiver(["pause", "1"]).run().await.expect(0);
        json.wait_for("a pause", has_state("paused")).await;
        home.quiver(["resume", "1"]).run().await.expect(0);
        json.wait_for("a continuation", has_state("running")).await;
        home.quiver(["cancel", "1"]).run().await.expect(0);
        get.wait_for_exit(TIMEOUT).await;
    };
    let rows = watch.stdout.wait(|row| {
        assert!(row.starts_with("1: big from "), "{row}");
        let state = *wanted.peek().unwrap();
        // A plan may be seen first.
        if row.contains(&format!("  {state}  ")) {
            wanted.next();
        } else {
            assert!(row.contains("  planning  "), "{row} instead of {state}");
        }
        wanted.peek().is_none().then_some(())
    });
    let (rows, ()) = tokio::join!(quiver_e2e::wait_within(TIMEOUT, "the rows", rows), commands);
    assert!(rows.is_some(), "{:?}", watch.stdout.lines());
}
