//! Escaping: any bytes as one line, or one word.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

/// Bytes as text; spaces as `\s` when it has to be one word.
pub(super) fn escape(bytes: &[u8], is_word: bool) -> String {
    bytes
        .iter()
        .map(|&byte| match byte {
            b'\\' => "\\\\".to_owned(),
            b'\n' => "\\n".to_owned(),
            b' ' if is_word => "\\s".to_owned(),
            b' '..=b'~' => char::from(byte).to_string(),
            other => format!("\\x{other:02x}"),
        })
        .collect()
}

/// The bytes of an escaped text. Text that is not ASCII stands for itself.
pub(super) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b's') => b' ',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits: Vec<_> = rest.by_ref().take(2).collect();
                let digits = String::from_utf8_lossy(&digits).into_owned();
                u8::from_str_radix(&digits, 16)
                    .unwrap_or_else(|_| panic!("\\x{digits} in {text:?} is no byte"))
            }
            other => panic!("unknown escape {:?} in {text:?}", other.map(char::from)),
        });
    }
    bytes
}

pub(super) fn unescape_os(text: &str) -> OsString {
    OsString::from_vec(unescape(text))
}
