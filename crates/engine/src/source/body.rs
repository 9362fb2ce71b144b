//! Files as servers send them. One that keeps a file compressed sends it so and says so; the file is
//! what was compressed.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// The encoding that is asked for.
pub(super) const GZIP: &str = "gzip";

/// Where an answer is written, to be decoded if its header says so.
pub(super) enum Body<W: Write> {
    Plain(W),
    Compressed(Box<MultiGzDecoder<W>>),
}

impl<W: Write> Body<W> {
    pub(super) fn new(output: W, headers: &HeaderMap) -> Self {
        let encoding = headers.get(CONTENT_ENCODING);
        match encoding.is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(GZIP.as_bytes())) {
            true => Self::Compressed(Box::new(MultiGzDecoder::new(output))),
            false => Self::Plain(output),
        }
    }

    /// What was written to, once all came.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(output) => Ok(output),
            Self::Compressed(decoder) => decoder.finish(),
        }
    }
}

impl<W: Write> Write for Body<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(output) => output.write(data),
            Self::Compressed(decoder) => decoder.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(output) => output.flush(),
            Self::Compressed(decoder) => decoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(encoding: Option<&str>, sent: &[u8]) -> io::Result<Vec<u8>> {
        let said = encoding.map(|name| (CONTENT_ENCODING, name.parse().unwrap()));
        let headers = HeaderMap::from_iter(said);
        let mut body = Body::new(Vec::new(), &headers);
        for piece in sent.chunks(3) {
            body.write_all(piece)?;
        }
        body.finish()
    }

    #[test]
    fn what_is_compressed_on_the_way_is_the_file() {
        let compressed = |text: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let (one, two) = (compressed(b"one"), compressed(b"two"));
        // An archive that is compressed itself stays so.
        for encoding in [None, Some("identity")] {
            assert_eq!(read(encoding, &one).unwrap(), one);
        }
        for encoding in ["gzip", "GZIP"] {
            assert_eq!(read(Some(encoding), &one).unwrap(), b"one");
        }
        let both = [&one[..], &two].concat();
        assert_eq!(read(Some("gzip"), &both).unwrap(), b"onetwo");
        read(Some("gzip"), &one[..one.len() - 1]).unwrap_err();
        read(Some("gzip"), b"no gzip").unwrap_err();
    }
}
