//! A user at the prompt of the real `quiver`: signs in, enters lines, sees the output.

use crate::quiver::Home;
use crate::server::Server;
use crate::terminal::Terminal;

/// A user who has signed in.
#[derive(Debug)]
pub struct PromptUser {
    /// The terminal that shows the prompt.
    pub terminal: Terminal,
    name: String,
}

impl PromptUser {
    /// Starts `quiver` at a terminal and types a name.
    ///
    /// # Panics
    /// If the sign-in fails.
    #[must_use]
    pub fn sign_in(home: &Home, server: &Server, name: &str) -> Self {
        let quiver = home.quiver([""; 0]).server(server.address(), &server.certificate());
        let mut terminal = quiver.start_at_terminal();
        terminal.wait_for_end("Enter your client name:");
        terminal.type_line(name);
        Self::at_terminal(terminal, name)
    }

    /// The user at a terminal where a client signs in with this name.
    ///
    /// # Panics
    /// If no prompt appears.
    #[must_use]
    pub fn at_terminal(terminal: Terminal, name: &str) -> Self {
        let user = Self { terminal, name: name.to_owned() };
        user.terminal
            .wait_for_end(&format!("Connected to the server successfully.{}", user.prompt()));
        user
    }

    /// The prompt at the start of a row.
    fn prompt(&self) -> String {
        format!("\n{}:", self.name)
    }

    /// Types a line at an empty prompt, waits for the next prompt, and returns the output between them.
    ///
    /// # Panics
    /// If there is no prompt before or after.
    pub fn enter(&mut self, line: &str) -> String {
        // The output of the command before may be on the screen already, and the prompt below it not yet.
        self.terminal.wait_for_end(&self.prompt());
        self.press(&format!("{line}\r"));
        let screen = self.terminal.contents();
        let prompt = self.prompt();
        let output = screen.strip_suffix(&prompt).expect("it ends with the prompt");
        let output = &output[output.rfind(&prompt).expect("the line was typed") + 1..];
        output.split_once('\n').map_or("", |(_, output)| output).to_owned()
    }

    /// Types keys and waits for another prompt.
    ///
    /// # Panics
    /// If none appears.
    pub fn press(&mut self, keys: &str) {
        let prompt = self.prompt();
        let before = self.terminal.contents().matches(&prompt).count();
        self.terminal.type_text(keys);
        self.terminal.wait_until(&format!("another prompt after {keys:?}"), |screen| {
            screen.matches(&prompt).count() > before && screen.ends_with(&prompt)
        });
    }

    /// Enters `exit`, and waits for the program to exit.
    ///
    /// # Panics
    /// If it keeps running, or fails.
    pub fn exit(&mut self) {
        self.terminal.type_line("exit");
        let status = self.terminal.wait_for_exit();
        assert!(status.success(), "{status:?}\n{}", self.terminal.contents());
    }
}
