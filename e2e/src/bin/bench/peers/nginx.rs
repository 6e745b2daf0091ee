//! An nginx for curl, with TLS 1.3 and a certificate created for the run.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::child_process::ChildProcess;
use crate::fixtures::{FILES, WorkFolder, free_port, wait_for_port};

/// Debian's path of it, which is not in a user's PATH.
pub(crate) const PROGRAM: &str = "/usr/sbin/nginx";

#[derive(Debug)]
pub(crate) struct Nginx {
    process: ChildProcess,
    pub(crate) port: u16,
    pub(crate) certificate: PathBuf,
}

impl Nginx {
    pub(crate) fn start(work_folder: &WorkFolder) -> Self {
        let folder = work_folder.path("nginx");
        fs::create_dir(&folder).unwrap();
        let certificate = folder.join("cert.pem");
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "bench");
        fs::write(&certificate, parameters.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        let port = free_port();
        let config = config(
            &folder.display().to_string(),
            &work_folder.path(FILES).display().to_string(),
            port,
        );
        fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut command = Command::new(PROGRAM);
        command
            .arg("-p")
            .arg(&folder)
            .args(["-e", "error.log", "-c"])
            .arg(folder.join("nginx.conf"))
            .stdin(Stdio::null());
        let process = ChildProcess::start(&mut command);
        wait_for_port((Ipv4Addr::LOCALHOST, port).into(), "nginx answers");
        Self { process, port, certificate }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

/// Debian's configuration in all that affects speed: sendfile, a worker for each processor.
fn config(folder: &str, files: &str, port: u16) -> String {
    // Otherwise the workers of an nginx started by root run as a user without access to the folder.
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    format!(
        "{user}daemon off;
worker_processes auto;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        ssl_protocols TLSv1.3;
        root {files};
        location / {{ dav_methods PUT; }}
    }}
}}
"
    )
}
