//! From a guest to a member: a name, a password where one is asked for, and patience with a server
//! that has none with silent guests.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quiver_protocol::command::Hello;
use quiver_protocol::reply::Welcome;
use quiver_protocol::{
    ClientName, CloseCode, Refusal, RefusalCode, Reply, Request, Secret, limits,
};
use quiver_transport::role::CLIENT_CONTENT_STREAMS;
use quiver_transport::{Channel, Connection, ConnectionEnd, Role, StreamError};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::{Connector, Events, Session};
use crate::error::{ClientError, InvalidRequest};
use crate::event::EventKind;
use crate::exchange;
use crate::question::{Answer, Question};
use crate::settings::CONNECT;
use crate::unix;

/// How long to wait before a hello is said again that the server had no room for; then twice that.
const BACKOFF: Duration = Duration::from_millis(100);

/// How often a person may mistype their password.
const PASSWORDS: u32 = 3;

/// A connection on which nothing was said yet, or nothing that pleased.
#[derive(Debug)]
pub(super) struct GuestConnection {
    connection: Channel,
    hellos: u32,
}

impl GuestConnection {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection: Channel::on(connection, Role::Client), hellos: 0 }
    }

    /// Whether the server will listen to another hello.
    fn may_speak(&self) -> bool {
        self.hellos < limits::HELLOS && self.connection.close_reason().is_none()
    }
}

impl Connector {
    /// Says hello until the server welcomes this client, asking the person where they can help.
    pub(super) async fn sign_in(
        &mut self,
        mut guest: GuestConnection,
        may_ask_name: bool,
    ) -> Result<Session, ClientError> {
        let mut passwords = 0;
        loop {
            let name = match &self.name {
                Some(name) => name.clone(),
                None => self.ask_name().await?,
            };
            let hello = Hello::new(name.clone(), self.password.clone());
            let refusal = match self.hello(&mut guest, hello).await? {
                Ok(welcome) => {
                    self.name = Some(welcome.name.clone());
                    debug!(client = welcome.client, "welcome");
                    let events = Events::listen(&guest.connection);
                    let (connection, patience) = (guest.connection, self.patience);
                    let content = Arc::new(Semaphore::new(CLIENT_CONTENT_STREAMS as usize));
                    return Ok(Session { connection, welcome, events, patience, content });
                }
                Err(refusal) => refusal,
            };
            let (code, what) = (refusal.code, format!("cannot sign in as {name}"));
            let failure = ClientError::refused(what, refusal);
            match code {
                RefusalCode::SignInRequired if self.password.is_none() => {
                    // The name is settled: it belongs to the password.
                    self.name = Some(name);
                    self.password = Some(match self.password_file.clone() {
                        Some(path) => read_password(&path)?,
                        None => self.ask_password(&mut passwords, failure).await?,
                    });
                }
                RefusalCode::SignInFailed if passwords > 0 && passwords < PASSWORDS => {
                    let failure = self.tell_refused(failure).await;
                    self.password = Some(self.ask_password(&mut passwords, failure).await?);
                }
                RefusalCode::NameTaken | RefusalCode::BadName
                    if may_ask_name && self.reporter.can_ask() =>
                {
                    self.tell_refused(failure).await;
                    (self.name, self.password) = (None, None);
                }
                code => {
                    // A server that is full or stops has nothing against the password.
                    if code == RefusalCode::SignInFailed {
                        self.password = None;
                    }
                    return Err(failure);
                }
            }
        }
    }

    /// Says one hello. A connection that the server has closed meanwhile, for it was silent too
    /// long or in the way of others, is replaced without a word.
    async fn hello(
        &self,
        guest: &mut GuestConnection,
        hello: Hello,
    ) -> Result<Result<Welcome, Refusal>, ClientError> {
        let deadline = Instant::now() + CONNECT;
        let mut pause = BACKOFF;
        loop {
            if !guest.may_speak() {
                debug!("the connection is used up: dialling again");
                *guest = GuestConnection::new(self.dial().await?);
            }
            guest.hellos += 1;
            match say(&guest.connection, hello.clone()).await {
                Ok(welcome) => return Ok(Ok(welcome)),
                Err(StreamError::Refused(refusal)) => return Ok(Err(refusal)),
                Err(StreamError::Lost(
                    ConnectionEnd::Closed(CloseCode::TimedOut) | ConnectionEnd::Reset,
                )) if Instant::now() + pause < deadline => {
                    debug!("the server had no room for this guest: again");
                    sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => return Err(ClientError::stream("cannot sign in", error)),
            }
        }
    }

    /// Tells that another name or password is needed; the error once more, for where there is none.
    async fn tell_refused(&self, error: ClientError) -> ClientError {
        let again = error.refusal_again();
        self.reporter.publish(EventKind::SignInRefused(Arc::new(error))).await;
        again
    }

    async fn ask_name(&self) -> Result<ClientName, ClientError> {
        loop {
            let Some(Answer::Name(text)) = self.reporter.ask(Question::Name).await else {
                return Err(InvalidRequest::NoName.into());
            };
            match ClientName::parse(&text) {
                Ok(name) => return Ok(name),
                Err(rule) => {
                    let error = InvalidRequest::Name(rule).into();
                    self.reporter.publish(EventKind::SignInRefused(Arc::new(error))).await;
                }
            }
        }
    }

    /// Asks for a password; `otherwise` is the error where there is no answer.
    async fn ask_password(
        &self,
        asked: &mut u32,
        otherwise: ClientError,
    ) -> Result<Secret, ClientError> {
        *asked += 1;
        match self.reporter.ask(Question::Password).await {
            Some(Answer::Password(password)) => checked(password),
            _ => Err(otherwise),
        }
    }
}

async fn say(connection: &Channel, hello: Hello) -> Result<Welcome, StreamError> {
    match exchange::ResponseReader::send_request(connection, &Request::Hello(hello), CONNECT)
        .await?
        .single_reply()
        .await?
    {
        Reply::Welcome(welcome) => Ok(welcome),
        _ => Err(exchange::unexpected_reply("something else than a welcome")),
    }
}

/// The name of the user that runs this program.
pub(super) fn login_name() -> Result<ClientName, ClientError> {
    let failed = |why| ClientError::Invalid(InvalidRequest::LoginName(why));
    let login = whoami::username()
        .map_err(|error| failed(format!("cannot find your login name: {error}")))?;
    ClientName::parse(&login)
        .map_err(|rule| failed(format!("your login name {login:?} will not do: {rule}")))
}

/// The first line of a file that is its owner's alone.
fn read_password(path: &Path) -> Result<Secret, ClientError> {
    let failed = |source| ClientError::PasswordFile { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if unix::is_shared(&file).map_err(failed)? {
        return Err(ClientError::SharedPasswordFile(path.to_owned()));
    }
    let mut text = String::new();
    // One more than allowed, so that a longer one is noticed, and the end of its line.
    file.take(limits::PASSWORD as u64 + 3).read_to_string(&mut text).map_err(|error| {
        let source = if error.kind() == io::ErrorKind::InvalidData {
            io::Error::other("it is not UTF-8")
        } else {
            error
        };
        failed(source)
    })?;
    let text = Secret::new(text);
    checked(Secret::new(text.expose().lines().next().unwrap_or_default().to_owned()))
}

fn checked(password: Secret) -> Result<Secret, ClientError> {
    if password.expose().len() > limits::PASSWORD {
        return Err(InvalidRequest::PasswordTooLong(limits::PASSWORD).into());
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_password_file_has_one_line_and_one_reader() {
        let (_folder, path) = file("a secret \r\nmore\n", 0o600);
        assert_eq!(read_password(&path).unwrap().expose(), "a secret ");
        let (_folder, path) = file("a secret", 0o640);
        let failure = read_password(&path).unwrap_err();
        assert!(failure.to_string().ends_with("password can be read by other users"));
        let (_folder, path) = file(&"x".repeat(limits::PASSWORD), 0o600);
        assert!(read_password(&path).is_ok());
        let (_folder, path) = file(&"x".repeat(limits::PASSWORD + 1), 0o600);
        assert!(read_password(&path).is_err());
    }
}
