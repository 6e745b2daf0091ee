//! `GET /preview`: the start of a text file of the server, or a picture, recognised by its content and not by its name.

use std::sync::Arc;

use axum::http::StatusCode;
use quiver_client::commands::parse_path;
use quiver_client::{ClientError, FileStart};
use quiver_protocol::{FilePath, RefusalCode};

use crate::context::PageContext;
use quiver_control::Failure;

/// Bytes of a text that are shown.
const MAX_TEXT: u64 = 256 * 1024;

/// Bytes of a picture.
const MAX_PICTURE: u64 = 16 * 1024 * 1024;

/// What a browser shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Preview {
    /// The media type.
    pub(crate) media_type: &'static str,
    pub(crate) content: Vec<u8>,
}

/// Loads a preview of a file of the server. Ends when this is dropped.
///
/// # Errors
/// The status to refuse the request with, and why.
pub(crate) async fn load(
    context: &Arc<PageContext>,
    path: &str,
) -> Result<Preview, (StatusCode, Failure)> {
    let path = parse_path(path, "show").map_err(refuse)?;
    // The semaphore is never closed.
    let _permit = context.preview_permits.acquire().await;
    let start = read(context, &path, MAX_TEXT).await?;
    let Some(media_type) = picture_type(&start.content) else {
        let text = text(start).ok_or_else(|| no_preview("it is neither a text nor a picture"))?;
        return Ok(Preview { media_type: "text/plain; charset=utf-8", content: text });
    };
    if start.size > MAX_PICTURE {
        return Err(no_preview("the picture is too large"));
    }
    if start.size == start.content.len() as u64 {
        return Ok(Preview { media_type, content: start.content });
    }
    let whole = read(context, &path, MAX_PICTURE).await?;
    if whole.size != whole.content.len() as u64 || picture_type(&whole.content) != Some(media_type)
    {
        return Err(no_preview("the file has changed"));
    }
    Ok(Preview { media_type, content: whole.content })
}

async fn read(
    context: &Arc<PageContext>,
    path: &FilePath,
    limit: u64,
) -> Result<FileStart, (StatusCode, Failure)> {
    let failed = |failure| (StatusCode::SERVICE_UNAVAILABLE, failure);
    let client = context.active().map_err(failed)?.client.clone();
    let path = path.clone();
    let read = context.on_client(async move { client.read_start(&path, limit).await });
    read.await.map_err(failed)?.map_err(refuse)
}

fn refuse(error: ClientError) -> (StatusCode, Failure) {
    let ClientError::Refused { refusal, .. } = &error else {
        return (StatusCode::BAD_GATEWAY, error.into());
    };
    match refusal.code {
        RefusalCode::NotFound => (StatusCode::NOT_FOUND, error.into()),
        RefusalCode::BadPath => (StatusCode::BAD_REQUEST, Failure::invalid(error.to_string())),
        // A folder, or a file that the server does not read.
        _ => no_preview(&error.to_string()),
    }
}

fn no_preview(why: &str) -> (StatusCode, Failure) {
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, Failure::invalid(why))
}

/// The media type of a picture that starts so.
fn picture_type(content: &[u8]) -> Option<&'static str> {
    let is_webp = content.starts_with(b"RIFF") && content.get(8..12) == Some(b"WEBP");
    match content {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        _ if is_webp => Some("image/webp"),
        _ => None,
    }
}

/// The text, cut before a character that is not whole; `None` if it is no text.
fn text(start: FileStart) -> Option<Vec<u8>> {
    let FileStart { mut content, size } = start;
    if content.contains(&0) {
        return None;
    }
    if let Err(error) = std::str::from_utf8(&content) {
        // The cut was within a character.
        let is_cut = error.error_len().is_none() && size > content.len() as u64;
        if !is_cut {
            return None;
        }
        content.truncate(error.valid_up_to());
    }
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(content: &[u8], size: u64) -> Option<String> {
        let content = content.to_vec();
        text(FileStart { content, size }).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(shown("a€".as_bytes(), 4).as_deref(), Some("a€"));
        assert_eq!(shown(&"a€".as_bytes()[..3], 4).as_deref(), Some("a"));
        assert_eq!(shown(b"", 0).as_deref(), Some(""));
        // The file itself ends within a character.
        assert_eq!(shown(&"a€".as_bytes()[..3], 3), None);
        for content in [&b"a\0b"[..], b"\xff\xfe", b"a\xffb", b"%PDF-1.4\n\xe2\xe3\xcf\xd3"] {
            assert_eq!(shown(content, 100), None, "{content:?}");
        }
    }

    #[test]
    fn a_picture_is_recognised_by_its_content() {
        assert_eq!(picture_type(b"\x89PNG\r\n\x1a\nrest"), Some("image/png"));
        assert_eq!(picture_type(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        assert_eq!(picture_type(b"GIF89a"), Some("image/gif"));
        assert_eq!(picture_type(b"RIFF\x01\x02\x03\x04WEBPVP8 "), Some("image/webp"));
        for other in
            [&b""[..], b"\x89PNG", b"<svg>", b"<html>", b"RIFF\x01\x02\x03\x04WAVE", b"GIF80a"]
        {
            assert_eq!(picture_type(other), None, "{other:?}");
        }
    }
}
