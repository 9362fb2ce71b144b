//! Bodies that are no single document: archives in both directions, and documents one a line.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use api::docker::Heard;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Answer, Body, Docker, DockerError};

/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;
/// Pieces that may wait to be sent.
const WAITING: usize = 8;
/// Bytes of one line.
const MAX_LINE: usize = 1 << 20;

impl Docker {
    /// Writes what comes to `output`. May block.
    pub(super) async fn save_to(
        &self,
        answer: Answer,
        mut output: impl Write,
    ) -> Result<(), DockerError> {
        let Answer {
            response,
            _connection,
        } = answer;
        let mut body = response.into_body();
        while let Some(piece) = self.piece(&mut body).await? {
            output.write_all(&piece).map_err(DockerError::Output)?;
        }
        output.flush().map_err(DockerError::Output)
    }

    /// Tells what comes line by line; an error that it tells of ends it.
    pub(super) async fn hear(
        &self,
        answer: Answer,
        told: mpsc::Sender<Heard>,
    ) -> Result<(), DockerError> {
        let Answer {
            response,
            _connection,
        } = answer;
        let (mut body, mut lines) = (response.into_body(), Lines::default());
        while let Some(piece) = self.piece(&mut body).await? {
            for line in lines.add(&piece) {
                self.hear_line(&line, &told).await?;
            }
            if lines.rest.len() > MAX_LINE {
                return Err(self.strange(format!("a line of more than {MAX_LINE} bytes")));
            }
        }
        self.hear_line(&lines.rest, &told).await
    }

    async fn hear_line(&self, line: &[u8], told: &mpsc::Sender<Heard>) -> Result<(), DockerError> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let heard = serde_json::from_slice(line);
        let heard: Heard = heard.map_err(|error| self.strange(error))?;
        if let Some(message) = heard.failure() {
            return Err(DockerError::Failed(message.to_owned()));
        }
        // Nobody may listen any more; that it goes well is waited for all the same.
        let _ = told.send(heard).await;
        Ok(())
    }
}

/// Bytes on their way to be lines.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The lines that are whole now.
    fn add(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut whole = Vec::new();
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            self.rest.extend_from_slice(piece);
            if pieces.peek().is_some() {
                whole.push(std::mem::take(&mut self.rest));
            }
        }
        whole
    }
}

/// Why an input was not read to its end, if that is so.
#[derive(Debug, Clone, Default)]
pub(super) struct Unread(Arc<Mutex<Option<io::Error>>>);

impl Unread {
    /// Why.
    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Takes note of it.
    fn note(&self, error: io::Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// A body of what `input` gives, which is read on a thread that may block. It is read for as long
/// as the set lives; one that cannot be read to its end breaks off, and `unread` has why.
pub(super) fn reading(
    input: impl Read + Send + 'static,
    unread: Unread,
    tasks: &mut JoinSet<()>,
) -> Body {
    let (sender, receiver) = mpsc::channel(WAITING);
    tasks.spawn_blocking(move || {
        if let Err(error) = read(input, &sender) {
            let broken = Err(error.kind().into());
            unread.note(error);
            // Nobody may wait for it any more.
            let _ = sender.blocking_send(broken);
        }
    });
    let frames = stream::unfold(receiver, |mut receiver| async move {
        let read: io::Result<Bytes> = receiver.recv().await?;
        Some((read.map(Frame::data), receiver))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// Sends pieces until there are no more, or nobody takes them.
fn read(mut input: impl Read, sender: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => Bytes::copy_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if sender.blocking_send(Ok(piece)).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_any_pieces() {
        let mut lines = Lines::default();
        let mut whole = |text: &str| -> Vec<String> {
            let lines = lines.add(text.as_bytes()).into_iter();
            lines.map(|line| String::from_utf8(line).unwrap()).collect()
        };
        assert_eq!(whole("{\"a\""), [""; 0]);
        assert_eq!(whole(":1}\r\n{}\n{\"b"), ["{\"a\":1}\r", "{}"]);
        assert_eq!(whole("\":2}\n"), ["{\"b\":2}"]);
        assert_eq!(whole("\n"), [""]);
    }
}
