//! Archives put together block by block, as no sane program would.

/// An archive in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Raw(Vec<u8>);

/// One header block; what is not set is as in an ordinary ustar file `f`.
#[derive(Debug, Clone)]
pub(super) struct Block {
    bytes: [u8; 512],
    checksum: bool,
}

impl Raw {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn block(mut self, block: Block) -> Self {
        self.0.extend_from_slice(&block.finish());
        self
    }

    /// Content, padded to whole blocks.
    pub(super) fn data(mut self, data: &[u8]) -> Self {
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// An extended header with these records.
    pub(super) fn pax(self, records: &[(&str, &str)]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let bare = key.len() + value.len() + 3;
            let length = (bare..).find(|all| bare + all.to_string().len() == *all);
            data.extend_from_slice(format!("{} {key}={value}\n", length.unwrap()).as_bytes());
        }
        self.special(b'x', &data)
    }

    /// An extended header, or a long name.
    pub(super) fn special(self, flag: u8, data: &[u8]) -> Self {
        let block = Block::new("PaxHeaders/f").flag(flag).size(data.len());
        let block = if flag == b'L' || flag == b'K' {
            block.gnu()
        } else {
            block
        };
        self.block(block).data(data)
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }

    /// Without the end mark.
    pub(super) fn cut(self) -> Vec<u8> {
        self.0
    }
}

impl Block {
    pub(super) fn new(name: &str) -> Self {
        let block = Self {
            bytes: [0; 512],
            checksum: true,
        };
        block
            .field(0, name.as_bytes())
            .field(100, b"0000644\0")
            .field(108, b"0000000\0")
            .field(116, b"0000000\0")
            .field(124, b"00000000000\0")
            .field(136, b"00000000000\0")
            .field(156, b"0")
            .field(257, b"ustar\x0000")
    }

    pub(super) fn field(mut self, at: usize, bytes: &[u8]) -> Self {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(super) fn flag(self, flag: u8) -> Self {
        self.field(156, &[flag])
    }

    pub(super) fn size(self, size: usize) -> Self {
        self.field(124, format!("{size:011o}\0").as_bytes())
    }

    pub(super) fn link(self, target: &str) -> Self {
        self.field(157, target.as_bytes())
    }

    pub(super) fn gnu(self) -> Self {
        self.field(257, b"ustar  \0")
    }

    pub(super) fn v7(self) -> Self {
        self.field(257, &[0; 8])
    }

    pub(super) fn wrong_checksum(mut self) -> Self {
        self.checksum = false;
        self
    }

    fn finish(mut self) -> [u8; 512] {
        self.bytes[148..156].fill(b' ');
        let sum: u32 = self.bytes.iter().map(|byte| u32::from(*byte)).sum();
        let sum = if self.checksum { sum } else { sum + 1 };
        self.bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes
    }
}
