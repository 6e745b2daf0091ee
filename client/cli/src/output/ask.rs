//! Asks the person at the terminal.
//!
//! Each answer is read on a separate thread, so that a runtime that shuts down does not wait for it.

use std::io::{self, IsTerminal as _, Write as _};
use std::thread;

use quiver_protocol::Secret;
use tokio::sync::oneshot;

use super::Output;
use crate::failure::Failure;
use crate::ui_mode::UiMode;
use crate::unix::TerminalRestorer;

impl Output {
    /// Whether a command may ask a person. With `--json` it may not: a script should not depend on who starts it.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        !self.json().is_on() && self.has_person()
    }

    /// Whether there is a person: both the input and the place for questions are a terminal.
    #[must_use]
    pub fn has_person(&self) -> bool {
        let is_visible = match self.mode() {
            UiMode::OneShot => io::stderr().is_terminal(),
            UiMode::Prompt => io::stdout().is_terminal(),
            UiMode::Batch => false,
        };
        is_visible && io::stdin().is_terminal()
    }

    /// Asks a question; `None` at the end of input.
    ///
    /// # Errors
    /// [`Failure::System`] if the terminal fails.
    pub async fn ask(&self, question: &str) -> Result<Option<String>, Failure> {
        self.print_question(question).await?;
        run_on_thread(|| {
            let mut line = String::new();
            match io::stdin().read_line(&mut line)? {
                0 => Ok(None),
                _ => Ok(Some(line.trim().to_owned())),
            }
        })
        .await
    }

    /// Asks a question whose answer is not echoed; `None` at the end of input.
    ///
    /// # Errors
    /// [`Failure::System`] if the terminal fails.
    pub async fn ask_hidden(&self, question: &str) -> Result<Option<Secret>, Failure> {
        // Before the question is printed, so that early input is not echoed either.
        let _restorer = TerminalRestorer::save_and_hide_input();
        self.print_question(question).await?;
        let hidden = run_on_thread(|| match rpassword::read_password() {
            Ok(text) => Ok(HiddenInput::Typed(Secret::new(text))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(HiddenInput::End),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Ok(HiddenInput::Interrupted)
            }
            Err(error) => Err(error),
        });
        match hidden.await? {
            HiddenInput::Typed(answer) => Ok(Some(answer)),
            HiddenInput::End => {
                // Unlike Enter, Ctrl-D echoes no line break.
                self.print_question("\n").await?;
                Ok(None)
            }
            // The signal handler ends the program.
            HiddenInput::Interrupted => std::future::pending().await,
        }
    }

    /// Asks for confirmation; an empty answer or the end of input counts as no.
    ///
    /// # Errors
    /// [`Failure::System`] if the terminal fails.
    pub async fn confirm(&self, question: &str) -> Result<bool, Failure> {
        let answer = self.inner.confirm.lock().as_ref().map(|confirm| confirm(question.to_owned()));
        match answer {
            Some(answer) => Ok(answer.await),
            None => Ok(self.ask(question).await?.is_some_and(|answer| is_yes(&answer))),
        }
    }

    async fn print_question(&self, question: &str) -> Result<(), Failure> {
        let question = question.to_owned();
        let to_stdout = self.mode() == UiMode::Prompt;
        run_on_thread(move || {
            if to_stdout {
                let mut stdout = io::stdout().lock();
                stdout.write_all(question.as_bytes())?;
                stdout.flush()
            } else {
                io::stderr().lock().write_all(question.as_bytes())
            }
        })
        .await
    }
}

/// How reading a hidden answer ended.
enum HiddenInput {
    Typed(Secret),
    /// Ctrl-D.
    End,
    /// Ctrl-C.
    Interrupted,
}

/// Whether an answer is `y` or `yes`.
#[must_use]
pub(crate) fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

async fn run_on_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let failed = |source| Failure::system("cannot use the terminal", source);
    let (sender, answer) = oneshot::channel();
    let spawned = thread::Builder::new().name("question".to_owned()).spawn(move || {
        // Fails if the question was given up.
        let _ = sender.send(work());
    });
    spawned.map_err(failed)?;
    match answer.await {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(failed(io::Error::other("the thread of the question ended"))),
    }
}
