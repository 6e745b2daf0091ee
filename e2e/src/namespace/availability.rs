//! Whether this machine can create network namespaces with TUN interfaces. Tries it once.

use std::fmt;

use super::Namespace;
use super::unsafe_calls::create_tun;

/// Why no network can be emulated here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingFeature(pub(crate) String);

impl fmt::Display for MissingFeature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Tries what every emulated network needs, and these programs, each with its package. Returns a namespace to try more
/// in.
pub(crate) fn check_availability(programs: &[(&str, &str)]) -> Result<Namespace, MissingFeature> {
    let missing = |what: String| Err(MissingFeature(what));
    if !crate::disk::is_root() {
        return missing("network namespaces take root".to_owned());
    }
    let needed = [("ip", "iproute2"), ("nsenter", "util-linux")];
    for (program, package) in needed.iter().chain(programs) {
        if !is_installed(program) {
            return missing(format!("{program} of the package {package} is missing"));
        }
    }
    let namespace = match Namespace::create() {
        Ok(namespace) => namespace,
        Err(error) => return missing(format!("no network namespace can be created: {error}")),
    };
    match namespace.run(|| create_tun("tun")) {
        Ok(_) => Ok(namespace),
        Err(error) => missing(format!("no TUN interface can be created: {error}")),
    }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether a check has passed; prints a note if not.
///
/// # Panics
/// If it has failed in continuous integration.
pub(crate) fn is_available(name: &str, result: &Result<(), MissingFeature>) -> bool {
    if let Err(missing) = result {
        assert!(std::env::var_os("CI").is_none(), "no {name}: {missing}");
        eprintln!("SKIPPED: no {name}: {missing}");
    }
    result.is_ok()
}
