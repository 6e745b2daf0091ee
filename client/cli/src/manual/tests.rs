//! The man pages describe all commands, and their sections have one order.

use clap::CommandFactory as _;

use super::*;
use crate::command::SLASH_COMMANDS;

/// The sections that a page may have, in their order.
const SECTIONS: [&str; 10] = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "COMMANDS",
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
        "some of several failed",
        "the other client declined",
        "QUIVER_SERVER",
        "announce = false",
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
