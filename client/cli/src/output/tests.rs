//! Texts that are printed beside each other.

use super::*;

#[tokio::test]
async fn a_text_whose_caller_waits_for_another_one_does_not_block_that() {
    let output = Output::new(UiMode::Prompt, Verbosity::Normal, JsonMode::default());
    let (release, released) = mpsc::channel();
    let (sender, shown) = mpsc::channel();
    let print = move |text| {
        released.recv().map_err(io::Error::other)?;
        sender.send(text).map_err(io::Error::other)
    };
    let (print_above, _flag) = PrintAbove::start(print).unwrap();
    output.set_print_above(Some(print_above)).await;
    let first = output.say("first");
    tokio::pin!(first);
    tokio::select! {
        biased;
        () = &mut first => panic!("the printer waits"),
        () = tokio::task::yield_now() => {}
    }
    // As an event that is shown while a command prints: the first future is not polled meanwhile.
    release.send(()).unwrap();
    release.send(()).unwrap();
    let second = output.say("second");
    tokio::time::timeout(Duration::from_secs(20), second).await.expect("it is printed");
    first.await;
    assert_eq!(shown.try_iter().collect::<Vec<_>>(), ["first\n", "second\n"]);
}
