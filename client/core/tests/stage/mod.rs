//! A server that is a script, and the folders of a client that meets it.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use quiver_client::folders::Folders;
use quiver_client::request::{Destination, DownloadRequest, TransferOptions};
use quiver_client::{Client, ClientError, ClientSettings, TransferEnd};
use quiver_protocol::EofPayload as _;
use quiver_protocol::reply::{FileHead, Limits, Welcome};
use quiver_protocol::{ClientName, FilePath, FrameKind, PlainEnd, Reply, Request, Timestamp};
use quiver_transport::identity::Validity;
use quiver_transport::{CommandStream, Connection, Endpoint, Identity, Protocol, Role};
use tokio::task::JoinSet;

/// How long either waits for the other.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A server, and a client's folders.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) identity: Identity,
    folder: tempfile::TempDir,
    pub(crate) server: JoinSet<()>,
}

impl Stage {
    /// `script` plays each connection, given its number from 0.
    pub(crate) fn new<F>(script: impl Fn(usize, Connection) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let identity = Identity::create("odd", &[], Validity::days(Utc::now(), 1)).unwrap();
        let endpoint =
            Endpoint::listen((Ipv4Addr::LOCALHOST, 0).into(), &identity, &[Protocol::QUIVER_1])
                .unwrap();
        let address = endpoint.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut plays = JoinSet::new();
            let mut number = 0;
            while let Some(incoming) = endpoint.accept().await {
                // A client that does not believe this server never gets here.
                let Ok(connection) = incoming.await else { continue };
                plays.spawn(script(number, connection));
                number += 1;
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let stage = Self { address, identity, folder, server };
        std::fs::write(stage.path("server.pem"), stage.identity.certificate_pem()).unwrap();
        std::fs::create_dir(stage.path("inbox")).unwrap();
        stage
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
            timeout: PATIENCE,
        }
    }

    pub(crate) fn client(&self, settings: &ClientSettings) -> Result<Client, ClientError> {
        Client::new(settings.clone(), self.folders(), Endpoint::dialler().unwrap())
    }

    pub(crate) async fn connect(&self, settings: &ClientSettings) -> Result<Client, ClientError> {
        let client = self.client(settings)?;
        client.connect().await?;
        Ok(client)
    }

    /// Fetches one file into the inbox.
    pub(crate) async fn get(&self, path: &str) -> Result<(), Arc<ClientError>> {
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
            TransferEnd::Cancelled => panic!("it was cancelled"),
        }
    }

    pub(crate) fn inbox(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("inbox")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// The next request.
pub(crate) async fn hear(connection: &Connection) -> (CommandStream, Request) {
    let mut stream: CommandStream = connection.accept_bi().await.unwrap().into();
    let frame = stream.reader.read_frame(65_535, PATIENCE).await.unwrap();
    (stream, Request::decode(&frame.payload).unwrap())
}

pub(crate) async fn reply(stream: &mut CommandStream, reply: &Reply) {
    stream.writer.write_frame(FrameKind::Reply, &reply.encode()).await.unwrap();
}

pub(crate) async fn welcome(connection: &Connection) {
    let (mut stream, request) = hear(connection).await;
    let Request::Hello(hello) = request else { panic!("{request:?} where a hello was due") };
    Role::Member.apply_to(connection);
    let message = "Welcome".to_owned();
    let welcome = Welcome {
        client: 1,
        name: hello.name,
        message,
        max_clients: 3,
        limits: Limits::CURRENT,
        upload: false,
    };
    reply(&mut stream, &Reply::Welcome(welcome)).await;
    stream.writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await.unwrap();
}

pub(crate) async fn head(stream: &mut CommandStream, path: &str, size: u64) {
    let path = FilePath::parse(path).unwrap();
    let head =
        FileHead { path, size, modified: Timestamp(Utc::now()), offset: 0, executable: false };
    reply(stream, &Reply::File(head)).await;
}
