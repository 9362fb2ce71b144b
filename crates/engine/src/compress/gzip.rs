//! One gzip member made of deflate streams over a fixed grid of blocks.
//!
//! Every block of [`BLOCK`] bytes is compressed in one call with the last 32 KiB before it as its
//! dictionary and ends on a byte boundary, so blocks are independent work and the result is one
//! plain member that every reader understands. (The deflate library's bytes depend on how its
//! input is cut; the grid takes that out of the caller's hands.)

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, mpsc};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Bytes of input for each piece of work; a change changes the digest of every gzip layer.
const BLOCK: usize = 1 << 20;
const WINDOW: usize = 32 << 10;
/// Magic, deflate, no flags, no time, no extra flags, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Compresses what is written to it on a pool of threads.
pub struct GzipWriter<W: Write> {
    output: W,
    level: u32,
    pool: Arc<rayon::ThreadPool>,
    /// Header not yet written.
    fresh: bool,
    block: Vec<u8>,
    /// The end of the block before, for the next one's dictionary.
    window: Arc<[u8]>,
    under_way: VecDeque<mpsc::Receiver<io::Result<Compressed>>>,
    crc: Crc,
}

struct Compressed {
    bytes: Vec<u8>,
    crc: Crc,
}

impl<W: Write> GzipWriter<W> {
    /// A writer of one member; `level` is 0 to 9.
    pub fn new(output: W, level: u32, pool: Arc<rayon::ThreadPool>) -> Self {
        Self {
            output,
            level,
            pool,
            fresh: true,
            block: Vec::with_capacity(BLOCK),
            window: Arc::default(),
            under_way: VecDeque::new(),
            crc: Crc::new(),
        }
    }

    /// Compresses what is left, ends the member, and gives back the output.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.submit(FlushCompress::Finish);
        while !self.under_way.is_empty() {
            self.write_oldest()?;
        }
        self.output.write_all(&self.crc.sum().to_le_bytes())?;
        self.output.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.output)
    }

    fn submit(&mut self, flush: FlushCompress) {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        let tail = block.len().saturating_sub(WINDOW);
        let window = std::mem::replace(&mut self.window, Arc::from(&block[tail..]));
        let (sender, receiver) = mpsc::sync_channel(1);
        let level = self.level;
        self.pool.spawn(move || {
            // The receiver is gone only when the writer was dropped: nobody wants the block.
            let _ = sender.send(compress_block(&block, &window, level, flush));
        });
        self.under_way.push_back(receiver);
    }

    fn write_oldest(&mut self) -> io::Result<()> {
        let Some(receiver) = self.under_way.pop_front() else {
            return Ok(());
        };
        let lost = |_| io::Error::other("a compression thread ended early");
        let compressed = receiver.recv().map_err(lost)??;
        if std::mem::take(&mut self.fresh) {
            self.output.write_all(&HEADER)?;
        }
        self.crc.combine(&compressed.crc);
        self.output.write_all(&compressed.bytes)
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
            self.submit(FlushCompress::Sync);
        }
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn compress_block(
    block: &[u8],
    window: &[u8],
    level: u32,
    flush: FlushCompress,
) -> io::Result<Compressed> {
    let mut deflate = Compress::new(Compression::new(level), false);
    if !window.is_empty() {
        deflate.set_dictionary(window).map_err(io::Error::other)?;
    }
    let mut bytes = Vec::with_capacity(block.len() + block.len() / 1000 + 1024);
    loop {
        let seen = usize::try_from(deflate.total_in()).unwrap_or(block.len());
        let before = bytes.len();
        let status = deflate
            .compress_vec(&block[seen..], &mut bytes, flush)
            .map_err(io::Error::other)?;
        let all_read = deflate.total_in() == block.len() as u64;
        let has_room = bytes.len() < bytes.capacity();
        if status == Status::StreamEnd || (flush == FlushCompress::Sync && all_read && has_room) {
            break;
        }
        if bytes.len() == before && has_room {
            return Err(io::Error::other("deflate made no progress"));
        }
        bytes.reserve(block.len() / 8 + 1024);
    }
    let mut crc = Crc::new();
    crc.update(block);
    Ok(Compressed { bytes, crc })
}

impl<W: Write> std::fmt::Debug for GzipWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GzipWriter")
    }
}
