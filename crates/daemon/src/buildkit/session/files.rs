//! Files from a client: the protocol of BuildKit's file sync, in which the client tells of all its
//! files in order, the daemon asks for the content of those that it wants, and says when it has all.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::path::Path;

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::packet::file_sync_client::FileSyncClient;
use engine::{ClientFile, ClientFileKind, Incoming, KeptCopy, Receiving};
use filesync::mode;
use futures_util::{Stream, StreamExt as _, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prost::{DecodeError, Message as _};
use tokio::sync::mpsc;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::{Request, Status};

use super::Session;
use crate::grpc::MAX_MESSAGE;

/// The method by which files come.
const METHOD: &str = "/moby.filesync.v1.FileSync/DiffCopy";
/// Files whose content is on its way at once.
const MAX_OPEN: usize = 64;
/// Files of one directory.
const MAX_FILES: u32 = 4 << 20;
/// Bytes of all files that are read into memory.
const MAX_MEMORY: usize = 16 << 20;

/// Which files of a client are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::buildkit) struct Selection {
    /// The client's name for the directory.
    pub(in crate::buildkit) directory: String,
    /// Patterns of what alone is wanted; all when there are none.
    pub(in crate::buildkit) include: Vec<String>,
    /// Only these, and what they lead to when they are symlinks; all when there are none.
    pub(in crate::buildkit) follow: Vec<String>,
    /// Patterns of what is left out.
    pub(in crate::buildkit) exclude: Vec<String>,
}

impl Selection {
    /// There may be files that are neither wanted nor excluded.
    pub(in crate::buildkit) const fn is_part(&self) -> bool {
        !self.include.is_empty() || !self.follow.is_empty()
    }
}

/// Where files go. May block.
trait Target {
    /// When the directory itself was last changed, which only kiln's own client says.
    fn modified(&mut self, _: i64) {}
    /// The client has this file; whether its content is wanted.
    fn entry(&mut self, id: u32, stat: Stat) -> io::Result<bool>;
    /// The content of a file will come.
    fn open(&mut self, id: u32) -> io::Result<()>;
    /// The next bytes of a file.
    fn write(&mut self, id: u32, bytes: &[u8]) -> io::Result<()>;
    /// All bytes of a file came.
    fn close(&mut self, id: u32) -> io::Result<()>;
}

/// Small files of a client, by their paths. Those that it does not have are not there.
///
/// # Errors
/// The client does not offer the directory, or the files are too large.
pub(in crate::buildkit) async fn read(
    session: &Session,
    selection: &Selection,
) -> Result<BTreeMap<String, Vec<u8>>, Status> {
    let mut memory = Memory::default();
    receive(session, selection, &mut memory, &|_| {}).await?;
    Ok(memory.files)
}

/// Makes `copy` what the client has, telling how many bytes came by now. Blocks while it writes.
///
/// # Errors
/// The client does not offer the directory, or what it sends makes no sense or cannot be written.
pub(in crate::buildkit) async fn copy(
    session: &Session,
    selection: &Selection,
    copy: &KeptCopy,
    told: &(dyn Fn(u64) + Sync),
) -> Result<(), Status> {
    let mut disk = Disk {
        receiving: copy.receive(),
        known: HashMap::new(),
        open: HashMap::new(),
    };
    receive(session, selection, &mut disk, told).await?;
    disk.receiving.end().map_err(unwritable)
}

/// Makes the directory at `path` what packets say that a client sends, each with its length before
/// it. Nobody hears what is asked for. Blocks while it writes.
///
/// # Errors
/// They make no sense, or what they say cannot be written.
pub async fn keep_packets(path: &Path, mut packets: &[u8]) -> Result<(), Status> {
    let incoming = std::iter::from_fn(|| {
        let is_more = !packets.is_empty();
        is_more.then(|| Packet::decode_length_delimited(&mut packets))
    });
    let malformed = |error: DecodeError| Status::invalid_argument(error.to_string());
    let incoming = incoming.map(|packet| packet.map_err(malformed));
    let mut disk = Disk {
        receiving: Receiving::begin(path),
        known: HashMap::new(),
        open: HashMap::new(),
    };
    let (outgoing, mut nobody) = mpsc::channel(MAX_OPEN + 1);
    let transfer = Transfer {
        incoming: stream::iter(incoming),
        outgoing,
        target: &mut disk,
        waiting: VecDeque::new(),
        open: 0,
        bytes: 0,
    };
    let unheard = async { while nobody.recv().await.is_some() {} };
    tokio::join!(transfer.run(&|_| {}), unheard).0?;
    disk.receiving.end().map_err(unwritable)
}

async fn receive(
    session: &Session,
    selection: &Selection,
    target: &mut dyn Target,
    told: &(dyn Fn(u64) + Sync),
) -> Result<(), Status> {
    if !session.has(METHOD) {
        return Err(Status::failed_precondition("no local sources enabled"));
    }
    // There are no more packets than files that are open, and one at the end.
    let (sender, receiver) = mpsc::channel(MAX_OPEN + 1);
    let outgoing = stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    let mut request = Request::new(outgoing);
    *request.metadata_mut() = metadata(selection)?;
    let (caller, origin) = session.caller();
    let mut client =
        FileSyncClient::with_origin(caller, origin).max_decoding_message_size(MAX_MESSAGE);
    let (metadata, incoming, _) = client.diff_copy(request).await?.into_parts();
    let modified = metadata.get(filesync::MODIFIED);
    if let Some(modified) = modified.and_then(|value| value.to_str().ok()?.parse().ok()) {
        target.modified(modified);
    }
    let transfer = Transfer {
        incoming,
        outgoing: sender,
        target,
        waiting: VecDeque::new(),
        open: 0,
        bytes: 0,
    };
    transfer.run(told).await
}

/// A transfer under way.
struct Transfer<'a, S> {
    incoming: S,
    outgoing: mpsc::Sender<Packet>,
    target: &'a mut dyn Target,
    /// Files whose content is wanted and not asked for yet.
    waiting: VecDeque<u32>,
    /// How many files' content is on its way.
    open: usize,
    bytes: u64,
}

impl<S> Transfer<'_, S>
where
    S: Stream<Item = Result<Packet, Status>> + Unpin,
{
    async fn run(mut self, told: &(dyn Fn(u64) + Sync)) -> Result<(), Status> {
        let mut next = 0;
        let mut all_told = false;
        loop {
            if all_told && self.open == 0 && self.waiting.is_empty() {
                return self.end().await;
            }
            let packet = self.incoming.next().await.transpose()?;
            let packet = packet.ok_or_else(|| Status::aborted("the client stopped sending"))?;
            match (packet.r#type(), packet.stat) {
                (PacketType::PacketStat, Some(stat)) => {
                    if self.target.entry(next, stat).map_err(unwritable)? {
                        self.waiting.push_back(next);
                    }
                    next += 1;
                    if next > MAX_FILES {
                        return Err(Status::resource_exhausted("the client has too many files"));
                    }
                }
                (PacketType::PacketStat, None) => all_told = true,
                (PacketType::PacketData, _) => {
                    self.data(packet.id, &packet.data).map_err(unwritable)?;
                    told(self.bytes);
                }
                (PacketType::PacketErr, _) => return Err(error(&packet.data)),
                (PacketType::PacketFin | PacketType::PacketReq, _) => {
                    return Err(Status::invalid_argument(
                        "the client ended the transfer early",
                    ));
                }
            }
            self.ask().await?;
        }
    }

    fn data(&mut self, id: u32, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            self.target.close(id)?;
            self.open -= 1;
            return Ok(());
        }
        self.bytes += bytes.len() as u64;
        self.target.write(id, bytes)
    }

    /// Asks for as many files as may be on their way.
    async fn ask(&mut self) -> Result<(), Status> {
        while self.open < MAX_OPEN
            && let Some(id) = self.waiting.pop_front()
        {
            self.target.open(id).map_err(unwritable)?;
            self.open += 1;
            self.send(PacketType::PacketReq, id).await?;
        }
        Ok(())
    }

    async fn end(mut self) -> Result<(), Status> {
        self.send(PacketType::PacketFin, 0).await?;
        // The client says the same and ends.
        while self.incoming.next().await.transpose()?.is_some() {}
        Ok(())
    }

    async fn send(&self, kind: PacketType, id: u32) -> Result<(), Status> {
        let packet = Packet {
            r#type: kind.into(),
            id,
            ..Packet::default()
        };
        let sent = self.outgoing.send(packet).await;
        sent.map_err(|_| Status::aborted("the client stopped listening"))
    }
}

/// Keeps files in memory.
#[derive(Default)]
struct Memory {
    names: HashMap<u32, String>,
    files: BTreeMap<String, Vec<u8>>,
    bytes: usize,
}

impl Target for Memory {
    fn entry(&mut self, id: u32, stat: Stat) -> io::Result<bool> {
        if stat.mode & mode::TYPE != 0 {
            return Ok(false);
        }
        self.names.insert(id, stat.path);
        Ok(true)
    }

    fn open(&mut self, id: u32) -> io::Result<()> {
        self.write(id, &[])
    }

    fn write(&mut self, id: u32, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len();
        if self.bytes > MAX_MEMORY {
            return Err(io::Error::other("more than 16 MiB"));
        }
        let name = self.names.get(&id).ok_or_else(not_asked)?;
        let content = self.files.entry(name.clone()).or_default();
        content.extend_from_slice(bytes);
        Ok(())
    }

    fn close(&mut self, id: u32) -> io::Result<()> {
        self.names.remove(&id).map(drop).ok_or_else(not_asked)
    }
}

/// Keeps files in a copy.
struct Disk {
    receiving: Receiving,
    /// Files whose content is wanted.
    known: HashMap<u32, ClientFile>,
    open: HashMap<u32, Incoming>,
}

impl Target for Disk {
    fn modified(&mut self, modified: i64) {
        self.receiving.modified(modified);
    }

    fn entry(&mut self, id: u32, stat: Stat) -> io::Result<bool> {
        let Some(file) = file(stat) else {
            return Ok(false);
        };
        let wanted = self.receiving.entry(&file)?;
        if wanted {
            self.known.insert(id, file);
        }
        Ok(wanted)
    }

    fn open(&mut self, id: u32) -> io::Result<()> {
        let file = self.known.remove(&id).ok_or_else(not_asked)?;
        self.open.insert(id, self.receiving.open(&file)?);
        Ok(())
    }

    fn write(&mut self, id: u32, bytes: &[u8]) -> io::Result<()> {
        self.open.get_mut(&id).ok_or_else(not_asked)?.write(bytes)
    }

    fn close(&mut self, id: u32) -> io::Result<()> {
        self.open.remove(&id).ok_or_else(not_asked)?.end()
    }
}

/// What a client tells of a file; none of a socket, which is no part of a context.
fn file(stat: Stat) -> Option<ClientFile> {
    let is = |bit| stat.mode & bit != 0;
    let number = |number: i64| u32::try_from(number).unwrap_or_default();
    let numbers = (number(stat.devmajor), number(stat.devminor));
    let kind = if is(mode::SOCKET) || is(mode::IRREGULAR) {
        return None;
    } else if is(mode::DIRECTORY) {
        ClientFileKind::Directory
    } else if is(mode::SYMLINK) {
        ClientFileKind::Symlink(stat.linkname.into())
    } else if is(mode::FIFO) {
        ClientFileKind::Fifo
    } else if is(mode::CHAR_DEVICE) {
        ClientFileKind::CharDevice(numbers.0, numbers.1)
    } else if is(mode::DEVICE) {
        ClientFileKind::BlockDevice(numbers.0, numbers.1)
    } else if stat.linkname.is_empty() {
        ClientFileKind::File(u64::try_from(stat.size).unwrap_or_default())
    } else {
        ClientFileKind::Link(stat.linkname.into())
    };
    let attributes = stat.xattrs.into_iter();
    let attributes = attributes.map(|(name, value)| (name.into_bytes(), value));
    Some(ClientFile {
        path: stat.path.into(),
        kind,
        mode: mode::to_permissions(stat.mode),
        modified: stat.mod_time,
        attributes: attributes.collect(),
    })
}

fn metadata(selection: &Selection) -> Result<MetadataMap, Status> {
    let mut metadata = MetadataMap::new();
    let directory = std::slice::from_ref(&selection.directory);
    append(&mut metadata, "dir-name", directory)?;
    append(&mut metadata, "followpaths", &selection.follow)?;
    append(&mut metadata, "include-patterns", &selection.include)?;
    append(&mut metadata, "exclude-patterns", &selection.exclude)?;
    Ok(metadata)
}

/// Appends values, encoded when one has what a header cannot carry.
fn append(metadata: &mut MetadataMap, name: &str, values: &[String]) -> Result<(), Status> {
    let is_plain = |value: &String| value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let is_encoded = !values.iter().all(is_plain);
    let mut add = |name: &str, value: &str| {
        let invalid = || Status::invalid_argument(format!("invalid {name}"));
        let key = AsciiMetadataKey::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let value = AsciiMetadataValue::try_from(value).map_err(|_| invalid())?;
        metadata.append(key, value);
        Ok(())
    };
    if is_encoded {
        add(&format!("{name}-encoded"), "1")?;
    }
    values.iter().try_for_each(|value| match is_encoded {
        true => add(
            name,
            &utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
        ),
        false => add(name, value),
    })
}

fn error(message: &[u8]) -> Status {
    let message = String::from_utf8_lossy(message);
    Status::unknown(format!("error from sender: {message}"))
}

fn unwritable(error: io::Error) -> Status {
    Status::internal(format!("cannot keep the client's files: {error}"))
}

fn not_asked() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the client sends what was not asked for",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, mode: u32, link: &str) -> Packet {
        Packet {
            r#type: PacketType::PacketStat.into(),
            stat: Some(Stat {
                path: path.to_owned(),
                mode,
                linkname: link.to_owned(),
                ..Stat::default()
            }),
            ..Packet::default()
        }
    }

    fn packet(kind: PacketType, id: u32, data: &[u8]) -> Packet {
        Packet {
            r#type: kind.into(),
            id,
            data: data.to_vec(),
            ..Packet::default()
        }
    }

    /// Keeps what the client sends after its files, and says whether it could be kept.
    async fn keep(into: &Path, files: Vec<Packet>, then: Vec<Packet>) -> Result<(), Status> {
        let end = packet(PacketType::PacketStat, 0, b"");
        let all = files.into_iter().chain([end]).chain(then);
        let bytes = all.flat_map(|packet| packet.encode_length_delimited_to_vec());
        keep_packets(into, &bytes.collect::<Vec<_>>()).await
    }

    #[tokio::test]
    async fn packets_stay_in_their_directory() {
        let place = tempfile::tempdir().unwrap();
        let inside = place.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        let content = |id| {
            let data = |bytes| packet(PacketType::PacketData, id, bytes);
            vec![data(b"x"), data(b"")]
        };
        keep(&inside, vec![file("a", 0o644, "")], content(0))
            .await
            .unwrap();
        assert_eq!(std::fs::read(inside.join("a")).unwrap(), b"x");
        let link = file("d", mode::SYMLINK | 0o777, "..");
        for files in [
            vec![file("../outside", 0o644, "")],
            vec![file("/outside", 0o644, "")],
            vec![link, file("d/outside", 0o644, "")],
            vec![file("b", 0o644, ""), file("a", 0o644, "")],
        ] {
            let last = u32::try_from(files.len() - 1).unwrap();
            assert!(keep(&inside, files, content(last)).await.is_err());
        }
        // What was not asked for.
        let refused = keep(&inside, vec![file("c", 0o644, "")], content(7)).await;
        assert_eq!(refused.unwrap_err().code(), tonic::Code::Internal);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
