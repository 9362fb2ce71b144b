//! Files from a client: the protocol of BuildKit's file sync, in which the client tells of all its
//! files in order, the daemon asks for the content of those that it wants, and says when it has all.

mod disk;
mod memory;
mod transfer;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::packet::file_sync_client::FileSyncClient;
use engine::{KeptCopy, Receiving};
use futures_util::stream;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prost::{DecodeError, Message as _};
use tokio::sync::mpsc;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::{Request, Status};
use wire::MAX_MESSAGE;

use super::Session;
use disk::Disk;
use memory::Memory;
use transfer::{MAX_OPEN, Transfer};

/// The method by which files come.
const METHOD: &str = "/moby.filesync.v1.FileSync/DiffCopy";

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

/// Small files of a client at the paths that are to be followed, through symbolic links too. Those
/// that it does not have are not there.
///
/// # Errors
/// The client does not offer the directory, or the files are too large.
pub(in crate::buildkit) async fn read(
    session: &Session,
    selection: &Selection,
) -> Result<BTreeMap<String, Vec<u8>>, Status> {
    let mut memory = Memory::default();
    receive(session, selection, &mut memory, &|_| {}).await?;
    Ok(memory.found(&selection.follow))
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
    let mut disk = Disk::new(copy.receive());
    receive(session, selection, &mut disk, told).await?;
    disk.end().map_err(unwritable)
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
    let mut disk = Disk::new(Receiving::begin(path));
    let (outgoing, mut nobody) = mpsc::channel(MAX_OPEN + 1);
    let transfer = Transfer::new(stream::iter(incoming), outgoing, &mut disk);
    let unheard = async { while nobody.recv().await.is_some() {} };
    tokio::join!(transfer.run(&|_| {}), unheard).0?;
    disk.end().map_err(unwritable)
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
    Transfer::new(incoming, sender, target).run(told).await
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
mod tests;
