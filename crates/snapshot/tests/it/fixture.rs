//! Trees and archives as text, both ways.
//!
//! One line a file: kind, path, then what differs from the usual (mode 0755 for directories, 0777
//! for links and 0644 for the rest; owner 0:0; time 0):
//!
//! ```text
//! dir etc 0700 5:6
//! file etc/passwd @1000 user.a=1 "root:x"
//! symlink a -> etc
//! hard b = etc/passwd
//! char null 0666 1,3
//! fifo pipe
//! whiteout gone
//! opaque etc
//! ```

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, utimensat};
use snapshot::tar::TarError;

/// A directory that goes with the test.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The `tree` in a new directory `name` of `dir`.
pub(crate) fn tree(dir: &Path, name: &str, text: &str) -> PathBuf {
    let root = dir.join(name);
    std::fs::create_dir(&root).unwrap();
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    for line in lines(text) {
        make(&root, line);
    }
    // Later, since making a file changes the time of its directory.
    for line in lines(text).collect::<Vec<_>>().into_iter().rev() {
        let spec = Spec::parse(line);
        if !matches!(spec.kind, "hard" | "whiteout" | "opaque") {
            set_time(&root.join(spec.path), spec.time);
        }
    }
    set_time(&root, (0, 0));
    root
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

struct Spec<'a> {
    kind: &'a str,
    path: &'a str,
    target: &'a str,
    mode: Option<u32>,
    owner: (u32, u32),
    time: (i64, i64),
    device: (u32, u32),
    xattrs: Vec<(&'a str, &'a str)>,
    content: &'a str,
}

impl<'a> Spec<'a> {
    fn parse(line: &'a str) -> Self {
        let (head, content) = line.split_once(" \"").unwrap_or((line, ""));
        let mut words = head.split(' ');
        let mut spec = Spec {
            kind: words.next().unwrap(),
            path: words.next().unwrap(),
            target: "",
            mode: None,
            owner: (0, 0),
            time: (0, 0),
            device: (0, 0),
            xattrs: Vec::new(),
            content: content.strip_suffix('"').unwrap_or(content),
        };
        while let Some(word) = words.next() {
            let pair = |at: char| word.split_once(at).unwrap();
            if word == "->" || word == "=" {
                spec.target = words.next().unwrap();
            } else if let Some(time) = word.strip_prefix('@') {
                let (seconds, nanos) = time.split_once('.').unwrap_or((time, "0"));
                spec.time = (seconds.parse().unwrap(), nanos.parse().unwrap());
            } else if word.contains('=') {
                spec.xattrs.push(pair('='));
            } else if word.contains(':') {
                spec.owner = (pair(':').0.parse().unwrap(), pair(':').1.parse().unwrap());
            } else if word.contains(',') {
                spec.device = (pair(',').0.parse().unwrap(), pair(',').1.parse().unwrap());
            } else {
                spec.mode = Some(u32::from_str_radix(word, 8).unwrap());
            }
        }
        spec
    }
}

fn make(root: &Path, line: &str) {
    let spec = Spec::parse(line);
    let path = root.join(spec.path);
    let node = |kind, mode: u32| {
        let device = rustix::fs::makedev(spec.device.0, spec.device.1);
        rustix::fs::mknodat(CWD, &path, kind, Mode::from_raw_mode(mode), device).unwrap();
    };
    match spec.kind {
        "dir" => std::fs::create_dir(&path).unwrap(),
        "file" => std::fs::write(&path, spec.content).unwrap(),
        "symlink" => std::os::unix::fs::symlink(spec.target, &path).unwrap(),
        "hard" => return std::fs::hard_link(root.join(spec.target), &path).unwrap(),
        "char" => node(FileType::CharacterDevice, 0o644),
        "block" => node(FileType::BlockDevice, 0o644),
        "fifo" => node(FileType::Fifo, 0o644),
        "socket" => node(FileType::Socket, 0o644),
        "whiteout" => return node(FileType::CharacterDevice, 0),
        "opaque" => {
            return sys::xattr::set(&*path, OsStr::new("trusted.overlay.opaque"), b"y").unwrap();
        }
        kind => panic!("unknown kind {kind}"),
    }
    std::os::unix::fs::lchown(&path, Some(spec.owner.0), Some(spec.owner.1)).unwrap();
    if spec.kind != "symlink" {
        let mode = spec.mode.unwrap_or(usual_mode(spec.kind));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    for (name, value) in spec.xattrs {
        sys::xattr::set(&*path, OsStr::new(name), value.as_bytes()).unwrap();
    }
}

fn set_time(path: &Path, (seconds, nanos): (i64, i64)) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanos,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn usual_mode(kind: &str) -> u32 {
    match kind {
        "dir" => 0o755,
        "symlink" => 0o777,
        _ => 0o644,
    }
}

/// What is in a directory, in the language of [`tree`], overlay's marks included.
pub(crate) fn list(root: &Path) -> String {
    let mut text = String::new();
    let mut names = HashMap::new();
    list_dir(root, Path::new(""), &mut names, &mut text);
    text
}

fn list_dir(root: &Path, dir: &Path, names: &mut HashMap<(u64, u64), PathBuf>, text: &mut String) {
    let mut entries: Vec<_> = std::fs::read_dir(root.join(dir))
        .unwrap()
        .map(|entry| entry.unwrap())
        .inspect(|entry| assert_ne!(entry.ino(), 0))
        .map(|entry| dir.join(entry.file_name()))
        .collect();
    entries.sort();
    for path in entries {
        list_file(root, &path, names, text);
        if root.join(&path).symlink_metadata().unwrap().is_dir() {
            list_dir(root, &path, names, text);
        }
    }
}

fn list_file(
    root: &Path,
    path: &Path,
    names: &mut HashMap<(u64, u64), PathBuf>,
    text: &mut String,
) {
    let full = root.join(path);
    let stat = full.symlink_metadata().unwrap();
    let shown = path.display();
    let file_type = FileType::from_raw_mode(stat.mode());
    if file_type == FileType::CharacterDevice && stat.rdev() == 0 {
        return writeln!(text, "whiteout {shown}").unwrap();
    }
    if !stat.is_dir() && stat.nlink() > 1 {
        let file = (stat.dev(), stat.ino());
        if let Some(first) = names.get(&file) {
            return writeln!(text, "hard {shown} = {}", first.display()).unwrap();
        }
        names.insert(file, path.to_owned());
    }
    let kind = match file_type {
        FileType::Directory => "dir",
        FileType::Symlink => "symlink",
        FileType::CharacterDevice => "char",
        FileType::BlockDevice => "block",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        _ => "file",
    };
    write!(text, "{kind} {shown}").unwrap();
    if stat.is_symlink() {
        write!(text, " -> {}", full.read_link().unwrap().display()).unwrap();
    }
    if matches!(kind, "char" | "block") {
        let (major, minor) = (
            rustix::fs::major(stat.rdev()),
            rustix::fs::minor(stat.rdev()),
        );
        write!(text, " {major},{minor}").unwrap();
    }
    if stat.mode() & 0o7777 != usual_mode(kind) {
        write!(text, " {:04o}", stat.mode() & 0o7777).unwrap();
    }
    if (stat.uid(), stat.gid()) != (0, 0) {
        write!(text, " {}:{}", stat.uid(), stat.gid()).unwrap();
    }
    write!(text, "{}", time(stat.mtime(), stat.mtime_nsec())).unwrap();
    let mut opaque = false;
    for name in sys::xattr::list(&*full).unwrap() {
        // Where overlay keeps what it knows of a file's origin: random bytes.
        if ["origin", "uuid", "impure"]
            .iter()
            .any(|note| name == *format!("trusted.overlay.{note}"))
        {
            continue;
        }
        let value = sys::xattr::get(&*full, &name).unwrap().unwrap();
        if name == "trusted.overlay.opaque" {
            opaque = true;
            continue;
        }
        let value = String::from_utf8_lossy(&value).replace('\0', "\\0");
        write!(text, " {}={value}", name.display()).unwrap();
    }
    if kind == "file" {
        text.push_str(&content(&std::fs::read(&full).unwrap()));
    }
    text.push('\n');
    if opaque {
        writeln!(text, "opaque {shown}").unwrap();
    }
}

fn time(seconds: i64, nanos: i64) -> String {
    match (seconds, nanos) {
        (0, 0) => String::new(),
        (_, 0) => format!(" @{seconds}"),
        _ => format!(" @{seconds}.{nanos}"),
    }
}

fn content(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    if bytes.len() > 40 {
        return format!(" \"{} bytes\"", bytes.len());
    }
    let text = String::from_utf8_lossy(bytes);
    format!(" \"{}\"", text.replace('\0', "\\0").replace('\n', "\\n"))
}

/// The members of an archive, in the language of [`tree`], in their order.
pub(crate) fn list_tar(archive: &[u8]) -> String {
    match try_list_tar(archive) {
        Ok(text) => text,
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn try_list_tar(archive: &[u8]) -> Result<String, TarError> {
    use snapshot::tar::{EntryKind, Reader};
    let mut text = String::new();
    let mut reader = Reader::new(archive);
    while let Some(header) = reader.next_entry()? {
        let (kind, extra) = match &header.kind {
            EntryKind::File => ("file", String::new()),
            EntryKind::Directory => ("dir", String::new()),
            EntryKind::Symlink(target) => ("symlink", format!(" -> {}", target.display())),
            EntryKind::Link(target) => ("hard", format!(" = {}", target.display())),
            EntryKind::Character(device) => ("char", format!(" {},{}", device.major, device.minor)),
            EntryKind::Block(device) => ("block", format!(" {},{}", device.major, device.minor)),
            EntryKind::Fifo => ("fifo", String::new()),
        };
        write!(text, "{kind} {}{extra}", header.path.display()).unwrap();
        if kind != "hard" {
            if header.mode != usual_mode(kind) {
                write!(text, " {:04o}", header.mode).unwrap();
            }
            if (header.uid, header.gid) != (0, 0) {
                write!(text, " {}:{}", header.uid, header.gid).unwrap();
            }
            let modified = header.modified;
            text.push_str(&time(modified.seconds, i64::from(modified.nanos)));
        }
        for xattr in &header.xattrs {
            let value = String::from_utf8_lossy(&xattr.value).replace('\0', "\\0");
            write!(
                text,
                " {}={value}",
                OsStr::from_bytes(&xattr.name).display()
            )
            .unwrap();
        }
        if header.kind == EntryKind::File && header.size < 1 << 20 {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut reader, &mut bytes)
                .map_err(|error| error.downcast::<TarError>().unwrap_or_else(TarError::Io))?;
            assert_eq!(bytes.len() as u64, header.size);
            text.push_str(&content(&bytes));
        } else if header.size > 0 {
            write!(text, " {} bytes", header.size).unwrap();
        }
        text.push('\n');
    }
    Ok(text)
}

/// The text of a raw string without its indentation.
pub(crate) fn text(indented: &str) -> String {
    lines(indented).fold(String::new(), |text, line| text + line + "\n")
}

/// The output of a program that is fed `input`.
#[expect(
    clippy::disallowed_methods,
    reason = "foreign tools check what we write"
)]
pub(crate) fn run(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that stops reading says so by its status.
            let _ = std::io::Write::write_all(&mut stdin, input);
        });
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{program} {arguments:?}");
    output.stdout
}
