//! The protocol of file sync with the client as the one that has the files: it tells of them in
//! order, and sends the content of those that the daemon asks for.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::Path;

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use futures_util::{FutureExt as _, Stream, stream};
use tonic::{Status, Streaming};

use crate::offers::{Content, Files, Kind, Offered};

/// Bytes of a file in one packet.
const PIECE: usize = 64 << 10;

/// Bits of a file's mode as Go has them.
mod bits {
    pub(super) const DIRECTORY: u32 = 1 << 31;
    pub(super) const SYMLINK: u32 = 1 << 27;
    pub(super) const DEVICE: u32 = 1 << 26;
    pub(super) const FIFO: u32 = 1 << 25;
    pub(super) const SET_USER: u32 = 1 << 23;
    pub(super) const SET_GROUP: u32 = 1 << 22;
    pub(super) const CHAR_DEVICE: u32 = 1 << 21;
    pub(super) const STICKY: u32 = 1 << 20;
}

/// What is sent of `files` to a daemon whose wishes are `incoming`.
pub(super) fn send(
    files: Files,
    incoming: Streaming<Packet>,
) -> impl Stream<Item = Result<Packet, Status>> + Send {
    let transfer = Transfer {
        files,
        incoming,
        contents: Vec::new(),
        told_all: false,
        asked: VecDeque::new(),
        open: None,
        state: State::Sending,
    };
    stream::try_unfold(transfer, |mut transfer| async move {
        let next = transfer.next().await?;
        Ok(next.map(|packet| (packet, transfer)))
    })
}

/// A transfer under way.
struct Transfer {
    files: Files,
    incoming: Streaming<Packet>,
    /// Where the bytes are of what was told of, by its number; none of what has none or was asked for.
    contents: Vec<Option<Content>>,
    told_all: bool,
    /// Files whose content is asked for.
    asked: VecDeque<u32>,
    open: Option<(u32, Box<dyn Read + Send>)>,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Sending,
    /// The daemon has all that it wants.
    Satisfied,
    Ended,
}

impl Transfer {
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
                    return Ok(Some(of(PacketType::PacketFin)));
                }
                State::Ended => return Ok(None),
            }
            if let Some(packet) = self.make().map_err(unreadable)? {
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
        match packet.r#type() {
            PacketType::PacketReq => self.asked.push_back(packet.id),
            PacketType::PacketFin => self.state = State::Satisfied,
            PacketType::PacketErr => {
                let message = String::from_utf8_lossy(&packet.data);
                return Err(Status::unknown(format!("error from receiver: {message}")));
            }
            PacketType::PacketStat | PacketType::PacketData => {
                return Err(Status::invalid_argument("the daemon sends files"));
            }
        }
        Ok(())
    }

    /// What is sent next, if anything can be by now.
    fn make(&mut self) -> io::Result<Option<Packet>> {
        if !self.told_all {
            return self.tell().map(Some);
        }
        let (id, mut file) = match self.open.take() {
            Some(open) => open,
            None => match self.asked.pop_front() {
                Some(id) => (id, self.open(id)?),
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
        let Some(file) = self.files.next().transpose()? else {
            self.told_all = true;
            return Ok(of(PacketType::PacketStat));
        };
        let stat = stat(&file)?;
        self.contents.push(match file.kind {
            Kind::File(_, content) => Some(content),
            _ => None,
        });
        Ok(Packet {
            stat: Some(stat),
            ..of(PacketType::PacketStat)
        })
    }

    /// The file that is asked for, once.
    fn open(&mut self, id: u32) -> io::Result<Box<dyn Read + Send>> {
        let place = usize::try_from(id).unwrap_or(usize::MAX);
        let content = self.contents.get_mut(place).and_then(Option::take);
        let invalid = || io::Error::other(format!("the daemon asks for file {id}"));
        content.ok_or_else(invalid)?.open()
    }
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
        Kind::Directory => kind = bits::DIRECTORY,
        Kind::Symlink(target) => (kind, linkname) = (bits::SYMLINK, text(target)?),
        Kind::Fifo => kind = bits::FIFO,
        Kind::CharDevice(major, minor) => {
            (kind, device) = (bits::DEVICE | bits::CHAR_DEVICE, (*major, *minor));
        }
        Kind::BlockDevice(major, minor) => (kind, device) = (bits::DEVICE, (*major, *minor)),
    }
    let special = [
        (0o4000, bits::SET_USER),
        (0o2000, bits::SET_GROUP),
        (0o1000, bits::STICKY),
    ];
    let special = special.iter().filter(|(bit, _)| file.mode & bit != 0);
    let special = special.fold(0, |all, (_, bit)| all | bit);
    Ok(Stat {
        path: text(&file.path)?,
        mode: kind | special | file.mode & 0o777,
        size,
        mod_time: file.modified,
        linkname,
        devmajor: device.0.into(),
        devminor: device.1.into(),
        ..Stat::default()
    })
}

fn of(kind: PacketType) -> Packet {
    Packet {
        r#type: kind.into(),
        ..Packet::default()
    }
}

pub(super) fn unreadable(error: io::Error) -> Status {
    Status::internal(error.to_string())
}
