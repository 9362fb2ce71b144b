//! A directory that is exported to a client: the protocol of file sync with the daemon as the one
//! that has the files. It tells of them in order, and sends the content of those that are asked for.

use std::collections::VecDeque;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::packet::file_send_client::FileSendClient;
use futures_util::{Stream, TryFutureExt as _, TryStreamExt as _, stream};
use tokio::sync::mpsc;
use tonic::Status;

use super::Session;
use super::files::bits;
use super::send::{METHOD, to_exporter};
use crate::grpc::MAX_MESSAGE;

/// Bytes of a file in one packet, and packets that wait.
const PIECE: usize = 64 << 10;
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
    let transfer = Transfer {
        walk: Walk::new(root).map_err(unreadable)?,
        files: Vec::new(),
        told_all: false,
        asked: VecDeque::new(),
        open: None,
    };
    transfer.run(pin!(incoming), sender).await
}

/// A transfer under way.
struct Transfer {
    walk: Walk,
    /// What was told of, by its number; none of what has no content or was asked for.
    files: Vec<Option<PathBuf>>,
    told_all: bool,
    /// Files whose content is asked for.
    asked: VecDeque<u32>,
    open: Option<(u32, File)>,
}

impl Transfer {
    async fn run(
        mut self,
        mut incoming: Pin<&mut (impl Stream<Item = Result<Packet, Status>> + Send)>,
        outgoing: mpsc::Sender<Packet>,
    ) -> Result<(), Status> {
        let mut next = self.next().map_err(unreadable)?;
        loop {
            tokio::select! {
                packet = incoming.try_next() => {
                    let packet = packet?.ok_or_else(|| Status::aborted("the client stopped"))?;
                    match packet.r#type() {
                        PacketType::PacketReq => self.asked.push_back(packet.id),
                        PacketType::PacketFin => break,
                        PacketType::PacketErr => return Err(refused(&packet.data)),
                        PacketType::PacketStat | PacketType::PacketData => {
                            return Err(Status::invalid_argument("the client sends files"));
                        }
                    }
                    if next.is_none() {
                        next = self.next().map_err(unreadable)?;
                    }
                }
                permit = outgoing.reserve(), if next.is_some() => {
                    let permit = permit.map_err(|_| Status::aborted("the client stopped"))?;
                    if let Some(packet) = next.take() {
                        permit.send(packet);
                    }
                    next = self.next().map_err(unreadable)?;
                }
            }
        }
        // The client may be gone as soon as it has this.
        drop(outgoing.send(of(PacketType::PacketFin)).await);
        drop(outgoing);
        while incoming.try_next().await?.is_some() {}
        Ok(())
    }

    /// What is sent next, if anything can be by now.
    fn next(&mut self) -> io::Result<Option<Packet>> {
        if !self.told_all {
            return self.tell().map(Some);
        }
        let (id, mut file) = match self.open.take() {
            Some(open) => open,
            None => match self.asked.pop_front() {
                Some(id) => (id, self.take(id)?),
                None => return Ok(None),
            },
        };
        let mut data = vec![0; PIECE];
        let length = file.read(&mut data)?;
        data.truncate(length);
        if length > 0 {
            self.open = Some((id, file));
        }
        Ok(Some(Packet {
            id,
            data,
            ..of(PacketType::PacketData)
        }))
    }

    /// The next file, or that there are no more.
    fn tell(&mut self) -> io::Result<Packet> {
        let Some((path, metadata)) = self.walk.next()? else {
            self.told_all = true;
            return Ok(of(PacketType::PacketStat));
        };
        let whole = self.walk.root.join(&path);
        let stat = stat(&path, &whole, &metadata)?;
        self.files.push(metadata.is_file().then_some(whole));
        Ok(Packet {
            stat: Some(stat),
            ..of(PacketType::PacketStat)
        })
    }

    /// The file that is asked for, once.
    fn take(&mut self, id: u32) -> io::Result<File> {
        let place = usize::try_from(id).unwrap_or(usize::MAX);
        let path = self.files.get_mut(place).and_then(Option::take);
        let invalid = || io::Error::other(format!("the client asks for file {id}"));
        File::open(path.ok_or_else(invalid)?)
    }
}

/// Files in the order of the protocol: a directory, then what is in it, by name.
struct Walk {
    root: PathBuf,
    /// What is left in the directories that lead to what came last, last first.
    levels: Vec<Vec<PathBuf>>,
}

impl Walk {
    fn new(root: &Path) -> io::Result<Self> {
        let mut walk = Self {
            root: root.to_owned(),
            levels: Vec::new(),
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

    fn next(&mut self) -> io::Result<Option<(PathBuf, Metadata)>> {
        while let Some(level) = self.levels.last_mut() {
            let Some(path) = level.pop() else {
                self.levels.pop();
                continue;
            };
            let metadata = fs::symlink_metadata(self.root.join(&path))?;
            if metadata.is_dir() {
                self.enter(&path)?;
            }
            return Ok(Some((path, metadata)));
        }
        Ok(None)
    }
}

fn stat(path: &Path, whole: &Path, metadata: &Metadata) -> io::Result<Stat> {
    let kind = metadata.file_type();
    let linkname = match kind.is_symlink() {
        true => fs::read_link(whole)?.to_string_lossy().into_owned(),
        false => String::new(),
    };
    let mut mode = metadata.mode() & 0o777;
    for (is, bit) in [
        (kind.is_dir(), bits::DIRECTORY),
        (kind.is_symlink(), bits::SYMLINK),
        (kind.is_fifo(), bits::FIFO),
        (kind.is_socket(), bits::SOCKET),
        (kind.is_block_device(), bits::DEVICE),
        (kind.is_char_device(), bits::DEVICE | bits::CHAR_DEVICE),
        (metadata.mode() & 0o4000 != 0, bits::SET_USER),
        (metadata.mode() & 0o2000 != 0, bits::SET_GROUP),
        (metadata.mode() & 0o1000 != 0, bits::STICKY),
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
        xattrs: std::collections::HashMap::new(),
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

fn of(kind: PacketType) -> Packet {
    Packet {
        r#type: kind.into(),
        ..Packet::default()
    }
}

fn refused(message: &[u8]) -> Status {
    let message = String::from_utf8_lossy(message);
    Status::unknown(format!("error from receiver: {message}"))
}

fn unreadable(error: io::Error) -> Status {
    Status::internal(format!("cannot read what is exported: {error}"))
}
