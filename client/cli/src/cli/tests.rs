//! How the command line is parsed, and what is generated from its definition.

use clap::CommandFactory as _;
use clap::ValueEnum as _;

use super::*;

#[test]
fn the_definition_is_sound() {
    ClientArgs::command().debug_assert();
}

#[test]
fn settings_may_stand_anywhere() {
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
                Some(CommandArgs::Get(get)) => get.hold,
                Some(CommandArgs::Put(put)) => put.hold,
                Some(CommandArgs::Resume(resume)) => resume.hold,
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
fn what_begins_with_a_hyphen_follows_two() {
    let cli = ClientArgs::try_parse_from(["quiver", "get", "-o", "-", "--", "-rf", "a b"]).unwrap();
    let Some(CommandArgs::Get(get)) = cli.command else { panic!("{cli:?}") };
    assert_eq!(get.paths, ["-rf", "a b"]);
    assert_eq!(get.output, PathBuf::from("-"));
}

#[test]
fn every_shell_completes_every_command() {
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
fn the_manual_names_the_commands_and_the_exit_codes() {
    let mut page = Vec::new();
    clap_mangen::Man::new(ClientArgs::command()).render(&mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    for words in [
        "quiver\\-get",
        "quiver\\-put",
        "quiver\\-mkdir",
        "10 some of several failed",
        "QUIVER_SERVER",
    ] {
        assert!(page.contains(words), "{words}");
    }
}
