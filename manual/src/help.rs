//! The manual in `--help`: examples before the options, because they are read first, and exit codes at the end.

use std::fmt::Write as _;

use clap::Command;
use clap::builder::StyledStr;
use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Style};

use crate::manual::{Example, Manual};

/// Examples are what clap calls the text before the help, which goes below the usage here.
const TEMPLATE: &str =
    "{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}{all-args}{after-help}";

/// How many examples `-h` has.
const SHORT_EXAMPLES: usize = 2;

impl Manual {
    /// Adds the manual to the help of a program and its commands.
    #[must_use]
    pub fn add_to_help(&self, program: Command) -> Command {
        self.add_to_command(program.styles(STYLES), "")
    }

    fn add_to_command(&self, command: Command, words: &str) -> Command {
        let topic = self.topic(words);
        let mut command = command.help_template(TEMPLATE);
        if !topic.examples.is_empty() {
            let short = &topic.examples[..topic.examples.len().min(SHORT_EXAMPLES)];
            let examples = |shown| example_text(shown, &command);
            let (short, all) = (examples(short), examples(topic.examples));
            command = command.before_help(short).before_long_help(all);
        }
        let after = self.after_help(&command, words);
        command = command.after_long_help(after);
        command.mut_subcommands(|own| {
            let separator = if words.is_empty() { "" } else { " " };
            let words = format!("{words}{separator}{}", own.get_name());
            self.add_to_command(own, &words)
        })
    }

    /// What follows the options in `--help`: the command's own text, files and variables of the program, exit codes.
    fn after_help(&self, command: &Command, words: &str) -> StyledStr {
        let topic = self.topic(words);
        let mut text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        if words.is_empty() {
            push_terms(&mut text, "Environment", self.environment, command);
            push_terms(&mut text, "Files", self.files, command);
        }
        push_terms(&mut text, "Exit codes", self.exit_codes(&topic), command);
        text.truncate(text.trim_end().len());
        text.into()
    }
}

fn example_text(examples: &[Example], command: &Command) -> StyledStr {
    let mut text = heading("Examples", command);
    for Example { line, effect } in examples {
        // A String takes every text.
        let _ = write!(text, "\n  {line}\n      {effect}");
    }
    text.into()
}

fn push_terms(text: &mut String, title: &str, terms: &[(&str, &str)], command: &Command) {
    if terms.is_empty() {
        return;
    }
    text.push_str(&heading(title, command));
    let width = terms.iter().map(|(term, _)| term.len()).max().unwrap_or_default();
    for (term, meaning) in terms {
        let _ = match width {
            // Numbers and short names stand beside their meaning.
            0..8 => write!(text, "\n  {term:>width$}  {meaning}"),
            _ => write!(text, "\n  {term}\n      {meaning}"),
        };
    }
    text.push_str("\n\n");
}

/// The colours of help and usage errors, as those of other texts in the client.
const STYLES: Styles = Styles::styled()
    .header(Style::new().bold().underline())
    .usage(Style::new().bold().underline())
    .literal(AnsiColor::Cyan.on_default())
    .error(AnsiColor::Red.on_default().bold())
    .valid(AnsiColor::Cyan.on_default().bold())
    .invalid(AnsiColor::Yellow.on_default().bold());

/// A heading in clap's style.
fn heading(title: &str, command: &Command) -> String {
    let style = command.get_styles().get_header();
    format!("{style}{title}:{style:#}")
}
