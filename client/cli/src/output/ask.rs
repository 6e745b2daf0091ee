//! Questions to the person at the terminal.
//!
//! A question waits on a thread of its own: a runtime that ends must not wait for an answer.

use std::io::{self, IsTerminal as _, Write as _};
use std::thread;

use quiver_protocol::Secret;
use tokio::sync::oneshot;

use super::Output;
use crate::failure::Failure;
use crate::ui_mode::UiMode;
use crate::unix::TerminalRestorer;

impl Output {
    /// Whether there is somebody to ask.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        let shown = match self.mode() {
            UiMode::OneShot => io::stderr().is_terminal(),
            UiMode::Prompt => io::stdout().is_terminal(),
            UiMode::Batch => false,
        };
        shown && io::stdin().is_terminal()
    }

    /// Asks a question; `None` where the input has ended.
    ///
    /// # Errors
    /// [`Failure::System`] where the terminal cannot be used.
    pub async fn ask(&self, question: &str) -> Result<Option<String>, Failure> {
        self.pose(question).await?;
        on_a_thread(|| {
            let mut line = String::new();
            match io::stdin().read_line(&mut line)? {
                0 => Ok(None),
                _ => Ok(Some(line.trim().to_owned())),
            }
        })
        .await
    }

    /// Asks a question whose answer is not shown; `None` where the input has ended.
    ///
    /// # Errors
    /// [`Failure::System`] where the terminal cannot be used.
    pub async fn ask_hidden(&self, question: &str) -> Result<Option<Secret>, Failure> {
        // Before the question shows: whoever types at once must not be seen either.
        let _echo_off = TerminalRestorer::without_echo();
        self.pose(question).await?;
        let hidden = on_a_thread(|| match rpassword::read_password() {
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
                // Only Enter was echoed.
                self.pose("\n").await?;
                Ok(None)
            }
            // The signal is on its way, and decides.
            HiddenInput::Interrupted => std::future::pending().await,
        }
    }

    /// Asks whether; `None` is what an empty answer or the end of input means.
    ///
    /// # Errors
    /// [`Failure::System`] where the terminal cannot be used.
    pub async fn confirm(&self, question: &str) -> Result<bool, Failure> {
        let above = self.inner.confirm.lock().as_ref().map(|confirm| confirm(question.to_owned()));
        match above {
            Some(confirmed) => Ok(confirmed.await),
            None => Ok(self.ask(question).await?.is_some_and(|answer| is_yes(&answer))),
        }
    }

    async fn pose(&self, question: &str) -> Result<(), Failure> {
        let question = question.to_owned();
        let to_stdout = self.mode() == UiMode::Prompt;
        on_a_thread(move || {
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

/// How a hidden answer ended.
enum HiddenInput {
    Typed(Secret),
    /// Ctrl-D.
    End,
    /// Ctrl-C.
    Interrupted,
}

/// `y` or `yes`.
#[must_use]
pub(crate) fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let failed = |source| Failure::system("cannot use the terminal", source);
    let (done, answer) = oneshot::channel();
    let start = thread::Builder::new().name("question".to_owned()).spawn(move || {
        // Nobody waits any more where the question was given up.
        let _ = done.send(work());
    });
    start.map_err(failed)?;
    match answer.await {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(failed(io::Error::other("the question was lost"))),
    }
}
