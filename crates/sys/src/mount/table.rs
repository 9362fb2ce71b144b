//! What is mounted where, as the kernel's table of this process's mounts says.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

const TABLE: &str = "/proc/self/mountinfo";

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// The major and minor number of its file system, with a colon between them.
    pub device: String,
    /// Which directory of the file system is seen.
    pub part: PathBuf,
    /// Where it is seen.
    pub point: PathBuf,
    /// The type of the file system.
    pub kind: String,
}

/// All mounts that this process sees, those before others that lie upon them.
///
/// # Errors
/// `/proc` does not have the table.
pub fn mounted() -> io::Result<Vec<Mounted>> {
    Ok(read(&std::fs::read(TABLE)?))
}

/// The mounts of a table; what is no line of one is none of them.
fn read(table: &[u8]) -> Vec<Mounted> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<Mounted> {
    let mut fields = line.split(|byte| *byte == b' ').skip(2);
    let (device, part, point) = (fields.next()?, fields.next()?, fields.next()?);
    // Any number of optional fields ends with a dash.
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    let text = |field| String::from_utf8_lossy(field).into_owned();
    Some(Mounted {
        device: text(device),
        part: unescaped(part),
        point: unescaped(point),
        kind: text(kind),
    })
}

/// A path of the table, in which some bytes are octal numbers.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let number = after.get(..3).filter(|_| byte == b'\\');
        let number = number.and_then(|digits| std::str::from_utf8(digits).ok());
        match number.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(number) => {
                path.push(number);
                rest = &after[3..];
            }
            None => {
                path.push(byte);
                rest = after;
            }
        }
    }
    OsString::from_vec(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_table() {
        let table = b"22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                      30 22 0:25 /a /src\\040b rw shared:1 master:2 - tmpfs t rw\n\
                      31 22 0:26 / /c rw\n\
                      a line of something else\n";
        let mounted = |device: &str, part: &str, point: &str, kind: &str| Mounted {
            device: device.to_owned(),
            part: part.into(),
            point: point.into(),
            kind: kind.to_owned(),
        };
        let expected = [
            mounted("254:0", "/", "/", "ext4"),
            mounted("0:25", "/a", "/src b", "tmpfs"),
        ];
        assert_eq!(read(table), expected);
        assert_eq!(unescaped(b"a\\134b\\9"), std::path::Path::new("a\\b\\9"));
        assert!(
            super::mounted()
                .unwrap()
                .iter()
                .any(|one| one.point == std::path::Path::new("/"))
        );
    }
}
