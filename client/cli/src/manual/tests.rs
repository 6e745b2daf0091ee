//! The man pages describe all commands, and their sections have one order.

use clap::CommandFactory as _;

use super::*;
use crate::command::SLASH_COMMANDS;

/// The sections that a page may have, in their order.
const SECTIONS: [&str; 11] = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "COMMANDS",
    "PROMPT",
    "OPTIONS",
    "EXAMPLES",
    "FILES",
    "ENVIRONMENT",
    "EXIT STATUS",
    "SEE ALSO",
];

fn page(words: &[&str]) -> String {
    MANUAL.page(ClientArgs::command(), words).unwrap().text
}

#[test]
fn the_page_of_the_program_lists_commands_exit_codes_and_settings() {
    let page = page(&[]);
    for words in [
        "quiver\\-get",
        "quiver\\-put",
        "quiver\\-mkdir",
        "of several failed",
        "the other client declined",
        "QUIVER_SERVER",
        "announce = false",
        "@NAME TEXT",
        "/accept N",
    ] {
        assert!(page.contains(words), "{words}");
    }
    for name in SLASH_COMMANDS.into_iter().chain(["receive"]) {
        assert!(page.contains(&format!("quiver\\-{name}")), "{name}");
    }
}

#[test]
fn the_sections_of_every_page_are_in_one_order() {
    for page in MANUAL.pages(ClientArgs::command()) {
        let headings = page.text.lines().filter_map(|line| line.strip_prefix(".SH "));
        let headings: Vec<_> = headings.map(|heading| heading.trim_matches('"')).collect();
        let order = headings.iter().map(|heading| {
            let place = SECTIONS.iter().position(|section| section == heading);
            place.unwrap_or_else(|| panic!("{}: {heading}", page.name))
        });
        assert!(order.is_sorted(), "{}: {headings:?}", page.name);
        for needed in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "SEE ALSO"] {
            assert!(headings.contains(&needed), "{} has no {needed}", page.name);
        }
    }
}

#[test]
fn the_words_of_a_command_select_its_page() {
    assert!(page(&["contacts", "block"]).contains(".TH quiver-contacts-block 1"));
    assert!(page(&["contacts-block"]).contains(".TH quiver-contacts-block 1"));
    assert!(MANUAL.page(ClientArgs::command(), &["fly"]).is_none());
    assert!(MANUAL.page(ClientArgs::command(), &["help"]).is_none());
}

#[test]
fn commands_between_clients_say_what_their_exit_codes_mean() {
    for (name, code) in [
        ("tell", "1 it may have arrived"),
        ("send", "11 the recipient declined"),
        ("accept", "7 no such offer"),
        ("receive", "4 with --yes"),
        ("verify", "4 the digits differ"),
    ] {
        let help = help_of(name);
        let help: Vec<_> = help.split_whitespace().collect();
        assert!(help.join(" ").contains(code), "{name}: {help:?}");
    }
}

/// All commands that help lists, by their words.
fn commands() -> Vec<String> {
    fn collect(command: &Command, words: &str, all: &mut Vec<String>) {
        for own in command.get_subcommands().filter(|own| !own.is_hide_set()) {
            let words = format!("{words} {}", own.get_name()).trim().to_owned();
            all.push(words.clone());
            collect(own, &words, all);
        }
    }
    let mut all = vec![String::new()];
    collect(&ClientArgs::command(), "", &mut all);
    all
}

fn help_of(command: &str) -> String {
    let mut program = super::command();
    program.find_subcommand_mut(command).unwrap().render_long_help().to_string()
}

#[test]
fn every_command_has_examples_that_parse_as_that_command() {
    for command in commands() {
        let examples = MANUAL.topic(&command).examples;
        assert!((2..=4).contains(&examples.len()), "{command:?} has {} examples", examples.len());
        for example in examples {
            let words = quiver_words(example.line);
            if let Err(error) = parse(words.iter().map(Into::into)) {
                assert!(!error.use_stderr(), "{}: {error}", example.line);
            }
            let belongs = words.join(" ").contains(&command);
            assert!(belongs, "{} is no example of {command}", example.line);
        }
    }
}

/// The words of the program in a line that may have other programs and redirections.
fn quiver_words(line: &str) -> Vec<String> {
    let words = shlex::split(line).unwrap().into_iter();
    let own = words.skip_while(|word| word != "quiver");
    own.take_while(|word| !["|", ">", ">>"].contains(&&**word)).collect()
}

#[test]
fn every_topic_is_a_command() {
    let commands = commands();
    for topic in MANUAL.topics.iter().copied().flatten() {
        assert!(commands.iter().any(|command| command == topic.command), "{}", topic.command);
    }
}

#[test]
fn help_has_its_examples_before_the_options() {
    for (command, example) in [("get", "quiver get notes/todo.txt"), ("send", "quiver send Ron")] {
        let help = help_of(command);
        let place = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text}: {help}"));
        assert!(place("Usage:") < place("Examples:"), "{help}");
        assert!(place(example) < place("Arguments:"), "{help}");
        assert!(place("Options:") < place("Exit codes:"), "{help}");
    }
}
