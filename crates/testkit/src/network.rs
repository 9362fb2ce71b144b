//! What a test of networks finds on this machine, and leaves on it.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, UdpSocket};

/// The address by which this machine reaches others; none when it reaches nobody.
///
/// # Panics
/// There are no sockets.
#[must_use]
pub fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    // An address of no machine's: nothing is sent.
    socket.connect("203.0.113.1:9").ok()?;
    Some(socket.local_addr().expect("an address").ip())
}

/// Answers `hello` to all who ask it something; its port.
///
/// # Panics
/// Nobody can listen there.
#[must_use]
pub fn greeter(address: IpAddr) -> u16 {
    let listener = TcpListener::bind((address, 0)).expect("a place to listen");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().flatten() {
            // Whoever does not ask to the end is not greeted.
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"hello\n");
            // Whoever has asked ends it: half of a connection older versions of pasta do not take to
            // an end.
            kept.push(stream);
        }
    });
    port
}

/// How many processes with one of these names are children of `parent`.
///
/// # Panics
/// The kernel does not tell of processes.
#[must_use]
pub fn children(parent: u32, names: &[&str]) -> usize {
    let parent = format!("\nPPid:\t{parent}\n");
    let names: Vec<String> = names.iter().map(|name| format!("Name:\t{name}")).collect();
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let statuses =
        processes.filter_map(|process| std::fs::read_to_string(process.path().join("status")).ok());
    statuses
        .filter(|status| {
            names.iter().any(|name| status.starts_with(name)) && status.contains(&parent)
        })
        .count()
}
