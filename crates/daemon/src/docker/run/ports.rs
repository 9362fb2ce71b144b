//! Ports of this machine that lead into containers.
//!
//! A container with published ports has a network of its own, into which nothing else leads. The
//! daemon listens on the machine's side and connects on the container's.

use std::net::IpAddr;

use api::docker::Port;
use engine::{ContainerPlace, PublishedPort};
use hyper::StatusCode;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::answer::Refusal;

/// Connections of one port at a time.
const CONNECTIONS: usize = 256;

/// A port that leads to a container's.
#[derive(Debug, Clone)]
pub(in crate::docker) struct Published {
    pub(in crate::docker) address: String,
    pub(in crate::docker) port: u16,
    pub(in crate::docker) container_port: u16,
}

/// A port that somebody may connect to.
#[derive(Debug)]
pub(super) struct Listening {
    listener: TcpListener,
    published: Published,
}

impl Listening {
    pub(super) fn published(&self) -> Published {
        self.published.clone()
    }
}

impl Published {
    /// As lists show it.
    pub(in crate::docker) fn shown(&self) -> Port {
        Port {
            ip: self.address.clone(),
            private_port: self.container_port,
            public_port: Some(self.port),
            kind: "tcp".to_owned(),
        }
    }
}

/// Takes all ports, or none.
pub(super) async fn listen(ports: &[PublishedPort]) -> Result<Vec<Listening>, Refusal> {
    let mut all = Vec::new();
    for port in ports {
        let text = match port.address.as_str() {
            "" => "0.0.0.0",
            address => address,
        };
        let address: IpAddr = text
            .parse()
            .map_err(|_| Refusal::bad(format!("invalid IP address: {text}")))?;
        let failed = |error| {
            let message = format!(
                "failed to set up container networking: failed to listen on {address}:{}: {error}",
                port.port
            );
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message)
        };
        let listener = TcpListener::bind((address, port.port))
            .await
            .map_err(failed)?;
        let chosen = listener.local_addr().map_err(failed)?.port();
        all.push(Listening {
            listener,
            published: Published {
                address: text.to_owned(),
                port: chosen,
                container_port: port.container_port,
            },
        });
    }
    Ok(all)
}

/// Passes connections on until it is dropped.
pub(super) async fn serve(listeners: &[Listening], place: &ContainerPlace) {
    let all = listeners.iter().map(|listening| accept(listening, place));
    futures_util::future::join_all(all).await;
}

async fn accept(listening: &Listening, place: &ContainerPlace) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        while connections.try_join_next().is_some() {}
        // One that broke before it was taken is the client's affair.
        if let Ok((outside, _)) = listening.listener.accept().await {
            let (place, port) = (place.clone(), listening.published.container_port);
            connections.spawn(pass_on(outside, place, port));
        }
    }
}

async fn pass_on(mut outside: TcpStream, place: ContainerPlace, port: u16) {
    let connected = tokio::task::spawn_blocking(move || {
        let stream = place.connect(port)?;
        stream.set_nonblocking(true)?;
        Ok::<_, std::io::Error>(stream)
    });
    // Nobody listens inside: the client sees its connection end.
    if let Ok(Ok(inside)) = connected.await
        && let Ok(mut inside) = TcpStream::from_std(inside)
    {
        let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
    }
}
