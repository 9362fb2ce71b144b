//! A small page on loopback, for the example to count the links of.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context as _, Result};

use crate::ui;

const TEXT: &str = "<!doctype html>
<title>A page</title>
<a href=\"/here\">on this site</a>
<a href=\"also/here\">on this site</a>
<a href=\"https://example.org/\">elsewhere</a>
<a name=\"nowhere\">an anchor</a>
";

/// What the example prints about the page.
pub(super) const COUNTED: &str = r#"{"internal":2,"external":1}"#;

/// The page, served as long as this process lives.
#[derive(Debug)]
pub(super) struct Page {
    address: SocketAddr,
}

impl Page {
    pub(super) fn serve() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if let Err(error) = connection.and_then(answer) {
                    ui::step(format_args!("the demo's page: {error}"));
                }
            }
        });
        Ok(Self { address })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

fn answer(mut connection: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let length = TEXT.len();
    write!(
        connection,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{TEXT}"
    )
}
