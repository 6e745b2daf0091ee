//! Offers that the page accepts by itself: of a person whose key is verified and unchanged, until that is ended.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;

use quiver_e2e::process::Signal;
use quiver_e2e::{Home, PageProgram, PageSocket, Server, TIMEOUT, wait_within};
use serde_json::{Value, json};

/// A page that other clients can reach.
struct Person {
    home: Home,
    page: PageProgram,
    socket: PageSocket,
}

impl Person {
    async fn open(home: Home, server: &Server, name: &str) -> Self {
        let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
        let mut socket = page.open().await;
        let request = json!({
            "do": "connect",
            "server": server.address().to_string(),
            "name": name,
            "certificate": server.certificate(),
        });
        let id = socket.start_request(request).await;
        let is_listening = |event: &Value| event["connection"]["listening"] == true;
        socket.wait_for_event("connection", is_listening).await;
        socket.wait_for_reply(id).await.unwrap();
        Self { home, page, socket }
    }

    /// Ends the process. Returns the home.
    async fn stop(mut self) -> Home {
        self.page.process.signal(Signal::INT);
        self.page.process.wait_for_exit(TIMEOUT).await;
        self.home
    }

    /// Offers a new file to Ben.
    async fn send(&mut self, name: &str) -> Value {
        let path = self.home.file(name);
        fs::write(&path, format!("content of {name}")).unwrap();
        let send = json!({"do": "send", "name": "Ben", "paths": [path]});
        self.socket.request(send).await.unwrap()["offer"].take()
    }

    /// Waits until an own offer has this state.
    async fn wait_for_sent(&mut self, offer: &Value, state: &str) {
        let is_there =
            |event: &Value| event["offer"]["number"] == *offer && event["offer"]["state"] == state;
        self.socket.wait_for_event("outgoing_offer", is_there).await;
    }

    /// Waits for an offer of others with this file, in the first state that is shown.
    async fn wait_for_offer(&mut self, name: &str) -> Value {
        let is_of = |event: &Value| event["offer"]["names"][0]["name"] == name;
        self.socket.wait_for_event("incoming_offer", is_of).await["offer"].take()
    }

    async fn always_accept(&mut self, folder: Value) -> Result<Value, Value> {
        self.socket.request(json!({"do": "always_accept", "name": "Ann", "folder": folder})).await
    }

    async fn wait_for_rule(&mut self, folder: &Value) {
        let has_rule = |event: &Value| {
            let people = event["people"].as_array().unwrap();
            people
                .iter()
                .any(|person| person["name"] == "Ann" && person["always_accept"] == *folder)
        };
        self.socket.wait_for_event("people", has_rule).await;
    }
}

/// Both compare their keys.
async fn verify(ann: &mut Person, ben: &mut Person) {
    let id = ann.socket.start_request(json!({"do": "verify", "name": "Ben"})).await;
    for person in [&mut *ann, &mut *ben] {
        let is_digits = |event: &Value| event["question"]["kind"] == "compare_digits";
        let question = person.socket.wait_for_event("question", is_digits).await;
        let number = &question["question"]["question"];
        let answer = json!({"do": "answer", "question": number, "answer": {"confirm": true}});
        person.socket.request(answer).await.unwrap();
    }
    assert_eq!(ann.socket.wait_for_reply(id).await, Ok(json!({"verified": true})));
    let is_verified = |event: &Value| {
        let people = event["people"].as_array().unwrap();
        people.iter().any(|person| person["name"] == "Ann" && person["key"] == "verified")
    };
    ben.socket.wait_for_event("people", is_verified).await;
}

/// Ann and Ben, who accepts all that Ann offers.
async fn with_rule(server: &Server) -> (Person, Person, Value) {
    let mut ann = Person::open(Home::new(), server, "Ann").await;
    let mut ben = Person::open(Home::new(), server, "Ben").await;
    verify(&mut ann, &mut ben).await;
    let folder = ben.home.file("from Ann");
    fs::create_dir(&folder).unwrap();
    let folder = json!(folder);
    ben.always_accept(folder.clone()).await.unwrap();
    ben.wait_for_rule(&folder).await;
    (ann, ben, folder)
}

#[tokio::test]
async fn an_offer_of_a_verified_person_is_stored_without_a_question_until_that_ends() {
    let server = Server::start().await;
    let (mut ann, mut ben, folder) = with_rule(&server).await;
    let offer = ann.send("one.txt").await;
    ann.wait_for_sent(&offer, "delivered").await;
    let stored = ben.home.file("from Ann/one.txt");
    assert_eq!(fs::read_to_string(stored).unwrap(), "content of one.txt");
    let is_stored = |event: &Value| event["offer"]["state"] == "stored";
    let shown = ben.socket.wait_for_event("incoming_offer", is_stored).await["offer"].take();
    // Its event may have come before that of the offer.
    let done = async {
        loop {
            let all = ben.socket.request(json!({"do": "transfers"})).await.unwrap();
            let first = all["transfers"][0].clone();
            if first["state"] == "done" && first["with"] == "@Ann" {
                return first;
            }
        }
    };
    let transfer = wait_within(TIMEOUT, "a transfer that is done", done).await;
    assert_eq!(transfer["direction"], "receive");
    assert_eq!((&transfer["local"], &transfer["transfer"]), (&folder, &shown["transfer"]));
    // The command line says so, too.
    let listed = quiver_e2e::quiver::finish(ben.home.quiver(["contacts"]).start()).await;
    let rule = format!("the page accepts its files into {}", folder.as_str().unwrap());
    assert!(listed.expect(0).stdout.contains(&rule), "{}", listed.stdout);
    // It outlives the process.
    let home = ben.stop().await;
    let mut ben = Person::open(home, &server, "Ben").await;
    let offer = ann.send("two.txt").await;
    ann.wait_for_sent(&offer, "delivered").await;
    assert!(ben.home.file("from Ann/two.txt").exists());
    ben.always_accept(Value::Null).await.unwrap();
    ann.send("three.txt").await;
    assert_eq!(ben.wait_for_offer("three.txt").await["state"], "open");
    assert!(!ben.home.file("from Ann/three.txt").exists());
}

#[tokio::test]
async fn only_a_verified_person_and_a_folder_below_the_home_are_taken() {
    let server = Server::start().await;
    let mut ann = Person::open(Home::new(), &server, "Ann").await;
    let mut ben = Person::open(Home::new(), &server, "Ben").await;
    ann.send("one.txt").await;
    assert_eq!(ben.wait_for_offer("one.txt").await["state"], "open");
    let folder = json!(ben.home.folder());
    assert_eq!(ben.always_accept(folder.clone()).await.unwrap_err()["code"], "untrusted");
    verify(&mut ann, &mut ben).await;
    for (folder, code) in [
        (json!("/tmp"), "invalid_request"),
        (json!("work"), "invalid_request"),
        (json!(ben.home.file("../../x")), "invalid_request"),
        (json!(ben.home.file("none")), "local_disk"),
        (json!(ben.home.config()), "local_disk"),
    ] {
        assert_eq!(ben.always_accept(folder.clone()).await.unwrap_err()["code"], code, "{folder}");
    }
    ben.always_accept(folder.clone()).await.unwrap();
    ben.wait_for_rule(&folder).await;
    // The one that is open already is a decision of this person still.
    let offers = ann.send("two.txt").await;
    ann.wait_for_sent(&offers, "delivered").await;
    assert!(!ben.home.file("one.txt").exists());
}

#[tokio::test]
async fn a_changed_key_ends_it_and_the_new_key_is_asked_about() {
    let server = Server::start().await;
    let (ann, mut ben, _) = with_rule(&server).await;
    // Someone else has the name now: the key is another one.
    ann.stop().await;
    let mut other = Person::open(Home::new(), &server, "Ann").await;
    let offer = other.send("bad.txt").await;
    let is_refused = |event: &Value| event["code"] == "untrusted";
    ben.socket.wait_for_event("notice", is_refused).await;
    ben.wait_for_rule(&Value::Null).await;
    let withdraw = json!({"do": "withdraw", "offer": offer});
    other.socket.request(withdraw).await.unwrap();
    // Also after the person has agreed to the new key.
    ben.socket.request(json!({"do": "forget", "name": "Ann"})).await.unwrap();
    other.send("new.txt").await;
    assert_eq!(ben.wait_for_offer("new.txt").await["state"], "open");
    assert_eq!(fs::read_dir(ben.home.file("from Ann")).unwrap().count(), 0);
}

#[tokio::test]
async fn blocking_ends_it() {
    let server = Server::start().await;
    let (mut ann, mut ben, _) = with_rule(&server).await;
    let block = |blocked: bool| json!({"do": "block", "name": "Ann", "blocked": blocked});
    ben.socket.request(block(true)).await.unwrap();
    ben.wait_for_rule(&Value::Null).await;
    ben.socket.request(block(false)).await.unwrap();
    ann.send("one.txt").await;
    assert_eq!(ben.wait_for_offer("one.txt").await["state"], "open");
    assert!(!ben.home.file("from Ann/one.txt").exists());
}

#[tokio::test]
async fn a_prompt_that_is_asked_asks_its_person() {
    let server = Server::start().await;
    let (mut ann, ben, _) = with_rule(&server).await;
    let home = ben.stop().await;
    let certificate = server.certificate();
    let address = server.address().to_string();
    let arguments =
        ["--server", &address, "--cert", certificate.to_str().unwrap(), "--name", "Ben"];
    let receiver = home.quiver(arguments.iter().chain(&["receive"])).start();
    receiver.stderr.wait(|line| line.contains("Waiting for offers").then_some(())).await.unwrap();
    ann.send("one.txt").await;
    let is_offer = |line: &str| line.contains("quiver accept").then_some(());
    receiver.stderr.wait(is_offer).await.unwrap();
    assert!(!home.file("from Ann/one.txt").exists());
}
