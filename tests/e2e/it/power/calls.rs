//! What strace wrote, as calls: who, which, with what, and what came of it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// What strace is asked to write down: whatever changes a file, and what is waited for.
pub(super) const CALLS: &str = "open,openat,creat,mkdir,mkdirat,mknod,mknodat,symlink,symlinkat,\
    link,linkat,rename,renameat,renameat2,unlink,unlinkat,rmdir,write,writev,pwrite64,pwritev,\
    pwritev2,truncate,ftruncate,fallocate,copy_file_range,sendfile,splice,ioctl,fsync,fdatasync,\
    sync,syncfs,sync_file_range,msync,io_uring_setup";

/// One moment of a call.
#[derive(Debug)]
pub(super) enum Moment {
    /// Somebody begins to wait for what is on the disk.
    Begins { thread: u32, call: Call },
    /// A call came to its end.
    Ended {
        thread: u32,
        call: Call,
        result: i64,
    },
}

/// A call that was made.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) name: String,
    arguments: Vec<String>,
}

impl Call {
    /// `text` is `name(argument, argument`.
    fn parse(text: &str) -> Self {
        let (name, rest) = text.split_once('(').unwrap();
        let (mut arguments, mut depth) = (vec![String::new()], 0);
        for character in rest.chars() {
            depth += i32::from("[{".contains(character)) - i32::from("]}".contains(character));
            if character == ',' && depth == 0 {
                arguments.push(String::new());
            } else {
                arguments.last_mut().unwrap().push(character);
            }
        }
        let arguments = arguments.iter().map(|text| text.trim().to_owned());
        Self {
            name: name.to_owned(),
            arguments: arguments.collect(),
        }
    }

    pub(super) fn text(&self, place: usize) -> &str {
        &self.arguments[place]
    }

    pub(super) fn number(&self, place: usize) -> usize {
        self.text(place).parse().unwrap()
    }

    /// Whether an argument is a file beneath `root`, or its path.
    pub(super) fn touches(&self, root: &Path) -> bool {
        let places = 0..self.arguments.len();
        let mut paths = places.flat_map(|place| [self.file(place), self.path(place)]);
        paths.any(|path| path.starts_with(root))
    }

    /// The bytes of all texts of an argument.
    pub(super) fn bytes(&self, place: usize) -> Vec<u8> {
        let quoted = self.text(place).split('"').skip(1).step_by(2);
        quoted.flat_map(unescape).collect()
    }

    /// The file that a descriptor is of.
    pub(super) fn file(&self, place: usize) -> PathBuf {
        let text = self.text(place);
        let (_, path) = text.split_once('<').unwrap_or_default();
        path_of(&unescape(path.trim_end_matches('>')))
    }

    /// A path, beneath that of the descriptor before it if it is relative.
    pub(super) fn path_at(&self, place: usize) -> PathBuf {
        self.file(place).join(self.path(place + 1))
    }

    pub(super) fn path(&self, place: usize) -> PathBuf {
        path_of(&self.bytes(place))
    }
}

/// All moments of a recording, in order. Calls that failed changed nothing.
pub(super) fn moments(recording: &str) -> Vec<Moment> {
    let mut begun: HashMap<u32, String> = HashMap::new();
    let mut moments = Vec::new();
    for line in recording.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let (thread, rest) = (thread.parse().unwrap(), rest.trim_start());
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(text) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, text.to_owned());
            let call = Call::parse(text);
            moments.push(Moment::Begins { thread, call });
            continue;
        }
        let (whole, is_new) = match rest.strip_prefix("<... ") {
            Some(resumed) => {
                let (_, end) = resumed.split_once(" resumed>").unwrap();
                (begun.remove(&thread).unwrap() + end, false)
            }
            None => (rest.to_owned(), true),
        };
        // A process that ends never returns.
        let Some((text, result)) = whole.rsplit_once(" = ") else {
            continue;
        };
        let result = result.split([' ', '<']).next().unwrap();
        let Ok(result) = result.parse() else {
            continue;
        };
        let call = Call::parse(text.trim_end().strip_suffix(')').unwrap());
        if is_new {
            let call = call.clone();
            moments.push(Moment::Begins { thread, call });
        }
        if result >= 0 {
            moments.push(Moment::Ended {
                thread,
                call,
                result,
            });
        }
    }
    moments
}

fn path_of(bytes: &[u8]) -> PathBuf {
    Path::new(OsStr::from_bytes(bytes)).to_owned()
}

/// `\x41\x42`, as strace is told to write all texts.
fn unescape(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").skip(1);
    digits
        .map(|digits| u8::from_str_radix(digits.get(..2).unwrap(), 16).unwrap())
        .collect()
}
