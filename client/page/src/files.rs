//! The files of the page, which are part of the program, with their types and ETags. No network.

use std::collections::HashMap;

/// Defines the files, relative to `web/`. A missing one does not compile.
macro_rules! page_files {
    ($($name:literal: $media_type:expr,)*) => {
        const FILES: &[(&str, &str, &[u8])] =
            &[$(($name, $media_type, include_bytes!(concat!("../web/", $name)))),*];
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

page_files! {
    "app.js": SCRIPT,
    "chooser.js": SCRIPT,
    "commands.js": SCRIPT,
    "conversation.js": SCRIPT,
    "dom.js": SCRIPT,
    "files.js": SCRIPT,
    "format.js": SCRIPT,
    "icon.svg": SVG,
    "icons.js": SCRIPT,
    "index.html": HTML,
    "kit.js": SCRIPT,
    "main.js": SCRIPT,
    "offers.js": SCRIPT,
    "parts.js": SCRIPT,
    "people.js": SCRIPT,
    "questions.js": SCRIPT,
    "rows.js": SCRIPT,
    "safe.js": SCRIPT,
    "settings.js": SCRIPT,
    "shell.js": SCRIPT,
    "signin.js": SCRIPT,
    "source.js": SCRIPT,
    "spool.js": SCRIPT,
    "store.js": SCRIPT,
    "style.css": CSS,
    "texts.js": SCRIPT,
    "transfers.js": SCRIPT,
}

/// A file of the page.
#[derive(Debug)]
pub(crate) struct PageFile {
    /// The value of its ETag header, which its content determines.
    pub(crate) etag: String,
    /// The value of its Content-Type header.
    pub(crate) media_type: &'static str,
    /// Its content.
    pub(crate) content: &'static [u8],
    /// The value of the document's Link header: all scripts, so that none waits until another one has named it.
    pub(crate) links: Option<String>,
}

/// All files of the page, by their paths.
#[derive(Debug)]
pub(crate) struct PageFiles(HashMap<&'static str, PageFile>);

impl PageFiles {
    /// Hashes the files.
    pub(crate) fn new() -> Self {
        let hashed = FILES.iter().map(|(name, media_type, content)| {
            let hash = blake3::hash(content).to_hex();
            let etag = format!("\"{}\"", &hash[..32]);
            let links = (*media_type == HTML).then(preload_links);
            (*name, PageFile { etag, media_type, content, links })
        });
        Self(hashed.collect())
    }

    /// The file of a path of a URL; `/` is the document.
    pub(crate) fn find(&self, path: &str) -> Option<&PageFile> {
        let name = path.strip_prefix('/')?;
        self.0.get(if name.is_empty() { "index.html" } else { name })
    }
}

/// Lets the browser fetch all scripts at once, as `<link rel="modulepreload">` would.
fn preload_links() -> String {
    let scripts = FILES.iter().filter(|(_, media_type, _)| *media_type == SCRIPT);
    let links = scripts.map(|(name, ..)| format!("</{name}>; rel=modulepreload"));
    links.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_with_its_type() {
        let files = PageFiles::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut total = 0;
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            // Declarations of types, which only the checker reads.
            if name.ends_with(".d.ts") {
                continue;
            }
            let file = files.find(&format!("/{name}"));
            let file = file.unwrap_or_else(|| panic!("{name} is not in the list"));
            assert_eq!(file.content, fs::read(entry.path()).unwrap());
            let media_type = match name.rsplit_once('.').unwrap().1 {
                "html" => HTML,
                "css" => CSS,
                "js" => SCRIPT,
                "svg" => SVG,
                extension => panic!("what is {extension}?"),
            };
            assert_eq!(file.media_type, media_type, "{name}");
            total += file.content.len();
        }
        assert!(total < 150_000, "the page has {total} bytes");
    }

    #[test]
    fn only_the_document_names_the_scripts() {
        let files = PageFiles::new();
        let links = files.find("/").unwrap().links.as_deref().unwrap();
        assert!(links.starts_with("</app.js>; rel=modulepreload, </chooser.js>; "), "{links}");
        assert_eq!(links.matches("modulepreload").count(), links.matches(".js>").count());
        assert!(files.find("/main.js").unwrap().links.is_none());
    }

    #[test]
    fn a_path_names_a_file_exactly() {
        let files = PageFiles::new();
        assert_eq!(files.find("/").unwrap().etag, files.find("/index.html").unwrap().etag);
        for path in ["", "index.html", "//index.html", "/../Cargo.toml", "/INDEX.html", "/web"] {
            assert!(files.find(path).is_none(), "{path}");
        }
    }
}
