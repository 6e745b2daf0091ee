//! The prompt at a terminal, as a user sees it.

use std::fs;

use quiver_e2e::deadline::wait_until;
use quiver_e2e::process::Signal;
use quiver_e2e::{Client, Home, PromptUser, Server, TIMEOUT, tree};

/// Adds the files of the conversation below to the server.
fn offer_files(server: &Server) {
    for name in ["meow.txt", "secret.txt", "text.txt"] {
        server.add_file(name, format!("This is {name}.\n"));
    }
}

/// Replaces each time, such as `2024-10-19 17:45:47`, by `TIME`.
fn replace_times(text: &str) -> String {
    const PATTERN: &[u8] = b"0000-00-00 00:00:00";
    let is_time = |bytes: &[u8]| {
        let mut pairs = bytes.iter().zip(PATTERN);
        bytes.len() == PATTERN.len()
            && pairs.all(|(byte, pattern)| match pattern {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    let mut shown = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if rest.len() >= PATTERN.len() && is_time(&rest.as_bytes()[..PATTERN.len()]) {
            shown.push_str("TIME");
            rest = &rest[PATTERN.len()..];
        } else {
            shown.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    shown
}

#[tokio::test]
async fn the_prompt_shows_the_documented_conversation() {
    let server = Server::start().await;
    offer_files(&server);
    let homes = [(); 4].map(|()| Home::new());
    // Its moments are those of other clients.
    fs::create_dir_all(homes[1].config().parent().unwrap()).unwrap();
    fs::write(homes[1].config(), "announce = false\n").unwrap();
    let mut ben = PromptUser::sign_in(&homes[0], &server, "Ben");
    let mut ron = PromptUser::sign_in(&homes[1], &server, "Ron");
    let mut pete = PromptUser::sign_in(&homes[2], &server, "Pete");
    ben.exit();
    server.log().wait_for("Client 1: Ben has disconnected").await;
    for line in ["Hello", "status", "list", "get secret.txt"] {
        ron.enter(line);
    }
    ron.exit();
    let expected = "\
Connected to server.
Enter your client name: Ron
Connected to the server successfully.
Ron: Hello
Server: Hello ACK
Ron: status
Server: Client 1: Ben - Start: TIME, End: TIME
Client 2: Ron - Start: TIME, End: Still Connected
Client 3: Pete - Start: TIME, End: Still Connected
Ron: list
Server: meow.txt
secret.txt
text.txt
Ron: get secret.txt
File received successfully.
Ron: exit
Closing connection to server...
Connection closed.";
    assert_eq!(replace_times(&ron.terminal.contents()).trim_end(), expected);
    assert_eq!(fs::read_to_string(homes[1].file("secret.txt")).unwrap(), "This is secret.txt.\n");
    assert_eq!(homes[1].names(), ["secret.txt"]);
    pete.exit();
    let log = server.log();
    for line in [
        "listening on 127.0.0.1:",
        "connection from 127.0.0.1:",
        "Client connected as Client 2: Ron",
        "client count: 3 of 3",
        "delivered secret.txt (20 B) to Client 2: Ron",
        "Client 2: Ron has disconnected",
        "client count: 0 of 3",
    ] {
        log.wait_for(line).await;
    }
}

#[tokio::test]
async fn the_server_refuses_a_fourth_client_until_one_of_three_leaves() {
    let server = Server::start().await;
    let homes = [(); 4].map(|()| Home::new());
    let mut ben = PromptUser::sign_in(&homes[0], &server, "Ben");
    let _ron = PromptUser::sign_in(&homes[1], &server, "Ron");
    let _pete = PromptUser::sign_in(&homes[2], &server, "Pete");
    let mut tom = homes[3].quiver_as(&server, "Tom", [""; 0]).start_at_terminal();
    assert_eq!(tom.wait_for_exit().exit_code(), 6);
    assert_eq!(
        tom.contents().trim_end(),
        "Connected to server.\nServer is busy: 3 of 3 clients are connected. Try again later."
    );
    let status = homes[3].quiver_as(&server, "Tom", ["status"]).run().await;
    assert_eq!(status.code(), 6);
    assert_eq!(status.stdout, "");
    assert_eq!(status.stderr, "Server is busy: 3 of 3 clients are connected. Try again later.\n");
    server.log().wait_for("Max clients reached. Rejecting Client 4: Tom").await;
    ben.exit();
    server.log().wait_for("Client 1: Ben has disconnected").await;
    let mut tom = PromptUser::sign_in(&homes[3], &server, "Tom");
    assert!(tom.enter("status").contains("\nClient 6: Tom - "));
}

#[tokio::test]
async fn the_prompt_accepts_commands_in_any_case_and_quoted_words() {
    let server = Server::start().await;
    offer_files(&server);
    for name in ["with space.txt", "it's.txt", "notes/a b.txt"] {
        server.add_file(name, "content");
    }
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    assert!(ron.enter("STATUS").starts_with("Server: Client 1: Ron - Start: "));
    assert_eq!(ron.enter("/List notes"), "Server: notes/a b.txt");
    for line in ["Get \"with space.txt\"", "GET it\\'s.txt", "get 'notes/a b.txt'", "/get meow.txt"]
    {
        assert_eq!(ron.enter(line), "File received successfully.", "{line}");
    }
    assert_eq!(home.names(), ["a b.txt", "it's.txt", "meow.txt", "with space.txt"]);
    let several = ron.enter("get text.txt secret.txt");
    let mut several: Vec<_> = several.lines().collect();
    let summary = several.pop().unwrap();
    assert!(summary.starts_with("2 files received and verified (38 B in "), "{summary}");
    several.sort_unstable();
    let received = "File received successfully: ";
    assert_eq!(several, [format!("{received}secret.txt"), format!("{received}text.txt")]);
    ron.terminal.type_line("QUIT");
    assert_eq!(ron.terminal.wait_for_exit().exit_code(), 0);
}

#[tokio::test]
async fn say_sends_a_message_that_looks_like_a_command() {
    let server = Server::start().await;
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    assert_eq!(ron.enter("/say get well soon"), "Server: get well soon ACK");
    assert_eq!(ron.enter("/say exit"), "Server: exit ACK");
    let not_found = ron.enter("get well soon");
    assert!(not_found.contains("\nhint: ") || not_found.starts_with("hint: "), "{not_found}");
    assert!(not_found.contains("/say get well soon sends the line as a message"), "{not_found}");
    assert_eq!(ron.enter("exit, please"), "Server: exit, please ACK");
    let usage = ron.enter("exit please");
    assert!(usage.contains("/say exit please sends it as a message"), "{usage}");
    let usage = ron.enter("get");
    assert!(usage.starts_with("error: get: "), "{usage}");
    assert!(usage.contains("hint: /say get sends it as a message"), "{usage}");
    assert_eq!(ron.enter(""), "");
    assert_eq!(ron.enter("naïve שלום 🏹"), "Server: naïve שלום 🏹 ACK");
    assert!(home.names().is_empty());
}

#[tokio::test]
async fn tab_completes_commands_and_file_names() {
    let server = Server::start().await;
    offer_files(&server);
    server.add_file("notes/with space.txt", "content");
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    ron.terminal.type_text("stat\t");
    ron.terminal.wait_for_end("Ron: status");
    ron.press("\r");
    ron.terminal.type_text("ge\t");
    ron.terminal.wait_for_end("Ron: get");
    ron.terminal.type_text("se\t");
    ron.terminal.wait_for_end("Ron: get secret.txt");
    ron.terminal.type_text("no\t");
    ron.terminal.wait_for_end("Ron: get secret.txt notes/");
    ron.terminal.type_text("w\t");
    ron.terminal.wait_for_end("Ron: get secret.txt notes/with\\ space.txt");
    ron.press("\r");
    ron.terminal.wait_for("File received successfully: notes/with space.txt");
    ron.terminal.wait_for("File received successfully: secret.txt");
    assert_eq!(home.names(), ["secret.txt", "with space.txt"]);
}

#[tokio::test]
async fn ctrl_c_clears_the_line_and_ctrl_d_closes_the_prompt() {
    let server = Server::start().await;
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    ron.terminal.type_text("never mind");
    ron.terminal.wait_for_end("Ron: never mind");
    ron.press("\x03");
    assert_eq!(ron.enter("Hello"), "Server: Hello ACK");
    // On an empty line Ctrl-C only shows how to leave.
    ron.press("\x03");
    ron.terminal.wait_for("To leave, type exit or press Ctrl-D.");
    assert_eq!(ron.enter("still connected"), "Server: still connected ACK");
    ron.terminal.type_text("\x04");
    assert_eq!(ron.terminal.wait_for_exit().exit_code(), 0);
    let screen = ron.terminal.contents();
    assert!(screen.trim_end().ends_with("Closing connection to server...\nConnection closed."));
    assert!(!screen.contains("never mind ACK"));
    server.log().wait_for("Client 1: Ron has disconnected").await;
}

#[tokio::test]
async fn the_client_asks_again_after_a_taken_or_invalid_name() {
    let server = Server::start().await;
    let homes = [(); 2].map(|()| Home::new());
    let _ron = PromptUser::sign_in(&homes[0], &server, "Ron");
    let quiver = homes[1].quiver([""; 0]).server(server.address(), &server.certificate());
    let mut terminal = quiver.start_at_terminal();
    terminal.wait_for_end("Enter your client name:");
    let invalid_name = "a name has 1 to 32 characters";
    for (number, (name, why)) in [
        ("rON", "cannot sign in as rON: another client is called Ron"),
        ("../Ben", invalid_name),
        ("", invalid_name),
        ("Ron", "cannot sign in as Ron: another client is called Ron"),
    ]
    .into_iter()
    .enumerate()
    {
        let questions = terminal.contents().matches("Enter your client name:").count();
        terminal.type_line(name);
        terminal.wait_until("the same question", |screen| {
            screen.matches("Enter your client name:").count() > questions
                && screen.ends_with("Enter your client name:")
        });
        let screen = terminal.contents();
        let errors: Vec<_> = screen.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), number + 1, "{screen}");
        assert!(errors[number].contains(why), "{screen}");
    }
    terminal.type_line("Ben");
    let mut ben = PromptUser::at_terminal(terminal, "Ben");
    assert_eq!(ben.enter("Hello"), "Server: Hello ACK");
}

#[tokio::test]
async fn a_user_who_enters_the_name_late_is_signed_in_without_a_notice() {
    let server = Server::start().await;
    let home = Home::new();
    let quiver = home.quiver([""; 0]).server(server.address(), &server.certificate());
    let mut terminal = quiver.start_at_terminal();
    terminal.wait_for_end("Enter your client name:");
    // When the server has closed this later guest, it has closed the earlier one too.
    Client::guest(&server).await.wait_for_close().await;
    terminal.type_line("Ron");
    let mut ron = PromptUser::at_terminal(terminal, "Ron");
    assert_eq!(ron.enter("Hello"), "Server: Hello ACK");
    assert_eq!(
        ron.terminal.contents(),
        "Connected to server.\nEnter your client name: Ron\nConnected to the server successfully.\n\
         Ron: Hello\nServer: Hello ACK\nRon:"
    );
}

#[tokio::test]
async fn the_prompt_reports_a_stopping_server_above_the_line_being_typed() {
    let mut server = Server::start().await;
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    ron.terminal.type_text("half a li");
    ron.terminal.wait_for_end("Ron: half a li");
    server.signal(Signal::TERM);
    ron.terminal.wait_for("The server is stopping: ");
    ron.terminal.wait_for("Connection lost: ");
    ron.terminal.wait_for_end("Ron: half a li");
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    ron.terminal.type_text("ne");
    ron.terminal.wait_for_end("Ron: half a line");
    // The message cannot be sent, and the prompt continues.
    ron.press("\r");
    ron.terminal.wait_for("error: cannot connect to ");
    ron.terminal.type_text("\x04");
    assert_eq!(ron.terminal.wait_for_exit().exit_code(), 0);
}

#[tokio::test]
async fn a_transfer_continues_while_a_question_is_open() {
    const FILES: usize = 1_000;
    let server = Server::start().await;
    fs::create_dir(server.files().join("many")).unwrap();
    for number in 0..FILES {
        fs::write(server.files().join(format!("many/{number}")), [1; 4096]).unwrap();
    }
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    // More lines than the prompt's queue holds: if the question blocked their output, the transfer would stop.
    ron.terminal.type_line("get -r many --json --limit 1MB/s");
    ron.terminal.wait_for_output("continues in the background. ");
    ron.terminal.type_line("rm many/1");
    ron.terminal.wait_for_output("Remove many/1 from the server? [y/N]");
    assert!(tree::count(&home.folder().join("many")) < FILES, "the transfer ended too early");
    wait_until("all files", || tree::count(&home.folder().join("many")) == FILES).await;
    ron.terminal.type_line("n");
    ron.terminal.wait_for_output("Nothing was removed.");
    ron.terminal.wait_for_output("{\"summary\":");
    assert_eq!(ron.enter("Hello"), "Server: Hello ACK");
}

#[tokio::test]
async fn a_tree_download_at_the_prompt_fails_for_a_file_that_differs() {
    let server = Server::start().await;
    fs::create_dir(server.files().join("notes")).unwrap();
    for name in ["a", "b"] {
        fs::write(server.files().join("notes").join(name), "the server's").unwrap();
    }
    let home = Home::new();
    fs::create_dir(home.folder().join("notes")).unwrap();
    fs::write(home.folder().join("notes/a"), "of another size").unwrap();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    let output = ron.enter("get -r notes");
    assert!(output.contains("error: notes/a exists already"), "{output}");
    assert!(output.contains(", 1 failed"), "{output}");
    assert_eq!(fs::read(home.folder().join("notes/a")).unwrap(), b"of another size");
    assert_eq!(fs::read(home.folder().join("notes/b")).unwrap(), b"the server's");
}
