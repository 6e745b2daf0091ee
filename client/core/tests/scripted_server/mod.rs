//! A scripted server, and the folders of a client that connects to it.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use quiver_client::folders::Folders;
use quiver_client::request::{Destination, DownloadRequest, TransferOptions};
use quiver_client::settings::PathPolicy;
use quiver_client::{Client, ClientError, ClientSettings, TransferEnd};
use quiver_protocol::EofPayload as _;
use quiver_protocol::reply::{FileHeader, ServerLimits, Welcome};
use quiver_protocol::{ClientName, FilePath, FrameKind, PlainEnd, Reply, Request, Timestamp};
use quiver_transport::identity::Validity;
use quiver_transport::{
    CommandStream, CongestionControl, Connection, Endpoint, EndpointSettings, Identity, Protocol,
    Role,
};
use tokio::task::JoinSet;

/// How long the server and the client wait for each other.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// A scripted server, and the folders of its client.
pub(crate) struct ScriptedServer {
    pub(crate) address: SocketAddr,
    pub(crate) identity: Identity,
    folder: tempfile::TempDir,
    pub(crate) tasks: JoinSet<()>,
}

impl ScriptedServer {
    /// Starts a server that runs `script` for each connection. The script gets the connection's number, from 0.
    pub(crate) fn new<F>(script: impl Fn(usize, Connection) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let identity = Identity::create("scripted", &[], Validity::days(Utc::now(), 1)).unwrap();
        let endpoint = Endpoint::listen(
            (Ipv4Addr::LOCALHOST, 0).into(),
            &identity,
            &[Protocol::QUIVER_1],
            EndpointSettings::default(),
        )
        .unwrap();
        let address = endpoint.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut scripts = JoinSet::new();
            let mut number = 0;
            while let Some(incoming) = endpoint.accept().await {
                // Fails for a client that does not trust this server.
                let Ok(connection) = incoming.await else { continue };
                scripts.spawn(script(number, connection));
                number += 1;
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let server = Self { address, identity, folder, tasks };
        std::fs::write(server.path("server.pem"), server.identity.certificate_pem()).unwrap();
        std::fs::create_dir(server.path("inbox")).unwrap();
        server
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folders(&self) -> Folders {
        let [config, data, state] = ["config", "data", "state"].map(|name| self.path(name));
        Folders::at(config, data, state)
    }

    pub(crate) fn settings(&self) -> ClientSettings {
        ClientSettings {
            server: self.address.to_string().parse().unwrap(),
            certificate: Some(self.path("server.pem")),
            name: Some(ClientName::parse("Ron").unwrap()),
            password_file: None,
            timeout: TIMEOUT,
            paths: PathPolicy::default(),
            one_shot: false,
            congestion: CongestionControl::Auto,
        }
    }

    pub(crate) fn client(&self, settings: &ClientSettings) -> Result<Client, ClientError> {
        Client::new(
            settings.clone(),
            self.folders(),
            Endpoint::dialler(EndpointSettings::default()).unwrap(),
        )
    }

    pub(crate) async fn connect(&self, settings: &ClientSettings) -> Result<Client, ClientError> {
        let client = self.client(settings)?;
        client.connect().await?;
        Ok(client)
    }

    /// Downloads one file into the inbox.
    pub(crate) async fn download(&self, path: &str) -> Result<(), Arc<ClientError>> {
        let client = self.connect(&self.settings()).await?;
        let request = DownloadRequest {
            paths: vec![path.to_owned()],
            destination: Destination::Folder(self.path("inbox")),
            options: TransferOptions { retry_for: Duration::ZERO, ..TransferOptions::default() },
        };
        let prepared = client.prepare_download(request).await?;
        match client.start(prepared)?.wait().await {
            TransferEnd::Done => Ok(()),
            TransferEnd::Failed(error) => Err(error),
            TransferEnd::Cancelled => panic!("the transfer was cancelled"),
        }
    }

    pub(crate) fn inbox_names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("inbox")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// Accepts a stream and reads its request.
pub(crate) async fn read_request(connection: &Connection) -> (CommandStream, Request) {
    let mut stream: CommandStream = connection.accept_bi().await.unwrap().into();
    let frame = stream.reader.read_frame(65_535, TIMEOUT).await.unwrap();
    (stream, Request::decode(&frame.payload).unwrap())
}

pub(crate) async fn send_reply(stream: &mut CommandStream, reply: &Reply) {
    stream.writer.write_frame(FrameKind::Reply, &reply.encode()).await.unwrap();
}

pub(crate) async fn accept_hello(connection: &Connection) {
    let (mut stream, request) = read_request(connection).await;
    let Request::Hello(hello) = request else { panic!("expected a hello, not {request:?}") };
    Role::Member.apply_to(connection);
    let message = "Welcome".to_owned();
    let welcome = Welcome {
        client: 1,
        name: hello.name,
        message,
        max_clients: 3,
        limits: ServerLimits::CURRENT,
        upload: false,
    };
    send_reply(&mut stream, &Reply::Welcome(welcome)).await;
    stream.writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await.unwrap();
}

pub(crate) async fn send_file_head(stream: &mut CommandStream, path: &str, size: u64) {
    let path = FilePath::parse(path).unwrap();
    let head =
        FileHeader { path, size, modified: Timestamp(Utc::now()), offset: 0, executable: false };
    send_reply(stream, &Reply::File(head)).await;
}
