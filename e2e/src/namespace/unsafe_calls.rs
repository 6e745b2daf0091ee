//! The two system calls for emulated networks that have no safe wrapper. No other file of it contains unsafe code.

#![expect(unsafe_code, reason = "rustix has no safe form of either call")]

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::ioctl::{Setter, ioctl};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// `TUNSETIFF` of linux/if_tun.h.
const SET_INTERFACE: rustix::ioctl::Opcode = 0x4004_54ca;
/// `IFF_TUN | IFF_NO_PI`: packets of IP, without a header before them.
const TUN_WITHOUT_HEADER: u16 = 0x0001 | 0x1000;

/// `struct ifreq` of netdevice(7), as `TUNSETIFF` reads it.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    unused: [u8; 22],
}

/// Moves the calling thread into a new network namespace.
pub(crate) fn unshare_network() -> io::Result<()> {
    // SAFETY: Only the network changes. All threads still share their descriptors.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
    Ok(())
}

/// Creates a TUN interface in the namespace of the calling thread. It exists until the descriptor is closed. A
/// read returns one packet that the kernel sends there, a write lets the kernel receive one; neither blocks.
///
/// # Panics
/// If the name is longer than 15 bytes.
pub(crate) fn create_tun(name: &str) -> io::Result<OwnedFd> {
    assert!(name.len() < 16, "{name} is too long for an interface");
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let device = open("/dev/net/tun", flags, Mode::empty())?;
    let mut request =
        InterfaceRequest { name: [0; 16], flags: TUN_WITHOUT_HEADER, unused: [0; 22] };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: TUNSETIFF reads a struct ifreq, which `InterfaceRequest` has the layout and the size of.
    unsafe { ioctl(&device, Setter::<SET_INTERFACE, _>::new(request)) }?;
    Ok(device)
}
