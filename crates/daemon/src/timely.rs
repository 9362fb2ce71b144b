//! A connection on which nothing is waited for that does not come: whoever begins as clients of
//! HTTP/2 do, or says nothing at all, has to come to the end of that beginning in time. What others
//! have to say in which time is known where it is understood.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long a client may take to say which protocol it speaks.
const SILENCE: Duration = Duration::from_secs(30);

/// What clients of HTTP/2 begin with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The connection.
pub(crate) struct Timely<S> {
    stream: S,
    /// Until when the beginning is waited for, and what is still to come of it.
    waiting: Option<(Pin<Box<Sleep>>, &'static [u8])>,
}

impl<S> Timely<S> {
    /// The client has [`SILENCE`] from now on.
    pub(crate) fn new(stream: S) -> Self {
        let limit = Box::pin(tokio::time::sleep(SILENCE));
        Self {
            stream,
            waiting: Some((limit, PREFACE)),
        }
    }

    /// These bytes came.
    fn hear(&mut self, bytes: &[u8]) {
        let Some((_, left)) = &mut self.waiting else {
            return;
        };
        let common = left.len().min(bytes.len());
        let goes_on = left[..common] == bytes[..common];
        *left = &left[common..];
        // It is said, or is none. Who hangs up need not be waited for either.
        if !goes_on || left.is_empty() || bytes.is_empty() {
            self.waiting = None;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timely<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
            this.hear(&buffer.filled()[before..]);
            return Poll::Ready(read);
        }
        let Some((limit, _)) = &mut this.waiting else {
            return Poll::Pending;
        };
        ready!(limit.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timely<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
