//! A directory that is exported to a client: the protocol of file sync with the daemon as the one
//! that has the files. It tells of them in order, and sends the content of those that are asked for.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::packet::file_send_client::FileSendClient;
use filesync::{Content, Heard, Sender, mode, packet};
use futures_util::{Stream, TryFutureExt as _, TryStreamExt as _, stream};
use tokio::sync::mpsc;
use tonic::Status;
use wire::MAX_MESSAGE;

use super::Session;
use super::send::{METHOD, to_exporter};

/// Packets that wait.
const WAITING: usize = 16;

/// Sends the files in `root` to the client's exporter at `place`. Blocks while it reads.
///
/// # Errors
/// The client does not take them, or they cannot be read.
pub(in crate::buildkit) async fn send_files(
    session: &Session,
    root: &Path,
    place: usize,
) -> Result<(), Status> {
    if !session.has(METHOD) {
        let message = format!("method {METHOD} not supported by the client");
        return Err(Status::failed_precondition(message));
    }
    let (sender, receiver) = mpsc::channel(WAITING);
    let outgoing = stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    let (caller, origin) = session.caller();
    let mut client =
        FileSendClient::with_origin(caller, origin).max_decoding_message_size(MAX_MESSAGE);
    // The client answers only when it was told of files.
    let incoming = client
        .diff_copy(to_exporter(outgoing, place))
        .map_ok(tonic::Response::into_inner)
        .try_flatten_stream();
    let walk = Walk::new(root).map_err(unreadable)?;
    run(Sender::new(walk), pin!(incoming), sender).await
}

/// Sends what `files` have to say as the client takes it, and hears the client meanwhile.
async fn run(
    mut files: Sender<Walk, ToSend>,
    mut incoming: Pin<&mut (impl Stream<Item = Result<Packet, Status>> + Send)>,
    outgoing: mpsc::Sender<Packet>,
) -> Result<(), Status> {
    let mut next = files.next_packet().map_err(unreadable)?;
    loop {
        tokio::select! {
            packet = incoming.try_next() => {
                let packet = packet?.ok_or_else(|| Status::aborted("the client stopped"))?;
                if files.hear(&packet)? == Heard::Satisfied {
                    break;
                }
                if next.is_none() {
                    next = files.next_packet().map_err(unreadable)?;
                }
            }
            permit = outgoing.reserve(), if next.is_some() => {
                let permit = permit.map_err(|_| Status::aborted("the client stopped"))?;
                if let Some(packet) = next.take() {
                    permit.send(packet);
                }
                next = files.next_packet().map_err(unreadable)?;
            }
        }
    }
    // The client may be gone as soon as it has this.
    drop(outgoing.send(packet(PacketType::PacketFin)).await);
    drop(outgoing);
    while incoming.try_next().await?.is_some() {}
    Ok(())
}

/// A file that a client may ask for.
struct ToSend(PathBuf);

impl Content for ToSend {
    fn open(self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.0)?))
    }
}

/// Files in the order of the protocol: a directory, then what is in it, by name.
struct Walk {
    root: PathBuf,
    /// What is left in the directories that lead to what came last, last first.
    levels: Vec<Vec<PathBuf>>,
    /// Where files were that have further names, by their devices and numbers.
    names: HashMap<(u64, u64), PathBuf>,
}

impl Walk {
    fn new(root: &Path) -> io::Result<Self> {
        let mut walk = Self {
            root: root.to_owned(),
            levels: Vec::new(),
            names: HashMap::new(),
        };
        walk.enter(Path::new(""))?;
        Ok(walk)
    }

    fn enter(&mut self, path: &Path) -> io::Result<()> {
        let mut names: Vec<PathBuf> = fs::read_dir(self.root.join(path))?
            .map(|entry| entry.map(|entry| path.join(entry.file_name())))
            .collect::<io::Result<_>>()?;
        names.sort_by(|a, b| b.as_os_str().as_bytes().cmp(a.as_os_str().as_bytes()));
        self.levels.push(names);
        Ok(())
    }

    fn step(&mut self) -> io::Result<Option<(Stat, Option<ToSend>)>> {
        while let Some(level) = self.levels.last_mut() {
            let Some(path) = level.pop() else {
                self.levels.pop();
                continue;
            };
            let whole = self.root.join(&path);
            let metadata = fs::symlink_metadata(&whole)?;
            if metadata.is_dir() {
                self.enter(&path)?;
            }
            let mut stat = stat(&path, &whole, &metadata)?;
            if let Some(earlier) = self.earlier(&path, &metadata) {
                stat.linkname = earlier.to_string_lossy().into_owned();
                stat.size = 0;
                return Ok(Some((stat, None)));
            }
            return Ok(Some((stat, metadata.is_file().then_some(ToSend(whole)))));
        }
        Ok(None)
    }

    /// Where the same file was already.
    fn earlier(&mut self, path: &Path, metadata: &Metadata) -> Option<PathBuf> {
        if !metadata.is_file() || metadata.nlink() < 2 {
            return None;
        }
        let file = (metadata.dev(), metadata.ino());
        let known = self.names.get(&file).cloned();
        if known.is_none() {
            self.names.insert(file, path.to_owned());
        }
        known
    }
}

impl Iterator for Walk {
    type Item = io::Result<(Stat, Option<ToSend>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

fn stat(path: &Path, whole: &Path, metadata: &Metadata) -> io::Result<Stat> {
    let kind = metadata.file_type();
    let linkname = match kind.is_symlink() {
        true => fs::read_link(whole)?.to_string_lossy().into_owned(),
        false => String::new(),
    };
    let mut mode = mode::from_permissions(metadata.mode());
    for (is, bit) in [
        (kind.is_dir(), mode::DIRECTORY),
        (kind.is_symlink(), mode::SYMLINK),
        (kind.is_fifo(), mode::FIFO),
        (kind.is_socket(), mode::SOCKET),
        (kind.is_block_device(), mode::DEVICE),
        (kind.is_char_device(), mode::DEVICE | mode::CHAR_DEVICE),
    ] {
        mode |= if is { bit } else { 0 };
    }
    let size = if metadata.is_file() {
        metadata.size()
    } else {
        0
    };
    Ok(Stat {
        path: path.to_string_lossy().into_owned(),
        mode,
        uid: metadata.uid(),
        gid: metadata.gid(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        mod_time: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
        linkname,
        devmajor: number(device(metadata.rdev()).0),
        devminor: number(device(metadata.rdev()).1),
        xattrs: HashMap::new(),
    })
}

/// Major and minor numbers, as the kernel packs them.
const fn device(packed: u64) -> (u64, u64) {
    let major = (packed >> 32 & 0xffff_f000) | (packed >> 8 & 0xfff);
    let minor = (packed >> 12 & 0xffff_ff00) | (packed & 0xff);
    (major, minor)
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or_default()
}

fn unreadable(error: io::Error) -> Status {
    Status::internal(format!("cannot read what is exported: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_several_names_is_sent_once() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("d/a"), "A").unwrap();
        fs::hard_link(root.join("d/a"), root.join("d/b")).unwrap();
        fs::hard_link(root.join("d/a"), root.join("z")).unwrap();
        fs::write(root.join("other"), "A").unwrap();
        let walked = Walk::new(root).unwrap().map(Result::unwrap);
        let told: Vec<_> = walked
            .map(|(stat, content)| (stat.path, stat.linkname, stat.size, content.is_some()))
            .filter(|(path, ..)| path != "d")
            .collect();
        let expected = [
            ("d/a", "", 1, true),
            ("d/b", "d/a", 0, false),
            ("other", "", 1, true),
            ("z", "d/a", 0, false),
        ];
        let expected =
            expected.map(|(path, link, size, sent)| (path.to_owned(), link.to_owned(), size, sent));
        assert_eq!(told, expected);
    }
}
