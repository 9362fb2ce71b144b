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
    block: Block,
    under_way: VecDeque<mpsc::Receiver<io::Result<Block>>>,
    spare: Vec<Block>,
}

/// A block and what it becomes. It is used again and again: fresh memory for each would cost as
/// many page faults as there are pages in the layer.
struct Block {
    deflate: Compressor,
    input: Vec<u8>,
    /// As long as the longest member; only `length` bytes of it are the member.
    member: Vec<u8>,
    length: usize,
}

impl<W: Write> GzipWriter<W> {
    /// A writer of members.
    pub fn new(output: W, level: CompressionLvl, pool: Arc<rayon::ThreadPool>) -> Self {
        Self {
            output,
            level,
            pool,
            fresh: true,
            block: Block::new(level),
            under_way: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    /// Compresses what is left and gives back the output. Nothing at all is one empty member.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        if self.fresh || !self.block.input.is_empty() {
            self.submit();
        }
        while !self.under_way.is_empty() {
            self.write_oldest()?;
        }
        Ok(self.output)
    }

    fn submit(&mut self) {
        self.fresh = false;
        let next = self.spare.pop().unwrap_or_else(|| Block::new(self.level));
        let mut block = std::mem::replace(&mut self.block, next);
        let (sender, receiver) = mpsc::sync_channel(1);
        self.pool.spawn(move || {
            let compressed = block.compress().map(|()| block);
            // The receiver is gone only when the writer was dropped: nobody wants the block.
            let _ = sender.send(compressed);
        });
        self.under_way.push_back(receiver);
    }

    fn write_oldest(&mut self) -> io::Result<()> {
        let Some(receiver) = self.under_way.pop_front() else {
            return Ok(());
        };
        let lost = |_| io::Error::other("a compression thread ended early");
        let mut block = receiver.recv().map_err(lost)??;
        self.output.write_all(&block.member[..block.length])?;
        block.input.clear();
        self.spare.push(block);
        Ok(())
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let input = &mut self.block.input;
        let room = (BLOCK - input.len()).min(bytes.len());
        input.extend_from_slice(&bytes[..room]);
        if input.len() == BLOCK {
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

impl Block {
    fn new(level: CompressionLvl) -> Self {
        Self {
            deflate: Compressor::new(level),
            input: Vec::new(),
            member: Vec::new(),
            length: 0,
        }
    }

    fn compress(&mut self) -> io::Result<()> {
        let bound = self.deflate.gzip_compress_bound(self.input.len());
        if self.member.len() < bound {
            self.member.resize(bound, 0);
        }
        self.length = self
            .deflate
            .gzip_compress(&self.input, &mut self.member)
            .map_err(|error| io::Error::other(error.to_string()))?;
        Ok(())
    }
}

impl<W: Write> std::fmt::Debug for GzipWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GzipWriter")
    }
}
