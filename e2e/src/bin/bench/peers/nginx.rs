//! An nginx of our own with TLS 1.3 and a certificate made for the run, as curl's other end.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::running::Running;
use crate::stage::{FILES, Stage, free_port, wait_for_port};

/// Where Debian puts it; no user's PATH has it.
pub(crate) const PROGRAM: &str = "/usr/sbin/nginx";

#[derive(Debug)]
pub(crate) struct Nginx {
    process: Running,
    pub(crate) port: u16,
    pub(crate) certificate: PathBuf,
}

impl Nginx {
    pub(crate) fn start(stage: &Stage) -> Self {
        let folder = stage.at("nginx");
        fs::create_dir(&folder).unwrap();
        let certificate = folder.join("cert.pem");
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "bench");
        fs::write(&certificate, parameters.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        let port = free_port();
        let config =
            config(&folder.display().to_string(), &stage.at(FILES).display().to_string(), port);
        fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut command = Command::new(PROGRAM);
        command
            .arg("-p")
            .arg(&folder)
            .args(["-e", "error.log", "-c"])
            .arg(folder.join("nginx.conf"))
            .stdin(Stdio::null());
        let process = Running::start(&mut command);
        wait_for_port(port, "nginx answers");
        Self { process, port, certificate }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

/// As Debian's own where it matters: sendfile on, a worker for each processor.
fn config(folder: &str, files: &str, port: u16) -> String {
    // Started by root, its workers would else be somebody who may not look into the folder.
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
