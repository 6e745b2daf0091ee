//! A server that is a script, and the folders of a client that meets it.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use quiver_cli::cli;
use quiver_cli::command::{NOBODY, Order};
use quiver_cli::config::Config;
use quiver_cli::connection::{Connector, Link, Session};
use quiver_cli::failure::Failure;
use quiver_cli::output::{Face, Output, human};
use quiver_client::folders::Folders;
use quiver_protocol::End as _;
use quiver_protocol::reply::{FileHead, Limits, Welcome};
use quiver_protocol::{ClientName, FilePath, FrameKind, PlainEnd, Reply, Request, Timestamp};
use quiver_transport::identity::Validity;
use quiver_transport::{CommandStream, Connection, Endpoint, Identity};
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
        let endpoint = Endpoint::listen((Ipv4Addr::LOCALHOST, 0).into(), &identity).unwrap();
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

    pub(crate) fn config(&self) -> Config {
        Config {
            server: self.address.to_string().parse().unwrap(),
            certificate: Some(self.path("server.pem")),
            name: Some(ClientName::parse("Ron").unwrap()),
            password_file: None,
            patience: PATIENCE,
            quiet: true,
            verbose: false,
        }
    }

    pub(crate) fn connector(&self, config: &Config) -> Result<Connector, Failure> {
        let output = Output::new(Face::Batch, true);
        let endpoint = Endpoint::dialler().unwrap();
        Connector::new(config, &self.folders(), endpoint, output)
    }

    pub(crate) async fn connect(&self, config: &Config) -> Result<Session, Failure> {
        self.connector(config)?.connect().await
    }

    /// Fetches one file into the inbox.
    pub(crate) async fn get(&self, path: &str) -> Result<(), Failure> {
        let mut connector = self.connector(&self.config())?;
        let session = connector.connect().await?;
        let link = Link::new(connector, &session);
        let arguments = cli::Get {
            many: cli::Many::default(),
            paths: vec![path.to_owned()],
            output: self.path("inbox"),
            overwrite: false,
            json: false,
            no_resume: false,
            hold: cli::Hold { patience: 0 },
            limit: None,
        };
        let order = Order::prepare(&arguments, NOBODY).await?;
        let output = Output::new(Face::Batch, true);
        let receipt = Arc::new(human::received);
        order.fetch(&link, output, receipt).await
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
    quiver_transport::endpoint::promote(connection);
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
