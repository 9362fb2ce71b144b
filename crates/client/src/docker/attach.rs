//! What a container writes and is told, on a connection of its own. Without a terminal what comes
//! is framed: the stream (1 or 2), three zeros, the length (4 bytes, big endian), the bytes.

use std::io;

use hyper::Method;
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::task::JoinSet;

use super::{Asked, Docker, DockerError};

/// Bytes that are read at a time.
const PIECE: usize = 32 << 10;

/// Where a container writes; to a terminal all is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Stdout,
    Stderr,
}

/// A connection to the streams of a container.
pub struct Attached {
    connection: TokioIo<Upgraded>,
    /// Ends with this.
    _connection: JoinSet<()>,
}

impl Docker {
    /// Attaches to what a container writes from now on, and to what it reads if `stdin`.
    ///
    /// # Errors
    /// There is none.
    pub async fn attach(&self, name: &str, stdin: bool) -> Result<Attached, DockerError> {
        let asked = Asked::about(Method::POST, "containers", name, "attach");
        let asked = asked.when("stream", true).when("stdin", stdin);
        let asked = asked.when("stdout", true).when("stderr", true);
        let asked = asked.header(CONNECTION, HeaderValue::from_static("Upgrade"));
        let asked = asked.header(UPGRADE, HeaderValue::from_static("tcp"));
        let answer = self.send(asked).await?;
        let upgraded = hyper::upgrade::on(answer.response).await;
        let upgraded = upgraded.map_err(|source| DockerError::NoApi {
            address: self.address.clone(),
            source,
        })?;
        Ok(Attached {
            connection: TokioIo::new(upgraded),
            _connection: answer._connection,
        })
    }
}

impl Attached {
    /// Passes on in both directions until the container's output ends; the end of `stdin` ends
    /// only the container's input.
    ///
    /// # Errors
    /// The connection broke off.
    pub async fn serve(
        self,
        is_terminal: bool,
        stdin: impl AsyncRead + Unpin,
        stdout: impl AsyncWrite + Unpin,
        stderr: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let (from, to) = tokio::io::split(self.connection);
        let typing = async {
            // A container that takes no more input goes on all the same.
            drop(type_all(stdin, to).await);
            std::future::pending::<()>().await;
        };
        let showing = async {
            match is_terminal {
                true => show_raw(from, stdout).await,
                false => show_frames(from, stdout, stderr).await,
            }
        };
        tokio::select! {
            shown = showing => shown,
            () = typing => Ok(()),
        }
    }
}

async fn type_all(
    mut stdin: impl AsyncRead + Unpin,
    mut to: WriteHalf<TokioIo<Upgraded>>,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        match stdin.read(&mut buffer).await? {
            0 => return to.shutdown().await,
            read => to.write_all(&buffer[..read]).await?,
        }
        to.flush().await?;
    }
}

async fn show_raw(
    mut from: ReadHalf<TokioIo<Upgraded>>,
    mut stdout: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer).await? {
            0 => return Ok(()),
            read => stdout.write_all(&buffer[..read]).await?,
        }
        stdout.flush().await?;
    }
}

async fn show_frames(
    mut from: impl AsyncRead + Unpin,
    mut stdout: impl AsyncWrite + Unpin,
    mut stderr: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let mut head = [0; 8];
        match from.read_exact(&mut head).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        };
        let stream = stream(head[0])?;
        let mut left = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        while left > 0 {
            let most = left.min(buffer.len());
            let read = from.read(&mut buffer[..most]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= read;
            match stream {
                Stream::Stdout => stdout.write_all(&buffer[..read]).await?,
                Stream::Stderr => stderr.write_all(&buffer[..read]).await?,
            }
        }
        match stream {
            Stream::Stdout => stdout.flush().await?,
            Stream::Stderr => stderr.flush().await?,
        }
    }
}

fn stream(number: u8) -> io::Result<Stream> {
    match number {
        0 | 1 => Ok(Stream::Stdout),
        2 => Ok(Stream::Stderr),
        other => Err(io::Error::other(format!("a stream of number {other}"))),
    }
}

impl std::fmt::Debug for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attached")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shown(bytes: &[u8]) -> (io::Result<()>, String, String) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let shown = show_frames(bytes, &mut stdout, &mut stderr).await;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (shown, text(stdout), text(stderr))
    }

    #[tokio::test]
    async fn frames_go_to_their_streams() {
        let bytes = b"\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\x03err\x01\0\0\0\0\0\0\x01!";
        let (ended, stdout, stderr) = shown(bytes).await;
        assert_eq!((stdout.as_str(), stderr.as_str()), ("out!", "err"));
        ended.unwrap();
        // What is no frame, and half a frame.
        assert!(shown(b"\x07\0\0\0\0\0\0\x01x").await.0.is_err());
        let (ended, stdout, _) = shown(b"\x01\0\0\0\0\0\0\x09half").await;
        assert!(ended.is_err() && stdout == "half");
    }
}
