//! The page in the browser: a second interface of the client library, over HTTP and one WebSocket on loopback. It has
//! a thread and a runtime of its own, so that the thread that drives QUIC formats no JSON.
//!
//! | module | contents |
//! |---|---|
//! | [`page`] | the page as its caller sees it: start, links, stop |
//! | [`instance`], [`browser`] | one process for each user; the browser and its redirect file |
//! | `server`, `loopback`, `http`, `socket` | connections of browsers, from the sockets to the WebSocket |
//! | `guards`, `secrets` | which requests are answered |
//! | `files` | the files of the page, from `web/` |
//! | `spool`, `spool_upload` | content that browsers hand over |
//! | `preview` | a look at a file of the server |
//! | `messages`, `views`, `peer_name` | the messages of `web/messages.d.ts` |
//! | `context`, `model`, `conversations`, `history`, `transfer_board`, `transfer_records`, `saved_state` | what the page shows and remembers |
//! | `sign_in`, `lifecycle`, `watcher`, `notices` | from the client to the model |
//! | `other_processes`, `page_source` | transfers of other processes here, and those of this one there |
//! | `requests` | what pages ask for |

pub mod browser;
mod context;
mod conversations;
mod files;
mod guards;
mod history;
mod http;
pub mod instance;
mod lifecycle;
mod loopback;
mod messages;
mod model;
mod notices;
mod other_processes;
pub mod page;
mod page_source;
mod peer_name;
mod preview;
mod requests;
mod saved_state;
mod secrets;
mod server;
mod sign_in;
mod socket;
mod spool;
mod spool_upload;
mod transfer_board;
mod transfer_records;
mod views;
mod watcher;

pub use browser::open_browser;
pub use instance::{Instance, InstanceLock, RunningInstance};
pub use page::{Page, PageOptions};
