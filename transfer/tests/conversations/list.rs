//! `list` between two peers.

use quiver_protocol::reply::{EntryKind, FolderEntry};
use quiver_protocol::{FolderPath, Refusal, RefusalCode, Request, Timestamp};
use quiver_transfer::list::{self, EntrySource, ListError, ListItem, NotServed};
use quiver_transport::StreamError;

use crate::peers::{Responder, TIMEOUT, with_either_dialler};

/// A folder with `left` entries, listed in batches, which may fail after the last one.
struct NumberedEntries {
    left: u32,
    fails: bool,
}

impl EntrySource for NumberedEntries {
    type Error = std::io::Error;

    async fn next_batch(&mut self) -> Result<Vec<FolderEntry>, Self::Error> {
        let batch = self.left.min(300);
        if batch == 0 && self.fails {
            return Err(std::io::Error::other("the disk is gone"));
        }
        let first = 100_000 - self.left;
        self.left -= batch;
        Ok((first..first + batch).map(|number| entry(&format!("{number:06}"))).collect())
    }

    fn not_served(&self) -> NotServed {
        NotServed { count: 3, ..NotServed::default() }
    }
}

fn folder() -> FolderPath {
    FolderPath::parse("folder").unwrap()
}

fn entry(name: &str) -> FolderEntry {
    let path = folder().join(name).unwrap();
    let modified = Timestamp(chrono::DateTime::UNIX_EPOCH);
    FolderEntry { path, kind: EntryKind::File, size: 1, modified }
}

async fn serve(
    responder: &Responder,
    listing: NumberedEntries,
) -> Result<(), ListError<std::io::Error>> {
    let (request, mut stream) = responder.request().await;
    assert!(matches!(request, Request::List { path } if path == folder()));
    let served = list::serve(listing, &mut stream.writer).await;
    if let Err(error) = &served {
        let refusal = Refusal::new(RefusalCode::Internal, error.to_string());
        let _ = stream.refuse(&refusal).await;
    }
    served
}

#[tokio::test]
async fn all_entries_are_listed_in_order_and_counted() {
    with_either_dialler(async |requester, responder| {
        let read = async {
            let mut entries = list::fetch(&requester.channel, folder(), TIMEOUT).await.unwrap();
            let mut names = Vec::new();
            let end = loop {
                match entries.next().await.unwrap() {
                    ListItem::Entry(entry) => names.push(entry.path.file_name().to_owned()),
                    ListItem::End(end) => break end,
                }
            };
            assert_eq!((end.entries, end.not_served), (1000, 3));
            assert!((99_000..100_000).map(|number| format!("{number:06}")).eq(names));
        };
        let listing = NumberedEntries { left: 1000, fails: false };
        let (served, ()) = tokio::join!(serve(&responder, listing), read);
        served.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_list_that_fails_ends_with_an_error() {
    with_either_dialler(async |requester, responder| {
        let read = async {
            let mut entries = list::fetch(&requester.channel, folder(), TIMEOUT).await.unwrap();
            let mut listed = 0;
            loop {
                match entries.next().await {
                    Ok(ListItem::Entry(_)) => listed += 1,
                    Ok(ListItem::End(end)) => panic!("{end:?}"),
                    Err(StreamError::Refused(refusal)) => {
                        assert_eq!(refusal.code, RefusalCode::Internal);
                        break;
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
            assert_eq!(listed, 500);
        };
        let listing = NumberedEntries { left: 500, fails: true };
        let (served, ()) = tokio::join!(serve(&responder, listing), read);
        assert!(matches!(served, Err(ListError::Listing(_))), "{served:?}");
    })
    .await;
}
