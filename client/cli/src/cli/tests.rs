//! How the command line is parsed, and what is generated from its definition.

use clap::CommandFactory as _;
use clap::ValueEnum as _;

use super::*;

#[test]
fn clap_accepts_the_definition() {
    ClientArgs::command().debug_assert();
}

#[test]
fn settings_are_accepted_before_and_after_the_command() {
    for line in ["quiver --name Ron -q status", "quiver status --quiet --name Ron"] {
        let cli = ClientArgs::try_parse_from(line.split(' ')).unwrap();
        assert_eq!(cli.settings.name.unwrap().as_str(), "Ron");
        assert!(cli.settings.quiet && cli.settings.timeout == 30);
        assert!(matches!(cli.command, Some(CommandArgs::Status(_))));
    }
}

#[test]
fn the_retry_timeout_has_its_old_name_as_a_hidden_alias() {
    for flag in ["--retry-timeout", "--patience"] {
        for line in [["get", "a"], ["put", "a"], ["resume", "a"]] {
            let words = ["quiver"].into_iter().chain(line).chain([flag, "7"]);
            let cli = ClientArgs::try_parse_from(words).unwrap();
            let retry = match cli.command {
                Some(CommandArgs::Get(get)) => get.retry,
                Some(CommandArgs::Put(put)) => put.retry,
                Some(CommandArgs::Resume(resume)) => resume.retry,
                other => panic!("{other:?}"),
            };
            assert_eq!(retry.retry_timeout, 7, "{flag}");
        }
    }
    let mut command = ClientArgs::command();
    let get = command.find_subcommand_mut("get").unwrap();
    let help = get.render_long_help().to_string();
    assert!(help.contains("--retry-timeout") && !help.contains("--patience"), "{help}");
}

#[test]
fn paths_that_begin_with_a_hyphen_follow_two_hyphens() {
    let cli = ClientArgs::try_parse_from(["quiver", "get", "-o", "-", "--", "-rf", "a b"]).unwrap();
    let Some(CommandArgs::Get(get)) = cli.command else { panic!("{cli:?}") };
    assert_eq!(get.paths, ["-rf", "a b"]);
    assert_eq!(get.output, PathBuf::from("-"));
}

#[test]
fn each_shell_script_completes_all_commands() {
    for shell in clap_complete::Shell::value_variants() {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut ClientArgs::command(), "quiver", &mut script);
        let script = String::from_utf8(script).unwrap();
        let commands = ClientArgs::command();
        let names = commands.get_subcommands().map(clap::Command::get_name);
        for word in names.chain(["password-file", "overwrite", "no-resume", "limit"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn the_name_of_another_client_is_not_the_own_one() {
    for line in [
        "send Ron a",
        "tell Ron hi",
        "path Ron",
        "verify Ron",
        "contacts forget Ron",
        "receive --from Ron",
    ] {
        let cli =
            ClientArgs::try_parse_from(["quiver"].into_iter().chain(line.split(' '))).unwrap();
        assert_eq!(cli.settings.name, None, "{line}");
    }
}

#[test]
fn send_takes_a_recipient_and_paths_or_an_offer_to_withdraw() {
    let parse = |line: &str| ClientArgs::try_parse_from(line.split(' '));
    let Some(CommandArgs::Send(send)) = parse("quiver send Ron a - --as b").unwrap().command else {
        panic!()
    };
    assert_eq!(send.recipient.as_ref().unwrap().as_str(), "Ron");
    assert!(send.has_stdin() && send.cancel.is_none());
    let Some(CommandArgs::Send(send)) = parse("quiver send --cancel 3").unwrap().command else {
        panic!()
    };
    assert_eq!(send.cancel.unwrap().0, 3);
    for line in ["send", "send Ron", "send --cancel 0", "send Ron a --cancel 3", "receive --yes"] {
        assert!(parse(&format!("quiver {line}")).is_err(), "{line}");
    }
}

#[test]
fn a_size_that_is_none_is_refused_with_examples() {
    let parse = |size: &str| ClientArgs::try_parse_from(["quiver", "gui", "--spool-limit", size]);
    assert!(parse("1.5GiB").is_ok());
    for text in ["x", "10 apples", ""] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains("expected a size like 512, 10MB or 1GiB"), "{error}");
    }
}
