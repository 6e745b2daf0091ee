//! What a program says about itself beside its clap definition. Only data.

/// A program's manual.
#[derive(Debug, Clone, Copy)]
pub struct Manual {
    /// What is said about its commands, in groups.
    pub topics: &'static [&'static [Topic]],
    /// Its exit codes, each with its meaning.
    pub exit_codes: &'static [(&'static str, &'static str)],
    /// Its files, each with its contents.
    pub files: &'static [(&'static str, &'static str)],
    /// The environment variables that it reads.
    pub environment: &'static [(&'static str, &'static str)],
    /// Pages of other programs to read.
    pub see_also: &'static [&'static str],
}

/// What is said about a command.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    /// The words that select it, as in `contacts block`; empty for the program itself.
    pub command: &'static str,
    /// Paragraphs that follow the command's first sentence in its page.
    pub description: &'static [&'static str],
    /// Command lines that can be used as they are.
    pub examples: &'static [Example],
    /// The meaning of its exit codes; empty if it has those of the program.
    pub exit_codes: &'static [(&'static str, &'static str)],
    /// Further sections of its page.
    pub sections: &'static [Section],
    /// Whether it uses neither files nor environment variables of the program.
    pub is_standalone: bool,
}

impl Topic {
    /// A topic of which nothing is said.
    pub const EMPTY: Self = Self {
        command: "",
        description: &[],
        examples: &[],
        exit_codes: &[],
        sections: &[],
        is_standalone: false,
    };
}

/// A command line and what it does.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// The line as it is typed in a shell.
    pub line: &'static str,
    /// What it does: a sentence without a full stop.
    pub effect: &'static str,
}

/// A section of a man page.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Its heading, in capitals.
    pub heading: &'static str,
    /// The first paragraph.
    pub text: &'static str,
    /// Returns its terms, each with its explanation.
    pub terms: fn() -> Vec<(String, String)>,
    /// The paragraph after the terms.
    pub end: fn() -> String,
}

impl Manual {
    /// What is said about a command, selected by its words.
    #[must_use]
    pub fn topic(&self, command: &str) -> Topic {
        let topic = self.topics.iter().copied().flatten().find(|topic| topic.command == command);
        topic.copied().unwrap_or(Topic::EMPTY)
    }

    /// The exit codes of a command.
    #[must_use]
    pub fn exit_codes(&self, topic: &Topic) -> &'static [(&'static str, &'static str)] {
        if topic.exit_codes.is_empty() { self.exit_codes } else { topic.exit_codes }
    }
}
