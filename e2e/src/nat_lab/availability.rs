//! Whether this machine can run labs. Tries everything that a lab uses, once.

use std::fmt;

use crate::namespace::{Namespace, create_tun};

/// Why no lab can be built here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingFeature(String);

impl fmt::Display for MissingFeature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Rules that use each kind of table and expression of a lab.
const RULES: &str = "
    table bridge t { chain c {
        type filter hook forward priority filter
        meta l4proto udp drop
    }\n }
    table inet t { chain c {
        type filter hook forward priority filter
        ct state new reject
    }\n }
    table ip t { chain c {
        type nat hook postrouting priority srcnat
        masquerade random,fully-random
    }\n }\n";

/// Tries what a lab needs.
pub(crate) fn check() -> Result<(), MissingFeature> {
    let missing = |what: &str| Err(MissingFeature(what.to_owned()));
    if !crate::disk::is_root() {
        return missing("network namespaces take root");
    }
    for (program, package) in [("ip", "iproute2"), ("nft", "nftables"), ("nsenter", "util-linux")] {
        let output = std::process::Command::new(program).arg("-V").output();
        if !output.is_ok_and(|output| output.status.success()) {
            return missing(&format!("{program} of the package {package} is missing"));
        }
    }
    let namespace = match Namespace::create() {
        Ok(namespace) => namespace,
        Err(error) => return missing(&format!("no network namespace can be created: {error}")),
    };
    if let Err(error) = namespace.nft(RULES) {
        return missing(&format!("the kernel lacks NAT or filters: {error}"));
    }
    if let Err(error) = namespace.run(|| create_tun("tun")) {
        return missing(&format!("no TUN interface can be created: {error}"));
    }
    Ok(())
}
