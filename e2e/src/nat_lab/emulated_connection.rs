//! A connection between two namespaces over an emulated link, the same in both directions.

use crate::namespace::{Namespace, create_tun};
use crate::path_emulator::{Direction, Forwarder, LinkSettings, PathSettings};

/// The two interfaces and what moves packets between them. A drop removes the interfaces.
#[derive(Debug)]
pub(crate) struct EmulatedConnection {
    forwarder: Forwarder,
}

impl EmulatedConnection {
    /// Creates an interface at each end: its namespace and its name.
    ///
    /// # Panics
    /// If an interface cannot be created.
    pub(crate) fn create(ends: [(&Namespace, &str); 2], link: LinkSettings, mtu: u32) -> Self {
        let interfaces = ends.map(|(namespace, name)| {
            let device = namespace.run(|| create_tun(name));
            device.unwrap_or_else(|error| panic!("TUN interface {name}: {error}"))
        });
        let settings = PathSettings { mtu, ..PathSettings::symmetric(link) };
        Self { forwarder: Forwarder::start(interfaces, &settings) }
    }

    /// Changes what the link does to packets that arrive from now on.
    pub(crate) fn set_link(&self, link: LinkSettings) {
        for direction in Direction::BOTH {
            self.forwarder.change(direction, link);
        }
    }
}
