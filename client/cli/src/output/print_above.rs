//! Prints texts above the line that is being typed, in order, on a separate thread. Does not know the line editor.
//!
//! The line editor takes texts only while it reads a line. If the line ends just after it was given a text, its
//! printer blocks until it reads the next line. The code that starts to read that line must not wait for the
//! text: [`PrintAbove::print`] then returns, and the text appears above the next line. Until then further texts are
//! written directly, so that at most one text waits.

use std::io::{self, Write as _};
use std::sync::mpsc as sync;
use std::thread;
use std::time::Duration;

use quiver_transfer::blocking;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// How long [`PrintAbove::close`] waits for the texts.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The queue of texts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PrintAbove {
    texts: sync::Sender<QueuedText>,
    state: watch::Receiver<PrintState>,
}

/// Says whether a line is being read.
#[derive(Debug, Clone)]
pub struct ReadingFlag(watch::Sender<PrintState>);

#[derive(Debug)]
struct QueuedText {
    /// Empty at the end of the queue.
    text: String,
    printed: oneshot::Sender<io::Result<()>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct PrintState {
    is_reading: bool,
    is_printing: bool,
    /// Whether a line was read at some time since the current text was given to the printer: then the printer may
    /// wait for the next line.
    may_block: bool,
}

impl PrintAbove {
    /// Starts the thread. `print` prints one text; it may block while no line is read, and must return an error
    /// once no further line can be read.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        mut print: impl FnMut(String) -> io::Result<()> + Send + 'static,
    ) -> io::Result<(Self, ReadingFlag)> {
        let (texts, queue) = sync::channel::<QueuedText>();
        let (sender, state) = watch::channel(PrintState::default());
        let flag = ReadingFlag(sender.clone());
        let work = move || {
            for QueuedText { text, printed } in queue {
                sender.send_modify(PrintState::start_printing);
                let result = if text.is_empty() {
                    Ok(())
                } else {
                    // Without the line editor there is no line to print above.
                    print(text.clone()).or_else(|_| write_directly(&text))
                };
                sender.send_modify(PrintState::finish_printing);
                // Dropped if the caller did not wait.
                let _ = printed.send(result);
            }
        };
        thread::Builder::new().name("print-above".to_owned()).spawn(work)?;
        Ok((Self { texts, state }, flag))
    }

    /// Prints a text of whole lines. Returns once it is printed, or once it has to wait for the next line. To be
    /// called for one text after the other.
    ///
    /// # Errors
    /// The terminal cannot be written.
    pub async fn print(&self, text: String) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let mut state = self.state.clone();
        if state.borrow().is_blocked() {
            return blocking::run_io(move || write_directly(&text)).await;
        }
        let printed = self.queue(text)?;
        tokio::select! {
            biased;
            result = printed => result.unwrap_or_else(|_| Err(ended())),
            // Fails if the thread has ended, which `printed` reports.
            Ok(_) = state.wait_for(PrintState::is_blocked) => Ok(()),
        }
    }

    /// Waits until all texts are printed, for at most 2 seconds.
    pub async fn close(self) {
        if let Ok(printed) = self.queue(String::new()) {
            let _ = timeout(CLOSE_TIMEOUT, printed).await;
        }
    }

    fn queue(&self, text: String) -> io::Result<oneshot::Receiver<io::Result<()>>> {
        let (sender, printed) = oneshot::channel();
        self.texts.send(QueuedText { text, printed: sender }).map_err(|_| ended())?;
        Ok(printed)
    }
}

impl ReadingFlag {
    /// To be called before a line is read, and after it.
    pub fn set(&self, is_reading: bool) {
        self.0.send_modify(|state| {
            state.is_reading = is_reading;
            state.may_block |= is_reading && state.is_printing;
        });
    }
}

impl PrintState {
    fn start_printing(&mut self) {
        self.is_printing = true;
        self.may_block = self.is_reading;
    }

    /// Whether the printer may wait for a line that is not read yet.
    fn is_blocked(&self) -> bool {
        self.may_block && !self.is_reading
    }

    fn finish_printing(&mut self) {
        self.is_printing = false;
        self.may_block = false;
    }
}

fn write_directly(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn ended() -> io::Error {
    io::Error::other("the thread that prints has ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A printer as the line editor's: it has space for one text, and passes texts on only while a line is read.
    fn start() -> (PrintAbove, ReadingFlag, sync::Receiver<String>) {
        let (sender, line) = sync::sync_channel(1);
        let print = move |text| sender.send(text).map_err(|_| io::ErrorKind::BrokenPipe.into());
        let (print_above, flag) = PrintAbove::start(print).unwrap();
        (print_above, flag, line)
    }

    /// Ends the line once a text was given to the printer.
    async fn end_line(print_above: &PrintAbove, flag: &ReadingFlag) {
        let mut state = print_above.state.clone();
        let given = state.wait_for(|state| state.may_block);
        timeout(CLOSE_TIMEOUT, given).await.unwrap().unwrap();
        flag.set(false);
    }

    #[tokio::test]
    async fn a_text_that_waits_for_the_next_line_does_not_block_its_caller() {
        let (print_above, flag, line) = start();
        flag.set(true);
        print_above.print("a\n".to_owned()).await.unwrap();
        let blocked = print_above.print("b\n".to_owned());
        let (result, ()) = tokio::join!(blocked, end_line(&print_above, &flag));
        result.unwrap();
        // Further texts do not wait behind it.
        timeout(CLOSE_TIMEOUT, print_above.print(" \n".to_owned())).await.unwrap().unwrap();
        flag.set(true);
        let printed: Vec<_> = line.iter().take(2).collect();
        assert_eq!(printed, ["a\n", "b\n"]);
        print_above.close().await;
        assert!(line.try_recv().is_err(), "the third text was queued");
    }

    #[tokio::test]
    async fn a_text_that_can_be_printed_is_waited_for() {
        let (print_above, _flag, line) = start();
        print_above.print("a\n".to_owned()).await.unwrap();
        assert_eq!(line.try_recv().unwrap(), "a\n");
    }

    #[tokio::test]
    async fn closing_ends_although_a_text_waits_for_a_line_that_is_never_read() {
        let (print_above, flag, line) = start();
        flag.set(true);
        print_above.print("a\n".to_owned()).await.unwrap();
        let blocked = print_above.print(" \n".to_owned());
        tokio::join!(blocked, end_line(&print_above, &flag)).0.unwrap();
        drop(line);
        timeout(CLOSE_TIMEOUT, print_above.close()).await.unwrap();
    }
}
