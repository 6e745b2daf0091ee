//! The man page of one command, in the sections of man-pages(7).

use clap::{Arg, Command};
use clap_mangen::roff::{Inline, Roff, bold, roman};
use clap_mangen::{Man, roff};

use crate::manual::{Example, Manual, Topic};

/// The section of the manual for commands of users.
pub(crate) const SECTION: &str = "1";

/// Where a command stands in its program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageContext<'a> {
    pub(crate) manual: &'a Manual,
    /// The program, with all global flags added to its commands.
    pub(crate) program: &'a Command,
    pub(crate) topic: &'a Topic,
    /// The names of all pages of the program.
    pub(crate) names: &'a [String],
}

/// Renders the page of a command, which is part of a built program.
pub(crate) fn render(command: &Command, context: PageContext<'_>) -> String {
    let PageContext { manual, program, topic, .. } = context;
    let version = program.get_version().unwrap_or_default();
    let source = format!("{} {version}", program.get_name());
    // Options, commands and help have sections of their own.
    let man = Man::new(command.clone()).source(source).manual("Quiver manual");
    let mut page = Page::default();
    page.mangen(|out| man.render_title(out));
    page.mangen(|out| man.render_name_section(out));
    page.synopsis(command);
    page.mangen(|out| man.render_description_section(out));
    page.paragraphs(topic.description);
    let own_end = command.get_after_help().map(ToString::to_string);
    page.paragraphs(own_end.as_slice());
    page.commands(command);
    for section in topic.sections {
        page.heading(section.heading);
        page.text(section.text);
        for (term, text) in (section.terms)() {
            page.term(vec![bold(term)], &text);
        }
        page.paragraphs(&[(section.end)()]);
    }
    page.options(command);
    page.examples(topic.examples);
    if !topic.is_standalone {
        page.term_section("FILES", manual.files);
        page.term_section("ENVIRONMENT", manual.environment);
    }
    page.term_section("EXIT STATUS", manual.exit_codes(topic));
    page.see_also(command, context);
    page.0
}

/// The text of a page so far.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Appends what clap_mangen renders.
    fn mangen(&mut self, render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) {
        let mut bytes = Vec::new();
        // Writing to memory does not fail.
        if render(&mut bytes).is_ok() {
            self.append(&String::from_utf8_lossy(&bytes));
        }
    }

    fn roff(&mut self, roff: &Roff) {
        self.append(&roff.render());
    }

    /// Appends text with its requests. Each piece begins with the same definition, of which the first is enough.
    fn append(&mut self, text: &str) {
        let preamble = Roff::default().render();
        let text = match self.0.is_empty() {
            true => text,
            false => text.strip_prefix(&*preamble).unwrap_or(text),
        };
        self.0.push_str(text);
    }

    fn heading(&mut self, heading: &str) {
        self.roff(Roff::default().control("SH", [heading]));
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.roff(Roff::default().text([roman(text)]));
        }
    }

    fn paragraphs(&mut self, paragraphs: &[impl AsRef<str>]) {
        for paragraph in paragraphs {
            self.roff(Roff::default().control("PP", []).text([roman(paragraph.as_ref())]));
        }
    }

    /// The usage as in the help: one line for each form of the command.
    fn synopsis(&mut self, command: &Command) {
        self.heading("SYNOPSIS");
        let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
        let usage = command.clone().render_usage().to_string();
        let usage = usage.strip_prefix("Usage:").unwrap_or(&usage);
        for (index, form) in
            usage.lines().map(str::trim).filter(|form| !form.is_empty()).enumerate()
        {
            let mut roff = Roff::default();
            if index > 0 {
                roff.control("br", []);
            }
            let form = match form.strip_prefix(&*name) {
                Some(rest) => vec![bold(name.clone()), roman(rest)],
                None => vec![roman(form)],
            };
            self.roff(roff.text(form));
        }
    }

    fn commands(&mut self, command: &Command) {
        let visible = || command.get_subcommands().filter(|command| !command.is_hide_set());
        if visible().next().is_none() {
            return;
        }
        self.heading("COMMANDS");
        for command in visible() {
            let page = page_reference(command.get_display_name().unwrap_or(command.get_name()));
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            self.term(page, &about);
        }
    }

    /// The arguments first, as in the help; then the options, in which those of all commands are a part of their own.
    fn options(&mut self, command: &Command) {
        let arguments = render_options(command, Arg::is_positional);
        let options = render_options(command, |argument| !argument.is_positional());
        if arguments.is_empty() && options.is_empty() {
            return;
        }
        self.heading("OPTIONS");
        self.0.push_str(&arguments);
        self.0.push_str(&options);
    }

    fn examples(&mut self, examples: &[Example]) {
        if examples.is_empty() {
            return;
        }
        self.heading("EXAMPLES");
        for example in examples {
            self.term(vec![bold(example.line)], &format!("{}.", example.effect));
        }
    }

    fn term_section(&mut self, heading: &str, terms: &[(&str, &str)]) {
        if !terms.is_empty() {
            self.heading(heading);
            self.terms(terms);
        }
    }

    fn terms(&mut self, terms: &[(&str, &str)]) {
        for (term, text) in terms {
            self.term(vec![bold(*term)], text);
        }
    }

    fn term(&mut self, term: Vec<Inline>, text: &str) {
        self.roff(Roff::default().control("TP", []).text(term).text([roman(text)]));
    }

    /// Refers to the command that it belongs to, and the program; its own commands are in a section of theirs.
    fn see_also(&mut self, command: &Command, context: PageContext<'_>) {
        let own = command.get_display_name().unwrap_or(command.get_name());
        let is_related =
            |name: &str| name == context.program.get_name() || own.starts_with(&format!("{name}-"));
        let pages = context.names.iter().map(String::as_str);
        let related = pages.filter(|name| *name != own && is_related(name));
        let mut line: Vec<Inline> = Vec::new();
        for name in related.chain(context.manual.see_also.iter().copied()) {
            if !line.is_empty() {
                line.push(roman(", "));
            }
            line.extend(page_reference(name));
        }
        if !line.is_empty() {
            self.heading("SEE ALSO");
            self.roff(Roff::default().text(line));
        }
    }
}

/// Renders the arguments that `is_shown` selects, with their headings as parts of a section.
fn render_options(command: &Command, is_shown: impl Fn(&Arg) -> bool) -> String {
    let shown = command.clone().mut_args(|argument| {
        let is_hidden = argument.is_hide_set() || !is_shown(&argument);
        argument.hide(is_hidden)
    });
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = Man::new(shown).render_options_section(&mut bytes);
    let rendered = String::from_utf8_lossy(&bytes).into_owned();
    let rendered = rendered.strip_prefix(&*Roff::default().render()).unwrap_or(&rendered);
    let mut text = String::new();
    for line in rendered.lines().filter(|line| *line != ".SH OPTIONS") {
        match line.strip_prefix(".SH ") {
            Some(heading) => {
                text.push_str(&format!(".SS {}\n", sentence_case(heading.trim_matches('"'))));
            }
            None => text.extend([line, "\n"]),
        }
    }
    text
}

/// `quiver-get(1)`, with the name in bold.
fn page_reference(name: &str) -> Vec<Inline> {
    vec![roff::bold(name), roman(format!("({SECTION})"))]
}

/// `SETTINGS` as `Settings`.
fn sentence_case(heading: &str) -> String {
    let mut characters = heading.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + &characters.as_str().to_lowercase()
}
