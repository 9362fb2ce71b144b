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
use StreamError::{Connection, Output};

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
        let asked = Asked::container(Method::POST, name, "attach")?;
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

/// How it came that nothing more is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The container's output ended.
    Ended,
    /// The keys were pressed by which people leave a terminal.
    Detached,
}

/// Why nothing more is passed on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection broke off.
    #[error("the container's output broke off: {0}")]
    Connection(#[source] io::Error),
    /// What comes cannot be written here.
    #[error("write the container's output: {0}")]
    Output(#[source] io::Error),
}

impl Attached {
    /// Passes on in both directions until the container's output ends; the end of `stdin` ends
    /// only the container's input. A terminal is left by ctrl-p and then ctrl-q.
    ///
    /// # Errors
    /// The connection broke off, or what comes cannot be written here.
    pub async fn serve(
        self,
        is_terminal: bool,
        stdin: impl AsyncRead + Unpin,
        stdout: impl AsyncWrite + Unpin,
        stderr: impl AsyncWrite + Unpin,
    ) -> Result<Left, StreamError> {
        let (from, to) = tokio::io::split(self.connection);
        let typing = async {
            let keys = is_terminal.then(DetachKeys::default);
            // A container that takes no more input goes on all the same.
            if !matches!(type_all(stdin, to, keys).await, Ok(Left::Detached)) {
                std::future::pending::<()>().await;
            }
        };
        let showing = async {
            match is_terminal {
                true => show_raw(from, stdout).await,
                false => show_frames(from, stdout, stderr).await,
            }
        };
        tokio::select! {
            shown = showing => shown.map(|()| Left::Ended),
            () = typing => Ok(Left::Detached),
        }
    }
}

/// The keys by which people leave a terminal without ending what runs in it; what was pressed of
/// them is kept back until it is clear whether the rest follows.
#[derive(Debug, Default)]
struct DetachKeys {
    pressed: usize,
}

/// ctrl-p and ctrl-q.
const DETACH: [u8; 2] = [16, 17];

impl DetachKeys {
    /// What is to be passed on of `bytes`; none once all keys were pressed one after the other.
    fn take(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut passed = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if DETACH[self.pressed] != *byte {
                passed.extend_from_slice(&DETACH[..self.pressed]);
                self.pressed = 0;
            }
            if DETACH[self.pressed] != *byte {
                passed.push(*byte);
                continue;
            }
            self.pressed += 1;
            if self.pressed == DETACH.len() {
                return None;
            }
        }
        Some(passed)
    }
}

async fn type_all(
    mut stdin: impl AsyncRead + Unpin,
    mut to: WriteHalf<TokioIo<Upgraded>>,
    mut keys: Option<DetachKeys>,
) -> io::Result<Left> {
    let mut buffer = vec![0; PIECE];
    loop {
        let read = stdin.read(&mut buffer).await?;
        if read == 0 {
            to.shutdown().await?;
            return Ok(Left::Ended);
        }
        let typed = &buffer[..read];
        match keys.as_mut().map(|keys| keys.take(typed)) {
            None => to.write_all(typed).await?,
            Some(Some(passed)) => to.write_all(&passed).await?,
            Some(None) => return Ok(Left::Detached),
        }
        to.flush().await?;
    }
}

async fn show_raw(
    mut from: ReadHalf<TokioIo<Upgraded>>,
    mut stdout: impl AsyncWrite + Unpin,
) -> Result<(), StreamError> {
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer).await.map_err(Connection)? {
            0 => return Ok(()),
            read => put(&mut stdout, &buffer[..read]).await?,
        }
        stdout.flush().await.map_err(Output)?;
    }
}

async fn show_frames(
    mut from: impl AsyncRead + Unpin,
    mut stdout: impl AsyncWrite + Unpin,
    mut stderr: impl AsyncWrite + Unpin,
) -> Result<(), StreamError> {
    let mut buffer = vec![0; PIECE];
    loop {
        let mut head = [0; 8];
        match from.read_exact(&mut head).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read.map_err(Connection)?,
        };
        let stream = stream(head[0]).map_err(Connection)?;
        let mut left = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        while left > 0 {
            let most = left.min(buffer.len());
            let read = from.read(&mut buffer[..most]).await.map_err(Connection)?;
            if read == 0 {
                return Err(Connection(io::ErrorKind::UnexpectedEof.into()));
            }
            left -= read;
            match stream {
                Stream::Stdout => put(&mut stdout, &buffer[..read]).await?,
                Stream::Stderr => put(&mut stderr, &buffer[..read]).await?,
            }
        }
        match stream {
            Stream::Stdout => stdout.flush().await.map_err(Output)?,
            Stream::Stderr => stderr.flush().await.map_err(Output)?,
        }
    }
}

async fn put(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), StreamError> {
    to.write_all(bytes).await.map_err(Output)
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

    async fn shown(bytes: &[u8]) -> (Result<(), StreamError>, String, String) {
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

    #[test]
    fn keys_that_leave_a_terminal() {
        let mut keys = DetachKeys::default();
        assert_eq!(keys.take(b"ab\x10").unwrap(), b"ab");
        assert_eq!(keys.take(b"c\x11").unwrap(), b"\x10c\x11");
        assert_eq!(keys.take(b"\x10\x10").unwrap(), b"\x10");
        assert_eq!(keys.take(b"\x11more"), None);
    }
}
