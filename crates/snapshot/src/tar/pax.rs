//! Records of extended headers: `length key=value` and a newline (POSIX.1-2024 pax, "pax Extended
//! Header").
//!
//! A record without a value leaves the ustar field as it is. Of two records with one key the later
//! counts. Keys without meaning here are skipped, but must be well formed.

use super::{TarError, Xattr};
use crate::Time;

pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";

const MALFORMED: TarError = TarError::Pax("malformed record");

/// What the extended header of one member says.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) uid: Option<i64>,
    pub(super) gid: Option<i64>,
    pub(super) size: Option<i64>,
    pub(super) modified: Option<Time>,
    pub(super) xattrs: Vec<Xattr>,
    pub(super) sparse: SparseRecords,
}

/// What it says of a sparse file, in GNU's formats 0.0, 0.1 and 1.0.
#[derive(Debug, Default)]
pub(super) struct SparseRecords {
    pub(super) version: (Option<i64>, Option<i64>),
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<i64>,
    pub(super) real_size: Option<i64>,
    /// Offsets and lengths in turn.
    pub(super) map: Vec<i64>,
}

impl Records {
    pub(super) fn parse(mut data: &[u8]) -> Result<Self, TarError> {
        let mut records = Self::default();
        while !data.is_empty() {
            let (record, rest) = split(data)?;
            let equals = record.iter().position(|byte| *byte == b'=');
            let equals = equals.ok_or(MALFORMED)?;
            records.take(&record[..equals], &record[equals + 1..])?;
            data = rest;
        }
        records.xattrs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(records)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        let is_text = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname");
        if is_text && value.contains(&0) || key.is_empty() || key.contains(&0) {
            return Err(TarError::Pax("a NUL byte, or a record without a key"));
        }
        if let Some(name) = key.strip_prefix(XATTR) {
            self.xattr(name, value);
            return Ok(());
        }
        if value.is_empty() {
            return Ok(());
        }
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"uid" => self.uid = Some(decimal("uid", value)?),
            b"gid" => self.gid = Some(decimal("gid", value)?),
            b"size" => self.size = Some(decimal("size", value)?),
            b"mtime" => self.modified = Some(time(value)?),
            _ => {
                if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.take(key, value)?;
                }
            }
        }
        Ok(())
    }

    fn xattr(&mut self, name: &[u8], value: &[u8]) {
        self.xattrs.retain(|xattr| xattr.name != name);
        self.xattrs.push(Xattr {
            name: name.to_vec(),
            value: value.to_vec(),
        });
    }
}

impl SparseRecords {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        match key {
            b"major" => self.version.0 = Some(decimal("sparse version", value)?),
            b"minor" => self.version.1 = Some(decimal("sparse version", value)?),
            b"name" => self.name = Some(value.to_vec()),
            b"size" => self.size = Some(decimal("sparse size", value)?),
            b"realsize" => self.real_size = Some(decimal("sparse size", value)?),
            b"map" => {
                self.map = value
                    .split(|byte| *byte == b',')
                    .map(|number| decimal("sparse map", number))
                    .collect::<Result<_, _>>()?;
            }
            // Format 0.0: the same keys again and again, in turn.
            b"offset" if self.map.len().is_multiple_of(2) => {
                self.map.push(decimal("sparse map", value)?)
            }
            b"numbytes" if !self.map.len().is_multiple_of(2) => {
                self.map.push(decimal("sparse map", value)?)
            }
            b"offset" | b"numbytes" => return Err(TarError::Sparse("offsets and lengths differ")),
            _ => {}
        }
        Ok(())
    }
}

/// The first record without its length, and what follows it.
fn split(data: &[u8]) -> Result<(&[u8], &[u8]), TarError> {
    let Some(space) = data.iter().take(20).position(|byte| *byte == b' ') else {
        return Err(MALFORMED);
    };
    let Some(length) = digits(&data[..space]).and_then(|length| usize::try_from(length).ok())
    else {
        return Err(MALFORMED);
    };
    if length <= space + 2 || length > data.len() || data[length - 1] != b'\n' {
        return Err(MALFORMED);
    }
    Ok((&data[space + 1..length - 1], &data[length..]))
}

fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

pub(super) fn decimal(field: &'static str, text: &[u8]) -> Result<i64, TarError> {
    let (negative, number) = match text.strip_prefix(b"-") {
        Some(number) => (true, number),
        None => (false, text),
    };
    let value = digits(number).and_then(|value| i64::try_from(value).ok());
    match value {
        Some(value) if negative => Ok(-value),
        Some(value) => Ok(value),
        None => Err(super::block::invalid(field, text)),
    }
}

/// `-?seconds[.fraction]`; digits beyond nanoseconds are cut off.
fn time(text: &[u8]) -> Result<Time, TarError> {
    let bad = || super::block::invalid("mtime", text);
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let whole = parts.next().unwrap_or_default();
    let seconds = decimal("mtime", whole)?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(bad());
    }
    let nanos = fraction
        .iter()
        .chain(std::iter::repeat(&b'0'))
        .take(9)
        .fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    if nanos == 0 || !whole.starts_with(b"-") {
        return Ok(Time { seconds, nanos });
    }
    Ok(Time {
        seconds: seconds.checked_sub(1).ok_or_else(bad)?,
        nanos: 1_000_000_000 - nanos,
    })
}

/// Appends a record. Its length counts its own digits.
pub(super) fn put(data: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let bare = key.len() + value.len() + 3;
    let mut length = bare + count_digits(bare);
    if bare + count_digits(length) > length {
        length += 1;
    }
    data.extend_from_slice(format!("{length} ").as_bytes());
    data.extend_from_slice(key);
    data.push(b'=');
    data.extend_from_slice(value);
    data.push(b'\n');
}

fn count_digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}
