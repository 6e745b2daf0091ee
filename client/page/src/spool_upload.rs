//! `POST /spool`: one file of a drop, from its headers to its name in the spool. The guards and the secret are checked
//! before; nothing of the body is read until there is space for all of it.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use percent_encoding::percent_decode_str;
use quiver_protocol::{FilePath, limits};
use quiver_transfer::blocking;
use tokio::time::timeout;

use crate::context::PageContext;
use crate::guards::single;
use crate::spool::{DropId, SpoolError};
use quiver_control::Failure;

/// Bytes that are written in one step.
const BLOCK: usize = 256 * 1024;

/// A body that has brought less than [`MIN_PROGRESS`] bytes in this time, and not its end, is given up.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(30);
const MIN_PROGRESS: usize = 16 * 1024;

/// How much of a refused body is read, so that a small one does not cost the connection.
const MAX_DRAINED: u64 = 64 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest number that a page can write down: 2^53.
const MAX_SIZE: u64 = 1 << 53;

/// The largest time of a page, in milliseconds before or after 1970 (ECMA-262, 21.4.1.1).
const MAX_TIME: u64 = 8_640_000_000_000_000;

/// What the headers say.
#[derive(Debug, PartialEq, Eq)]
struct UploadHead {
    dropped: DropId,
    path: FilePath,
    size: u64,
    modified: SystemTime,
}

/// The status and the body of a refusal.
type UploadRefusal = (StatusCode, Failure);

/// Receives a file. Returns its bytes.
///
/// # Errors
/// The status to refuse the request with, and why; nothing of the file is left then.
pub(crate) async fn receive(
    context: &Arc<PageContext>,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<u64, UploadRefusal> {
    let head = read_head(headers);
    let head = head.map_err(|why| (StatusCode::BAD_REQUEST, Failure::invalid(why)))?;
    let size = head.size;
    let received = store(context, head, &mut body).await;
    if received.is_err() && size <= MAX_DRAINED {
        drain(&mut body).await;
    }
    received.map(|()| size)
}

fn read_head(headers: &HeaderMap) -> Result<UploadHead, String> {
    let header = |name: &'static str| {
        single(headers, &HeaderName::from_static(name)).ok_or_else(|| format!("no header {name}"))
    };
    let dropped = DropId::parse(header("x-quiver-drop")?).ok_or("the id has not 16 hex digits")?;
    let encoded = header("x-quiver-path")?;
    // Each byte takes three at most.
    if encoded.len() > 3 * limits::PATH {
        return Err("the path is too long".to_owned());
    }
    let path = percent_decode_str(encoded).decode_utf8();
    let path = path.map_err(|_| "the path is not UTF-8")?;
    let path = FilePath::parse(&path).map_err(|rule| rule.to_string())?;
    let size = header("x-quiver-size")?.parse().ok().filter(|size| *size <= MAX_SIZE);
    let size = size.ok_or("the size is not valid")?;
    let modified = header("x-quiver-modified")?.parse().ok().and_then(time);
    let modified = modified.ok_or("the time is not valid")?;
    if headers.contains_key(CONTENT_LENGTH) {
        let length = single(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
        if length != Some(size) {
            return Err("the body has another size".to_owned());
        }
    }
    Ok(UploadHead { dropped, path, size, modified })
}

/// The time that is so many milliseconds after 1970.
fn time(milliseconds: i64) -> Option<SystemTime> {
    let distance = milliseconds.unsigned_abs();
    let duration = Duration::from_millis(distance);
    match milliseconds {
        _ if distance > MAX_TIME => None,
        ..0 => SystemTime::UNIX_EPOCH.checked_sub(duration),
        0.. => SystemTime::UNIX_EPOCH.checked_add(duration),
    }
}

async fn store(
    context: &Arc<PageContext>,
    head: UploadHead,
    body: &mut Body,
) -> Result<(), UploadRefusal> {
    let UploadHead { dropped, path, size, modified } = head;
    // The semaphore is never closed.
    let _permit = context.spool_permits.acquire().await;
    let spool = context.spool.clone();
    let started = run(move || {
        let mut file = spool.start_file(dropped, size)?;
        let part = file.create()?;
        Ok((file, part))
    });
    let (file, mut part) = started.await?;
    let (mut content, mut left) = (BodyReader { body, rest: Bytes::new() }, size);
    loop {
        let read = tokio::select! {
            biased;
            () = file.discarded() => return Err(refuse(SpoolError::Unknown)),
            read = content.read_block(left) => read?,
        };
        left -= read.len() as u64;
        if left == 0 {
            content.expect_end().await?;
            return run(move || Ok(file.store(part, &read, &path, modified)?)).await;
        }
        part = run(move || {
            part.write_all(&read)?;
            Ok(part)
        })
        .await?;
    }
}

/// Runs blocking work on the spool.
async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SpoolError> + Send + 'static,
) -> Result<T, UploadRefusal> {
    match blocking::run(work).await {
        Ok(done) => done.map_err(refuse),
        Err(_) => Err((StatusCode::SERVICE_UNAVAILABLE, Failure::interrupted())),
    }
}

fn refuse(error: SpoolError) -> UploadRefusal {
    let status = match &error {
        SpoolError::Full | SpoolError::TooMany => StatusCode::INSUFFICIENT_STORAGE,
        SpoolError::InUse | SpoolError::Duplicate | SpoolError::Unknown => StatusCode::CONFLICT,
        // The path is valid, but together with that of the spool it is too long for the system.
        SpoolError::Disk(error) if error.kind() == io::ErrorKind::InvalidFilename => {
            StatusCode::BAD_REQUEST
        }
        SpoolError::NoFolder(_) | SpoolError::Disk(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, error.into())
}

/// Reads a body in blocks.
struct BodyReader<'a> {
    body: &'a mut Body,
    /// What was received beyond the last block.
    rest: Bytes,
}

impl BodyReader<'_> {
    /// The next block, of which the body has `left` bytes or more.
    async fn read_block(&mut self, left: u64) -> Result<Vec<u8>, UploadRefusal> {
        let wanted = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        let mut block = Vec::with_capacity(wanted);
        while block.len() < wanted {
            let target = wanted.min(block.len() + MIN_PROGRESS);
            let progress = self.read_into(&mut block, target);
            let late = || {
                let why = "the content did not come in time";
                (StatusCode::REQUEST_TIMEOUT, Failure::new("interrupted", why))
            };
            timeout(PROGRESS_TIMEOUT, progress).await.map_err(|_| late())??;
        }
        Ok(block)
    }

    /// Reads until the block has so many bytes.
    async fn read_into(&mut self, block: &mut Vec<u8>, length: usize) -> Result<(), UploadRefusal> {
        while block.len() < length {
            if self.rest.is_empty() && !self.receive().await? {
                let why = "the content has ended early";
                return Err((StatusCode::BAD_REQUEST, Failure::invalid(why)));
            }
            let taken = self.rest.split_to(self.rest.len().min(length - block.len()));
            block.extend_from_slice(&taken);
        }
        Ok(())
    }

    /// Receives more; `false` at the end.
    async fn receive(&mut self) -> Result<bool, UploadRefusal> {
        while self.rest.is_empty() {
            match self.body.frame().await {
                None => return Ok(false),
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                Some(Err(_)) => {
                    let why = "the connection of the page was lost";
                    return Err((StatusCode::BAD_REQUEST, Failure::new("interrupted", why)));
                }
            }
        }
        Ok(true)
    }

    async fn expect_end(&mut self) -> Result<(), UploadRefusal> {
        let has_more = timeout(PROGRESS_TIMEOUT, self.receive()).await;
        if matches!(has_more, Ok(Ok(false))) {
            return Ok(());
        }
        let why = "there is more content than was announced";
        Err((StatusCode::BAD_REQUEST, Failure::invalid(why)))
    }
}

/// Reads the rest of a small body.
async fn drain(body: &mut Body) {
    let read = async {
        let mut drained = 0;
        while let Some(Ok(frame)) = body.frame().await
            && drained <= MAX_DRAINED
        {
            drained += frame.data_ref().map_or(0, Bytes::len) as u64;
        }
    };
    // The connection is closed if there is more.
    let _ = timeout(DRAIN_TIMEOUT, read).await;
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::body::HttpBody;
    use axum::http::HeaderValue;
    use hyper::body::Frame;

    use super::*;

    fn head(changes: &[(&'static str, &str)]) -> Result<UploadHead, String> {
        let mut headers = HeaderMap::new();
        let valid = [
            ("x-quiver-drop", "00000000000000ff"),
            ("x-quiver-path", "b%C3%BCcher/a%20b.txt"),
            ("x-quiver-size", "7"),
            ("x-quiver-modified", "1500"),
            ("content-length", "7"),
        ];
        for (name, value) in valid.iter().chain(changes) {
            match *value {
                "" => headers.remove(*name),
                value => headers.insert(*name, HeaderValue::from_str(value).unwrap()),
            };
        }
        read_head(&headers)
    }

    /// Brings one chunk, and then nothing, not even an end.
    struct StalledBody(Option<Bytes>);

    impl HttpBody for StalledBody {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.take() {
                Some(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
                None => Poll::Pending,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_given_up() {
        let mut body = Body::new(StalledBody(Some(Bytes::from_static(b"ab"))));
        let started = tokio::time::Instant::now();
        let mut content = BodyReader { body: &mut body, rest: Bytes::new() };
        let (status, failure) = content.read_block(3).await.unwrap_err();
        assert_eq!((status, &*failure.code), (StatusCode::REQUEST_TIMEOUT, "interrupted"));
        assert_eq!(started.elapsed(), PROGRESS_TIMEOUT);
        // It has to end, too.
        let mut body = Body::new(StalledBody(Some(Bytes::from_static(b"ab"))));
        let mut content = BodyReader { body: &mut body, rest: Bytes::new() };
        assert_eq!(content.read_block(2).await.unwrap(), b"ab");
        assert!(content.expect_end().await.is_err());
    }

    #[tokio::test]
    async fn a_body_is_read_in_blocks_and_to_its_end() {
        let mut body = Body::from(vec![7; BLOCK + 10]);
        let mut content = BodyReader { body: &mut body, rest: Bytes::new() };
        let whole = BLOCK as u64 + 10;
        assert_eq!(content.read_block(whole).await.unwrap().len(), BLOCK);
        assert_eq!(content.read_block(10).await.unwrap().len(), 10);
        content.expect_end().await.unwrap();
        let mut content = BodyReader { body: &mut Body::from("ab"), rest: Bytes::new() };
        assert_eq!(content.read_block(3).await.unwrap_err().0, StatusCode::BAD_REQUEST);
        let mut content = BodyReader { body: &mut Body::from("ab"), rest: Bytes::new() };
        content.read_block(1).await.unwrap();
        assert_eq!(content.expect_end().await.unwrap_err().0, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn the_headers_describe_a_file() {
        let read = head(&[]).unwrap();
        assert_eq!((read.path.as_str(), read.size), ("bücher/a b.txt", 7));
        assert_eq!(read.modified, SystemTime::UNIX_EPOCH + Duration::from_millis(1500));
        let before = head(&[("x-quiver-modified", "-1")]).unwrap().modified;
        assert!(before < SystemTime::UNIX_EPOCH);
        // Without one, the body is sent in chunks.
        assert!(head(&[("content-length", "")]).is_ok());
    }

    #[test]
    fn invalid_headers_are_refused() {
        let long = "a/".repeat(3000);
        for path in [
            "",
            "..",
            "a/../b",
            "%2e%2e/a",
            "a/%2E%2E",
            "/etc/passwd",
            "%2Fetc",
            "a%00b",
            "a%0Ab",
            "a%5Cb",
            "a//b",
            "a/",
            "%FF",
            "nul",
            "a.",
            &long,
            &"a".repeat(256),
            &"%61".repeat(5000),
        ] {
            assert!(head(&[("x-quiver-path", path)]).is_err(), "{path}");
        }
        for (name, value) in [
            ("x-quiver-drop", ""),
            ("x-quiver-drop", "../../../../../a"),
            ("x-quiver-size", "-1"),
            ("x-quiver-size", "9007199254740993"),
            ("x-quiver-size", "8"),
            ("x-quiver-modified", "now"),
            ("x-quiver-modified", "-9223372036854775808"),
            ("content-length", "6"),
        ] {
            assert!(head(&[(name, value)]).is_err(), "{name}: {value}");
        }
    }
}
