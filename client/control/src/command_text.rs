//! Command lines as text, to be pasted into a shell.

use std::path::Path;

/// A command line. Each word is quoted if a shell would change it.
#[derive(Debug)]
pub struct CommandText(String);

impl CommandText {
    /// The command line of a program without arguments.
    #[must_use]
    pub fn new(program: &str) -> Self {
        Self(program.to_owned())
    }

    /// Adds words.
    pub fn words<T: AsRef<str>>(&mut self, words: impl IntoIterator<Item = T>) -> &mut Self {
        for word in words {
            self.0.push(' ');
            self.0.push_str(&quote(word.as_ref()));
        }
        self
    }

    /// Adds an option with its value, unless that is empty.
    pub fn option(&mut self, name: &str, value: &str) -> &mut Self {
        if !value.is_empty() {
            self.words([name, value]);
        }
        self
    }

    /// Adds an option with a path, if there is one.
    pub fn path_option(&mut self, name: &str, path: Option<&Path>) -> &mut Self {
        match path {
            Some(path) => self.option(name, &path.to_string_lossy()),
            None => self,
        }
    }

    /// Adds words that are no options, whatever they begin with.
    pub fn operands<T: AsRef<str>>(&mut self, words: impl IntoIterator<Item = T>) -> &mut Self {
        self.words(["--"]);
        for word in words {
            self.words([word.as_ref()]);
        }
        self
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        let mut command = CommandText::new("quiver");
        command.option("--to", "").option("--name", "Ann").path_option("--cert", None);
        command.words(["get"]).operands(["a b", "it's", "$HOME", "-r", "notes/a.txt", "[::1]:1"]);
        let expected = r"quiver --name Ann get -- 'a b' 'it'\''s' '$HOME' -r notes/a.txt '[::1]:1'";
        assert_eq!(command.finish(), expected);
    }
}
