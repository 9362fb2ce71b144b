//! gzip members over a fixed grid of blocks, one after the other.
//!
//! RFC 1952 makes a file of any number of members, and every reader of layers follows it. Members
//! are independent work, and a whole block in one call is what the fastest deflate takes. The grid
//! takes the sizes of writes out of the result.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, mpsc};

use libdeflater::{CompressionLvl, Compressor};

/// Bytes of input for each member; a change changes the digest of every gzip layer.
const BLOCK: usize = 1 << 20;

/// Compresses what is written to it on a pool of threads.
pub struct GzipWriter<W: Write> {
    output: W,
    level: CompressionLvl,
    pool: Arc<rayon::ThreadPool>,
    /// No member was begun yet.
    fresh: bool,
    block: Vec<u8>,
    under_way: VecDeque<mpsc::Receiver<io::Result<Vec<u8>>>>,
}

impl<W: Write> GzipWriter<W> {
    /// A writer of members.
    pub fn new(output: W, level: CompressionLvl, pool: Arc<rayon::ThreadPool>) -> Self {
        Self {
            output,
            level,
            pool,
            fresh: true,
            block: Vec::with_capacity(BLOCK),
            under_way: VecDeque::new(),
        }
    }

    /// Compresses what is left and gives back the output. Nothing at all is one empty member.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        if self.fresh || !self.block.is_empty() {
            self.submit();
        }
        while !self.under_way.is_empty() {
            self.write_oldest()?;
        }
        Ok(self.output)
    }

    fn submit(&mut self) {
        self.fresh = false;
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        let (sender, receiver) = mpsc::sync_channel(1);
        let level = self.level;
        self.pool.spawn(move || {
            // The receiver is gone only when the writer was dropped: nobody wants the block.
            let _ = sender.send(member(&block, level));
        });
        self.under_way.push_back(receiver);
    }

    fn write_oldest(&mut self) -> io::Result<()> {
        let Some(receiver) = self.under_way.pop_front() else {
            return Ok(());
        };
        let lost = |_| io::Error::other("a compression thread ended early");
        self.output.write_all(&receiver.recv().map_err(lost)??)
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = (BLOCK - self.block.len()).min(bytes.len());
        self.block.extend_from_slice(&bytes[..room]);
        if self.block.len() == BLOCK {
            while self.under_way.len() > 2 * self.pool.current_num_threads() {
                self.write_oldest()?;
            }
            self.submit();
        }
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn member(block: &[u8], level: CompressionLvl) -> io::Result<Vec<u8>> {
    let mut deflate = Compressor::new(level);
    let mut bytes = vec![0; deflate.gzip_compress_bound(block.len())];
    let length = deflate
        .gzip_compress(block, &mut bytes)
        .map_err(|error| io::Error::other(error.to_string()))?;
    bytes.truncate(length);
    Ok(bytes)
}

impl<W: Write> std::fmt::Debug for GzipWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GzipWriter")
    }
}
