//! Signs in on a connection: sends the name, and the password if the server requires one. Redials a server that
//! closes connections of guests that have not sent a hello in time.

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
use quiver_transport::{Channel, Connection, ConnectionEnd, Role, StreamError, WindowPolicy};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::{Connector, ServerEvents, Session};
use crate::connection_detail::ConnectionDetail;
use crate::error::{ClientError, InvalidRequest};
use crate::event::EventKind;
use crate::exchange;
use crate::question::{Answer, Question};
use crate::settings::CONNECT_TIMEOUT;
use crate::unix;

/// The first backoff after the server has closed the connection of this guest. Doubles with each attempt.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// The number of attempts to type the password.
const PASSWORD_ATTEMPTS: u32 = 3;

/// A connection on which this client has not signed in yet.
#[derive(Debug)]
pub(super) struct GuestConnection {
    connection: Channel,
    hellos_sent: u32,
}

impl GuestConnection {
    fn new(connection: Connection, windows: &WindowPolicy) -> Self {
        let connection = Channel::with_windows(connection, Role::Client, windows);
        Self { connection, hellos_sent: 0 }
    }

    /// Whether the server accepts another hello on this connection.
    fn can_send_hello(&self) -> bool {
        self.hellos_sent < limits::HELLOS && self.connection.close_reason().is_none()
    }
}

impl Connector {
    /// A connection on which this client has not signed in yet.
    pub(super) fn guest(&self, connection: Connection) -> GuestConnection {
        GuestConnection::new(connection, &self.endpoint.settings().windows)
    }

    /// Sends hellos until the server accepts this client. Asks the user for a missing or refused name or password.
    pub(super) async fn sign_in(
        &mut self,
        mut guest: GuestConnection,
        may_ask_name: bool,
    ) -> Result<Session, ClientError> {
        let mut password_attempts = 0;
        loop {
            let name = match &self.name {
                Some(name) => name.clone(),
                None => self.ask_name().await?,
            };
            let hello = Hello {
                one_shot: self.one_shot,
                ..Hello::new(name.clone(), self.password.clone())
            };
            let refusal = match self.send_hello(&mut guest, hello).await? {
                Ok(welcome) => {
                    self.name = Some(welcome.name.clone());
                    let (name, client) = (welcome.name.clone(), welcome.client);
                    let may_upload = welcome.upload;
                    self.report_detail(ConnectionDetail::SignedIn { name, client, may_upload })
                        .await;
                    let events = ServerEvents::receive(&guest.connection);
                    let (connection, timeout) = (guest.connection, self.timeout);
                    let content_permits = Arc::new(Semaphore::new(CLIENT_CONTENT_STREAMS as usize));
                    return Ok(Session { connection, welcome, events, timeout, content_permits });
                }
                Err(refusal) => refusal,
            };
            let (code, what) = (refusal.code, format!("cannot sign in as {name}"));
            let failure = ClientError::refused(what, refusal);
            match code {
                RefusalCode::SignInRequired if self.password.is_none() => {
                    // From now on the name is fixed: the password belongs to it.
                    self.name = Some(name);
                    self.password = Some(match self.password_file.clone() {
                        Some(path) => read_password(&path)?,
                        None => self.ask_password(&mut password_attempts, failure).await?,
                    });
                }
                RefusalCode::SignInFailed
                    if password_attempts > 0 && password_attempts < PASSWORD_ATTEMPTS =>
                {
                    let failure = self.report_refusal(failure).await;
                    self.password = Some(self.ask_password(&mut password_attempts, failure).await?);
                }
                RefusalCode::NameTaken | RefusalCode::BadName
                    if may_ask_name && self.reporter.can_ask() =>
                {
                    self.report_refusal(failure).await;
                    (self.name, self.password) = (None, None);
                }
                code => {
                    // Other refusals, as of a busy or stopping server, do not make the password invalid.
                    if code == RefusalCode::SignInFailed {
                        self.password = None;
                    }
                    return Err(failure);
                }
            }
        }
    }

    /// Sends one hello. Redials without a notice if the server has closed the connection in the meantime, because
    /// this guest was silent for too long or other guests needed its place.
    async fn send_hello(
        &self,
        guest: &mut GuestConnection,
        hello: Hello,
    ) -> Result<Result<Welcome, Refusal>, ClientError> {
        let deadline = self.deadline.min(Instant::now() + CONNECT_TIMEOUT);
        let mut backoff = FIRST_BACKOFF;
        loop {
            if !guest.can_send_hello() {
                debug!("the connection accepts no more hellos: dialling again");
                *guest = self.guest(self.dial().await?);
            }
            guest.hellos_sent += 1;
            match request_welcome(&guest.connection, hello.clone(), self.deadline).await {
                Ok(welcome) => return Ok(Ok(welcome)),
                Err(StreamError::Refused(refusal)) => return Ok(Err(refusal)),
                Err(StreamError::Lost(
                    ConnectionEnd::ClosedByPeer(CloseCode::TimedOut) | ConnectionEnd::Reset,
                )) if Instant::now() + backoff < deadline => {
                    debug!("the server closed this guest's connection: trying again");
                    sleep(backoff).await;
                    backoff *= 2;
                }
                Err(error) => return Err(ClientError::stream("cannot sign in", error)),
            }
        }
    }

    /// Reports that the user must enter another name or password. Returns a copy of the error, for a user who does
    /// not.
    async fn report_refusal(&self, error: ClientError) -> ClientError {
        let copy = error.clone_refusal();
        self.reporter.publish(EventKind::SignInRefused(Arc::new(error))).await;
        copy
    }

    async fn ask_name(&mut self) -> Result<ClientName, ClientError> {
        loop {
            let answer = self.reporter.ask(Question::Name).await;
            self.restart_deadline();
            let Some(Answer::Name(text)) = answer else {
                return Err(InvalidRequest::MissingName.into());
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

    /// Asks for a password and counts the attempt; `otherwise` is the error if the user enters none.
    async fn ask_password(
        &mut self,
        attempts: &mut u32,
        otherwise: ClientError,
    ) -> Result<Secret, ClientError> {
        *attempts += 1;
        let answer = self.reporter.ask(Question::Password).await;
        self.restart_deadline();
        match answer {
            Some(Answer::Password(password)) => check_password(password),
            _ => Err(otherwise),
        }
    }
}

/// Sends a hello, and waits for the welcome for [`CONNECT_TIMEOUT`], or until the deadline.
async fn request_welcome(
    connection: &Channel,
    hello: Hello,
    deadline: Instant,
) -> Result<Welcome, StreamError> {
    let limit = deadline.saturating_duration_since(Instant::now()).min(CONNECT_TIMEOUT);
    let request = Request::Hello(hello);
    let welcome = async {
        let response =
            exchange::ResponseReader::send_request(connection, &request, CONNECT_TIMEOUT).await?;
        response.single_reply().await
    };
    match timeout(limit, welcome).await.unwrap_or(Err(StreamError::TimedOut(limit)))? {
        Reply::Welcome(welcome) => Ok(welcome),
        _ => Err(exchange::unexpected_reply("expected a welcome")),
    }
}

/// The login name of the user, as a client's name.
pub(super) fn login_name() -> Result<ClientName, ClientError> {
    let failed = |why| ClientError::Invalid(InvalidRequest::LoginName(why));
    let login = whoami::username()
        .map_err(|error| failed(format!("cannot find your login name: {error}")))?;
    ClientName::parse(&login)
        .map_err(|rule| failed(format!("your login name {login:?} cannot be used: {rule}")))
}

/// Reads the first line of a password file. Rejects a file that other users can access.
fn read_password(path: &Path) -> Result<Secret, ClientError> {
    let failed = |source| ClientError::PasswordFile { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if unix::is_accessible_by_others(&file).map_err(failed)? {
        return Err(ClientError::SharedPasswordFile(path.to_owned()));
    }
    let mut text = String::new();
    // One byte more than allowed, to detect a longer password, and two for the end of the line.
    file.take(limits::PASSWORD as u64 + 3).read_to_string(&mut text).map_err(|error| {
        let source = if error.kind() == io::ErrorKind::InvalidData {
            io::Error::other("it is not UTF-8")
        } else {
            error
        };
        failed(source)
    })?;
    let text = Secret::new(text);
    check_password(Secret::new(text.expose().lines().next().unwrap_or_default().to_owned()))
}

fn check_password(password: Secret) -> Result<Secret, ClientError> {
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
    fn a_password_file_gives_its_first_line_and_must_be_private() {
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
