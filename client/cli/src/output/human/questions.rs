//! Texts of questions about other clients, for people. Pure, like [`human`](super).

use quiver_client::question::Question;
use quiver_protocol::{ClientName, Fingerprint, units};

/// The question whether a key is another machine of an account.
#[must_use]
pub fn other_machine_question(
    name: &ClientName,
    presented: &Fingerprint,
    known: &[Fingerprint],
) -> String {
    let known: Vec<_> = known.iter().map(|key| format!("  {key}")).collect();
    format!(
        "{name} connects with a key that is not known yet:\n  {presented}\n\
         Known keys of {name}:\n{}\n\
         Ask {name}. Is it another machine of {name}? [y/N] ",
        known.join("\n")
    )
}

/// The note that a question waits for the end of the line that is being typed.
#[must_use]
pub fn question_note(question: &Question) -> String {
    let what = match question {
        Question::OtherMachine { name, .. } => {
            format!("{name} connects with a key that is not known yet.")
        }
        Question::CompareDigits { name, .. } => format!("{name} wants to compare keys."),
        Question::MoreThanOffered { from, .. } => format!("{from} sends more than it has offered."),
        Question::ConnectDirectly { name, .. } => format!("{name} wants to connect directly."),
        Question::Trust { .. }
        | Question::Name
        | Question::Password
        | Question::Replace { .. }
        | Question::Conflict { .. } => "There is a question.".to_owned(),
    };
    format!("{what} Press Enter to answer.")
}

/// The question whether both people see the same digits.
#[must_use]
pub fn digits_question(name: &ClientName, digits: &str) -> String {
    format!(
        "Compare these digits with {name}, by telephone or in person:\n  {digits}\n\
         Does {name} see the same digits? [y/N] "
    )
}

/// The question whether to take more than was offered.
#[must_use]
pub fn more_question(from: &ClientName, offered: u64, found: u64) -> String {
    let (offered, found) = units::compared_bytes(offered, found);
    format!("{from} has offered {offered}, and now sends {found}. Continue? [y/N] ")
}

/// The question whether a client may learn this one's address.
#[must_use]
pub fn connect_question(name: &ClientName, key: &Fingerprint) -> String {
    format!(
        "{name} wants to connect directly, and would learn your address. Its key is\n  {key}\n\
         Allow it? [y/N] "
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::example;

    #[test]
    fn the_question_about_another_machine_shows_all_keys() {
        let (presented, known) = (Fingerprint([1; 32]), [Fingerprint([2; 32])]);
        let text = other_machine_question(&example::name("Ron"), &presented, &known);
        assert!(text.contains(&"01".repeat(32)) && text.contains(&"02".repeat(32)), "{text}");
        assert!(text.ends_with("Is it another machine of Ron? [y/N] "), "{text}");
    }

    #[test]
    fn digits_are_shown_in_groups_of_four_on_a_line_of_their_own() {
        let text = digits_question(&example::name("Ron"), "1234 5678 9012");
        assert!(text.contains("\n  1234 5678 9012\n"), "{text}");
    }

    #[test]
    fn more_than_offered_is_asked_about_with_both_sizes() {
        let text = more_question(&example::name("Ron"), 1_000, 2_500_000);
        assert_eq!(text, "Ron has offered 1.0 kB, and now sends 2.5 MB. Continue? [y/N] ");
    }
}
