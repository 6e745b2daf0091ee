//! Somebody at the prompt of the real `quiver`: arrives, says lines, sees answers.

use crate::quiver::Home;
use crate::server::Server;
use crate::terminal::Terminal;

/// A person who has signed in.
#[derive(Debug)]
pub struct Person {
    /// What they see.
    pub terminal: Terminal,
    name: String,
}

impl Person {
    /// Starts `quiver` at a terminal and types a name.
    ///
    /// # Panics
    /// Where that does not go as it should.
    #[must_use]
    pub fn arrive(home: &Home, server: &Server, name: &str) -> Self {
        let quiver = home.quiver([""; 0]).server(server.address(), &server.certificate());
        let mut terminal = quiver.at_a_terminal();
        terminal.wait_for_end("Enter your client name:");
        terminal.type_line(name);
        Self::at(terminal, name)
    }

    /// Whoever sits at a terminal where this name signs in.
    ///
    /// # Panics
    /// Where there is no prompt.
    #[must_use]
    pub fn at(terminal: Terminal, name: &str) -> Self {
        let person = Self { terminal, name: name.to_owned() };
        person
            .terminal
            .wait_for_end(&format!("Connected to the server successfully.{}", person.prompt()));
        person
    }

    /// A new row with the prompt.
    fn prompt(&self) -> String {
        format!("\n{}:", self.name)
    }

    /// Types a line at an empty prompt and waits for the next one; what came between.
    ///
    /// # Panics
    /// Where the prompt is not there, or does not come back.
    pub fn says(&mut self, line: &str) -> String {
        // What somebody was just told may stand there already and the prompt below it not yet.
        self.terminal.wait_for_end(&self.prompt());
        self.does(&format!("{line}\r"));
        let screen = self.terminal.contents();
        let prompt = self.prompt();
        let answer = screen.strip_suffix(&prompt).expect("it ends with the prompt");
        let answer = &answer[answer.rfind(&prompt).expect("the line was typed") + 1..];
        answer.split_once('\n').map_or("", |(_, answer)| answer).to_owned()
    }

    /// Types keys and waits for another prompt.
    ///
    /// # Panics
    /// Where none comes.
    pub fn does(&mut self, keys: &str) {
        let prompt = self.prompt();
        let before = self.terminal.contents().matches(&prompt).count();
        self.terminal.type_text(keys);
        self.terminal.wait_until(&format!("another prompt after {keys:?}"), |screen| {
            screen.matches(&prompt).count() > before && screen.ends_with(&prompt)
        });
    }

    /// Says `exit`, and waits for the end of the program.
    ///
    /// # Panics
    /// Where it goes on, or fails.
    pub fn leaves(&mut self) {
        self.terminal.type_line("exit");
        let status = self.terminal.wait();
        assert!(status.success(), "{status:?}\n{}", self.terminal.contents());
    }
}
