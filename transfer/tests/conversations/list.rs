//! `list` between two bare ends.

use quiver_protocol::reply::{EntryKind, FolderEntry};
use quiver_protocol::{FolderPath, Refusal, RefusalCode, Request, Timestamp};
use quiver_transfer::list::{self, EntrySource, ListError, ListItem};
use quiver_transport::StreamError;

use crate::ends::{Answering, PATIENCE, whoever_dialled};

/// A folder with `left` entries, which are given out by some, and maybe no end but an error.
struct Numbers {
    left: u32,
    fails: bool,
}

impl EntrySource for Numbers {
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

    fn not_served(&self) -> u64 {
        3
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

async fn serve(answering: &Answering, listing: Numbers) -> Result<(), ListError<std::io::Error>> {
    let (request, mut stream) = answering.request().await;
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
    whoever_dialled(async |asking, answering| {
        let read = async {
            let mut entries = list::fetch(&asking.channel, folder(), PATIENCE).await.unwrap();
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
        let listing = Numbers { left: 1000, fails: false };
        let (served, ()) = tokio::join!(serve(&answering, listing), read);
        served.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_list_that_breaks_off_has_no_end() {
    whoever_dialled(async |asking, answering| {
        let read = async {
            let mut entries = list::fetch(&asking.channel, folder(), PATIENCE).await.unwrap();
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
        let listing = Numbers { left: 500, fails: true };
        let (served, ()) = tokio::join!(serve(&answering, listing), read);
        assert!(matches!(served, Err(ListError::Listing(_))), "{served:?}");
    })
    .await;
}
