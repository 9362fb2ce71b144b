//! From what a container writes to its log and to those who are attached.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use engine::{Engine, LogEntry, LogWriter, OutputStream};

use super::hub::{Hub, Piece};
use super::lock;
use crate::descriptor::Descriptor;

/// Bytes that are passed on at a time, at most.
const PIECE: usize = 32 << 10;
/// Bytes of a line that wait for its end, at most.
const LINE: usize = 16 << 10;

/// The log of a run, which both of its streams write.
#[derive(Clone)]
pub(super) struct Log {
    pub(super) engine: Engine,
    pub(super) writer: Arc<Mutex<LogWriter>>,
}

/// Passes on what comes until nobody can write any more.
pub(super) async fn pass_on(from: &Descriptor, stream: OutputStream, hub: &Hub, log: &Log) {
    let mut buffer = vec![0; PIECE];
    let mut line = Vec::new();
    // A pipe that cannot be read has nothing more to tell.
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let bytes = Bytes::copy_from_slice(&buffer[..read]);
        log.take(stream, &bytes, &mut line);
        hub.tell_logged();
        hub.tell(&Piece { stream, bytes }).await;
    }
    if !line.is_empty() {
        log.write(stream, line);
        hub.tell_logged();
    }
}

impl Log {
    /// Writes whole lines, and keeps the beginning of the next in `line`.
    fn take(&self, stream: OutputStream, bytes: &[u8], line: &mut Vec<u8>) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") || line.len() >= LINE {
                self.write(stream, std::mem::take(line));
            }
        }
    }

    fn write(&self, stream: OutputStream, bytes: Vec<u8>) {
        let entry = LogEntry {
            stream,
            time: self.engine.now(),
            bytes,
        };
        // A disk that is full must not hold the container up; its clients hear it all the same.
        let _ = lock(&self.writer).append(&entry);
    }
}
