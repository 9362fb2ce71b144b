//! How a client says where a directory is that it offers, for a daemon that sees the same one: as a
//! header of the request by which its session begins. It is kiln's own; other daemons pass it over.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// The header, once for each directory.
pub const HEADER: &str = "x-kiln-directory";

/// A directory, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What it is offered as.
    pub name: String,
    /// The client's process, as it sees itself.
    pub process: u32,
    /// Where the client has it.
    pub path: PathBuf,
    /// What it is told apart by from others that are there for others.
    pub mark: String,
}

impl Place {
    /// The value of the header.
    #[must_use]
    pub fn to_text(&self) -> String {
        let encoded = |bytes: &[u8]| percent_encode(bytes, NON_ALPHANUMERIC).to_string();
        let fields = [
            encoded(self.name.as_bytes()),
            self.process.to_string(),
            encoded(self.path.as_os_str().as_bytes()),
            encoded(self.mark.as_bytes()),
        ];
        fields.join(" ")
    }

    /// From the value of the header; nothing if it makes no sense.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(' ').collect();
        let [name, process, path, mark] = fields[..] else {
            return None;
        };
        let plain = |field| percent_decode_str(field).decode_utf8().ok();
        let path = percent_decode_str(path).collect();
        Some(Self {
            name: plain(name)?.into_owned(),
            process: process.parse().ok()?,
            path: OsString::from_vec(path).into(),
            mark: plain(mark)?.into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn there_and_back() {
        let place = Place {
            name: "context".to_owned(),
            process: 7,
            path: OsStr::from_bytes(b"/a b/\xff;%20\n").into(),
            mark: "boot 0:1 2".to_owned(),
        };
        let text = place.to_text();
        assert!(text.is_ascii() && !text.contains('\n'), "{text}");
        assert_eq!(Place::read(&text), Some(place));
        for wrong in ["", "a", "a b c d", "a 1 /c", "a 1 /c d e", "%FF 1 /c d"] {
            assert_eq!(Place::read(wrong), None, "{wrong}");
        }
    }
}
