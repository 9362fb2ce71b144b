//! The protocol of file sync with the client as the one that has the files: it tells of them in
//! order, and sends the content of those that the daemon asks for.

use std::io;
use std::path::Path;

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use filesync::{Heard, Sender, mode, packet};
use futures_util::{FutureExt as _, Stream, stream};
use tonic::{Status, Streaming};

use crate::offers::{Content, Kind, Offered};

/// Files, in order.
type Files = Box<dyn Iterator<Item = io::Result<Offered>> + Send>;

/// What is sent of `files` to a daemon whose wishes are `incoming`.
pub(super) fn send(
    files: Files,
    incoming: Streaming<Packet>,
) -> impl Stream<Item = Result<Packet, Status>> + Send {
    let transfer = Transfer {
        sender: Sender::new(files.map(told as fn(_) -> _)),
        incoming,
        state: State::Sending,
    };
    stream::try_unfold(transfer, |mut transfer| async move {
        let next = transfer.next().await?;
        Ok(next.map(|packet| (packet, transfer)))
    })
}

/// A transfer under way.
struct Transfer<F> {
    sender: Sender<F, Content>,
    incoming: Streaming<Packet>,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Sending,
    /// The daemon has all that it wants.
    Satisfied,
    Ended,
}

impl<F: Iterator<Item = io::Result<(Stat, Option<Content>)>>> Transfer<F> {
    async fn next(&mut self) -> Result<Option<Packet>, Status> {
        loop {
            // The daemon is heard before anything is sent, lest both wait for each other.
            while let Some(packet) = self.incoming.message().now_or_never() {
                self.hear(packet?)?;
                if self.state != State::Sending {
                    break;
                }
            }
            match self.state {
                State::Sending => {}
                State::Satisfied => {
                    self.state = State::Ended;
                    return Ok(Some(packet(PacketType::PacketFin)));
                }
                State::Ended => return Ok(None),
            }
            if let Some(packet) = self.sender.next_packet().map_err(unreadable)? {
                return Ok(Some(packet));
            }
            let packet = self.incoming.message().await?;
            self.hear(packet)?;
        }
    }

    fn hear(&mut self, packet: Option<Packet>) -> Result<(), Status> {
        let Some(packet) = packet else {
            self.state = State::Ended;
            return Ok(());
        };
        if self.sender.hear(&packet)? == Heard::Satisfied {
            self.state = State::Satisfied;
        }
        Ok(())
    }
}

/// What the daemon is told of a file, and what it may ask for.
fn told(file: io::Result<Offered>) -> io::Result<(Stat, Option<Content>)> {
    let file = file?;
    let stat = stat(&file)?;
    let content = match file.kind {
        Kind::File(_, content) => Some(content),
        _ => None,
    };
    Ok((stat, content))
}

/// What the daemon is told of a file. Whoever has it here, it is nobody's there.
fn stat(file: &Offered) -> io::Result<Stat> {
    let text = |path: &Path| {
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| io::Error::other(format!("the name of {} is not UTF-8", path.display())))
    };
    let (mut kind, mut size, mut linkname, mut device) = (0, 0, String::new(), (0, 0));
    match &file.kind {
        Kind::File(bytes, _) => size = i64::try_from(*bytes).unwrap_or(i64::MAX),
        Kind::Link(target) => linkname = text(target)?,
        Kind::Directory => kind = mode::DIRECTORY,
        Kind::Symlink(target) => (kind, linkname) = (mode::SYMLINK, text(target)?),
        Kind::Fifo => kind = mode::FIFO,
        Kind::CharDevice(major, minor) => {
            (kind, device) = (mode::DEVICE | mode::CHAR_DEVICE, (*major, *minor));
        }
        Kind::BlockDevice(major, minor) => (kind, device) = (mode::DEVICE, (*major, *minor)),
    }
    let attributes = file.attributes.iter().map(|(name, value)| {
        let name = String::from_utf8(name.clone()).map_err(io::Error::other)?;
        Ok((name, value.clone()))
    });
    Ok(Stat {
        path: text(&file.path)?,
        mode: kind | mode::from_permissions(file.mode),
        size,
        mod_time: file.modified,
        linkname,
        devmajor: device.0.into(),
        devminor: device.1.into(),
        xattrs: attributes.collect::<io::Result<_>>()?,
        ..Stat::default()
    })
}

pub(super) fn unreadable(error: io::Error) -> Status {
    Status::internal(error.to_string())
}
