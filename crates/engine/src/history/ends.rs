//! The first and the last line of a log, without what is between them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// What is read at once.
const BLOCK: u64 = 4096;
/// No such line is longer.
const LONGEST: u64 = 16 << 20;

/// Both; what has no line end is no line.
pub(super) fn of(path: &Path) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok((first(&file, size)?, last(&file, size)?))
}

fn first(file: &File, size: u64) -> io::Result<Vec<u8>> {
    let mut length = BLOCK;
    loop {
        let mut bytes = read(file, 0, length.min(size))?;
        if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            bytes.truncate(end);
            return Ok(bytes);
        }
        if length >= size.min(LONGEST) {
            return Ok(Vec::new());
        }
        length *= 2;
    }
}

fn last(file: &File, size: u64) -> io::Result<Vec<u8>> {
    let mut length = BLOCK;
    loop {
        let start = size.saturating_sub(length);
        let bytes = read(file, start, size - start)?;
        let Some((b'\n', line)) = bytes.split_last() else {
            return Ok(Vec::new());
        };
        if let Some(before) = line.iter().rposition(|byte| *byte == b'\n') {
            return Ok(line[before + 1..].to_vec());
        }
        if start == 0 {
            return Ok(line.to_vec());
        }
        if length >= LONGEST {
            return Ok(Vec::new());
        }
        length *= 2;
    }
}

fn read(file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let long = "x".repeat(10_000);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        for (text, expected) in [
            (String::new(), ("", "")),
            ("a".to_owned(), ("", "")),
            ("a\n".to_owned(), ("a", "a")),
            ("a\nb\n".to_owned(), ("a", "b")),
            ("a\nb\nc".to_owned(), ("a", "")),
            (format!("{long}\nb\n"), (long.as_str(), "b")),
            (format!("a\n{long}\n"), ("a", long.as_str())),
            (format!("a\n{long}\n{long}\nb\n"), ("a", "b")),
        ] {
            std::fs::write(&path, text).unwrap();
            let (first, last) = of(&path).unwrap();
            let expected = (expected.0.as_bytes(), expected.1.as_bytes());
            assert_eq!((first.as_slice(), last.as_slice()), expected);
        }
    }
}
