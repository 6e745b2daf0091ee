//! Which requests are answered: the exact Host, the exact Origin, and no other site. Reads headers only, never a body.

use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The hosts under which the page is reached.
#[derive(Debug)]
pub(crate) struct Guards {
    hosts: [String; 3],
}

/// What a request asks for, and thereby which headers it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// The document, which a link of any site may open. It holds nothing of this user.
    Document,
    /// Something that only the page itself loads, without an effect.
    Resource,
    /// Something with an effect, or the WebSocket: browsers send an Origin with these.
    Change,
}

impl Guards {
    /// Accepts the loopback names with this port.
    pub(crate) fn new(port: u16) -> Self {
        Self {
            hosts: [
                format!("127.0.0.1:{port}"),
                format!("[::1]:{port}"),
                format!("localhost:{port}"),
            ],
        }
    }

    /// Checks the Host. Returns it.
    ///
    /// # Errors
    /// The status to refuse the request with. Another name could be one that an attacker's DNS server points to
    /// loopback.
    pub(crate) fn check_host(&self, request: &Parts) -> Result<&str, StatusCode> {
        let named = single(&request.headers, &HOST).ok_or(StatusCode::MISDIRECTED_REQUEST)?;
        let host = self.hosts.iter().find(|host| *host == named);
        let host = host.ok_or(StatusCode::MISDIRECTED_REQUEST)?;
        match request.uri.authority() {
            Some(authority) if authority.as_str() != host => Err(StatusCode::MISDIRECTED_REQUEST),
            _ => Ok(host),
        }
    }

    /// Checks that the request comes from the page itself, at the host that it names.
    ///
    /// # Errors
    /// The status to refuse the request with.
    pub(crate) fn check_sender(
        &self,
        kind: RequestKind,
        host: &str,
        request: &Parts,
    ) -> Result<(), StatusCode> {
        let headers = &request.headers;
        let is_own = match headers.contains_key(ORIGIN) {
            true => {
                single(headers, &ORIGIN).and_then(|origin| origin.strip_prefix("http://"))
                    == Some(host)
            }
            // Browsers leave it out when a page loads something of its own site.
            false => kind != RequestKind::Change,
        };
        let is_own_site = match headers.contains_key(SEC_FETCH_SITE) {
            true => match single(headers, &SEC_FETCH_SITE) {
                Some("same-origin" | "none") => true,
                _ => kind == RequestKind::Document && is_navigation(request),
            },
            // Programs, and older browsers.
            false => true,
        };
        if is_own && is_own_site { Ok(()) } else { Err(StatusCode::FORBIDDEN) }
    }
}

/// Whether a browser opens the document in a tab, as after a click on a link, and not inside another page.
fn is_navigation(request: &Parts) -> bool {
    request.method == Method::GET
        && single(&request.headers, &SEC_FETCH_MODE) == Some("navigate")
        && single(&request.headers, &SEC_FETCH_DEST) == Some("document")
}

/// The value of a header; `None` if it is missing, repeated or not text.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_the_exact_loopback_hosts_are_answered() {
        let guards = Guards::new(4000);
        for host in ["127.0.0.1:4000", "[::1]:4000", "localhost:4000"] {
            assert_eq!(guards.check_host(&request("/", &[("host", host)])), Ok(host));
        }
        let wrong = Err(StatusCode::MISDIRECTED_REQUEST);
        for host in [
            "127.0.0.1",
            "127.0.0.1:4001",
            "127.0.0.1:40000",
            "localhost",
            "localhost.:4000",
            "evil.example:4000",
            "127.0.0.1:4000.evil.example",
            "127.0.0.2:4000",
            "",
        ] {
            assert_eq!(guards.check_host(&request("/", &[("host", host)])), wrong, "{host}");
        }
        assert_eq!(guards.check_host(&request("/", &[])), wrong);
        let twice = [("host", "127.0.0.1:4000"), ("host", "evil.example:4000")];
        assert_eq!(guards.check_host(&request("/", &twice)), wrong);
        let absolute = request("http://evil.example/", &[("host", "127.0.0.1:4000")]);
        assert_eq!(guards.check_host(&absolute), wrong);
    }

    #[test]
    fn only_the_page_itself_may_change_something() {
        let guards = Guards::new(4000);
        let check = |kind, headers: &[(&str, &str)]| {
            guards.check_sender(kind, "127.0.0.1:4000", &request("/", headers)).is_ok()
        };
        let own = ("origin", "http://127.0.0.1:4000");
        assert!(check(RequestKind::Change, &[own]));
        assert!(check(RequestKind::Change, &[own, ("sec-fetch-site", "same-origin")]));
        assert!(!check(RequestKind::Change, &[]));
        for origin in [
            "http://127.0.0.1:4001",
            "http://127.0.0.1",
            "http://localhost:4000",
            "https://127.0.0.1:4000",
            "http://evil.example",
            "null",
        ] {
            for kind in [RequestKind::Change, RequestKind::Resource] {
                assert!(!check(kind, &[("origin", origin)]), "{origin}");
            }
        }
        assert!(!check(RequestKind::Change, &[own, ("origin", "http://evil.example")]));
        for site in ["same-site", "cross-site", "what"] {
            assert!(!check(RequestKind::Change, &[own, ("sec-fetch-site", site)]), "{site}");
            assert!(!check(RequestKind::Resource, &[("sec-fetch-site", site)]), "{site}");
        }
        assert!(check(RequestKind::Resource, &[]));
    }

    #[test]
    fn any_site_may_link_to_the_document_and_none_may_embed_it() {
        let guards = Guards::new(4000);
        let check = |kind, mode, dest| {
            let headers = [
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", mode),
                ("sec-fetch-dest", dest),
            ];
            guards.check_sender(kind, "127.0.0.1:4000", &request("/", &headers)).is_ok()
        };
        assert!(check(RequestKind::Document, "navigate", "document"));
        assert!(!check(RequestKind::Document, "navigate", "iframe"));
        assert!(!check(RequestKind::Document, "no-cors", "script"));
        assert!(!check(RequestKind::Resource, "navigate", "document"));
    }
}
