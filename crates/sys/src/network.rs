//! Networks of processes that are started later.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::thread;

use rustix::fs::statfs;
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

use crate::raw;

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The first of them.
    pub address: IpAddr,
    /// How many bits are the same.
    pub bits: u8,
}

/// Makes a network with a loopback interface that is up and nothing else, in which `refused` cannot
/// be reached whatever is added to it. It lasts as long as the descriptor or a process in it.
///
/// # Errors
/// This process may make none.
pub fn make(refused: &[Prefix]) -> io::Result<OwnedFd> {
    let refused = refused.to_vec();
    // The thread ends in the new network, so nobody else may go on with it.
    let thread = thread::Builder::new()
        .name("network".into())
        .spawn(move || made_here(&refused))?;
    let lost = |_| io::Error::from(io::ErrorKind::Interrupted);
    thread.join().map_err(lost)?
}

/// Gives a network a place among files, by which programs find it, and in which it lasts when we do
/// not: the file `place`, which must be there.
///
/// # Errors
/// This process may not mount anything there.
pub fn keep(network: impl AsFd, place: &Path) -> io::Result<()> {
    let network = format!("/proc/self/fd/{}", network.as_fd().as_raw_fd());
    Ok(mount_bind(network.as_str(), place)?)
}

/// Whether a network is kept at `place`.
#[must_use]
pub fn is_kept(place: &Path) -> bool {
    const NSFS: u64 = 0x6e73_6673;
    statfs(place).is_ok_and(|found| u64::from_ne_bytes(found.f_type.to_ne_bytes()) == NSFS)
}

/// Takes the network away that is kept at `place`, if one is.
///
/// # Errors
/// The kernel's refusal.
pub fn release(place: &Path) -> io::Result<()> {
    match is_kept(place) {
        true => Ok(unmount(place, UnmountFlags::DETACH)?),
        false => Ok(()),
    }
}

fn made_here(refused: &[Prefix]) -> io::Result<OwnedFd> {
    raw::isolate_network()?;
    // The protocol for routes is the first, which needs no name.
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    for prefix in refused {
        match refuse(socket.as_fd(), &message(*prefix)) {
            // Without IPv6 nothing is reached by it either.
            Err(Errno::AFNOSUPPORT | Errno::OPNOTSUPP | Errno::ACCESS)
                if prefix.address.is_ipv6() => {}
            result => result?,
        }
    }
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

fn refuse(socket: impl AsFd, message: &[u8]) -> Result<(), Errno> {
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, message, SendFlags::empty(), &kernel)?;
    let mut answer = [0; 256];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    // What is answered begins like a message, with the error's number behind that.
    let number = answer[..length].get(HEADER..HEADER + 4);
    let number: [u8; 4] = number
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(Errno::IO)?;
    match i32::from_ne_bytes(number) {
        0 => Ok(()),
        error => Err(Errno::from_raw_os_error(-error)),
    }
}

/// The length of `struct nlmsghdr`.
const HEADER: usize = 16;

/// Has the kernel make a route that leads nowhere: `nlmsghdr`, `rtmsg`, and an attribute with the
/// address.
fn message(prefix: Prefix) -> Vec<u8> {
    let (family, address) = match prefix.address {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    };
    let route = [
        family as u8,
        prefix.bits,
        0,
        0,
        libc::RT_TABLE_MAIN,
        libc::RTPROT_BOOT,
        libc::RT_SCOPE_UNIVERSE,
        libc::RTN_UNREACHABLE,
        0,
        0,
        0,
        0,
    ];
    let attribute_length = (4 + address.len()) as u16;
    let length = (HEADER + route.len() + 4 + address.len()) as u32;
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let mut message = Vec::new();
    message.extend(length.to_ne_bytes());
    message.extend(libc::RTM_NEWROUTE.to_ne_bytes());
    message.extend((flags as u16).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(route);
    message.extend(attribute_length.to_ne_bytes());
    message.extend(libc::RTA_DST.to_ne_bytes());
    message.extend(address);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_what_the_kernel_takes() {
        let of = |address: &str, bits| {
            let address = address.parse().unwrap();
            message(Prefix { address, bits })
        };
        let expected = [
            &36_u32.to_ne_bytes()[..],
            &24_u16.to_ne_bytes(),
            &0x605_u16.to_ne_bytes(),
            &[0; 8],
            &[2, 16, 0, 0, 254, 3, 0, 7, 0, 0, 0, 0],
            &8_u16.to_ne_bytes(),
            &1_u16.to_ne_bytes(),
            &[169, 254, 0, 0],
        ];
        assert_eq!(of("169.254.0.0", 16), expected.concat());
        let six = of("fd00:ec2::", 32);
        assert_eq!(six.len(), 48);
        assert_eq!(six[..4], 48_u32.to_ne_bytes());
        assert_eq!(six[16..18], [10, 32]);
        assert_eq!(six[32..36], [0xfd, 0, 0x0e, 0xc2]);
    }
}
