//! The end that has the files, without a connection.
//!
//! A file's number is its place among those that were told of. Its content is given once: after that
//! its place is forgotten, so that memory holds nothing of what was sent.

use std::collections::VecDeque;
use std::io::{self, Read};

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use tonic::Status;

/// Bytes of a file in one packet.
pub const PIECE: usize = 64 << 10;

/// Where the bytes of a file are.
pub trait Content {
    /// The bytes. May block.
    ///
    /// # Errors
    /// They cannot be read.
    fn open(self) -> io::Result<Box<dyn Read + Send>>;
}

/// What the receiver said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It wants the content of a file.
    Asked,
    /// It has all that it wants, and waits for a packet that says that this was understood.
    Satisfied,
}

/// A transfer under way, of files that come in the order of the protocol: a directory before what is
/// in it, and that by name.
#[derive(Debug)]
pub struct Sender<F, C> {
    files: F,
    /// Where the bytes are of what was told of, by its number; none of what has none or was asked
    /// for.
    contents: Vec<Option<C>>,
    told_all: bool,
    /// Files whose content is asked for.
    asked: VecDeque<u32>,
    open: Option<Open>,
}

/// A file that is being sent.
struct Open {
    id: u32,
    bytes: Box<dyn Read + Send>,
}

impl<F, C> Sender<F, C>
where
    F: Iterator<Item = io::Result<(Stat, Option<C>)>>,
    C: Content,
{
    /// Nothing is sent yet.
    pub const fn new(files: F) -> Self {
        Self {
            files,
            contents: Vec::new(),
            told_all: false,
            asked: VecDeque::new(),
            open: None,
        }
    }

    /// Takes in what the receiver says.
    ///
    /// # Errors
    /// It failed, sends files itself, or asks for more than there are.
    pub fn hear(&mut self, packet: &Packet) -> Result<Heard, Status> {
        match packet.r#type() {
            // Each is asked for once, so that what waits is bounded by what was told.
            PacketType::PacketReq if self.asked.len() >= self.contents.len() => Err(
                Status::invalid_argument("the receiver asks for more files than there are"),
            ),
            PacketType::PacketReq => {
                self.asked.push_back(packet.id);
                Ok(Heard::Asked)
            }
            PacketType::PacketFin => Ok(Heard::Satisfied),
            PacketType::PacketErr => {
                let message = String::from_utf8_lossy(&packet.data);
                Err(Status::unknown(format!("error from receiver: {message}")))
            }
            PacketType::PacketStat | PacketType::PacketData => {
                Err(Status::invalid_argument("the receiver sends files"))
            }
        }
    }

    /// What is sent next, if anything can be by now. May block.
    ///
    /// # Errors
    /// A file cannot be read, or the receiver asked for one that is not there, or twice.
    pub fn next_packet(&mut self) -> io::Result<Option<Packet>> {
        if !self.told_all {
            return self.tell().map(Some);
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => match self.asked.pop_front() {
                Some(id) => self.open(id)?,
                None => return Ok(None),
            },
        };
        let mut data = vec![0; PIECE];
        let length = open.bytes.read(&mut data)?;
        data.truncate(length);
        let id = open.id;
        // A packet without bytes says that the file is at its end.
        if length > 0 {
            self.open = Some(open);
        }
        Ok(Some(Packet {
            id,
            data,
            ..packet(PacketType::PacketData)
        }))
    }

    /// The next file, or that there are no more.
    fn tell(&mut self) -> io::Result<Packet> {
        let Some((stat, content)) = self.files.next().transpose()? else {
            self.told_all = true;
            return Ok(packet(PacketType::PacketStat));
        };
        self.contents.push(content);
        Ok(Packet {
            stat: Some(stat),
            ..packet(PacketType::PacketStat)
        })
    }

    /// The file that is asked for, once.
    fn open(&mut self, id: u32) -> io::Result<Open> {
        let place = usize::try_from(id).unwrap_or(usize::MAX);
        let content = self.contents.get_mut(place).and_then(Option::take);
        let invalid = || io::Error::other(format!("the receiver asks for file {id}"));
        let bytes = content.ok_or_else(invalid)?.open()?;
        Ok(Open { id, bytes })
    }
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A packet of a kind, with nothing in it.
#[must_use]
pub fn packet(kind: PacketType) -> Packet {
    Packet {
        r#type: kind.into(),
        ..Packet::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Content for &'static [u8] {
        fn open(self) -> io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(self))
        }
    }

    type File = io::Result<(Stat, Option<&'static [u8]>)>;

    fn file(path: &str, content: Option<&'static [u8]>) -> File {
        let path = path.to_owned();
        Ok((
            Stat {
                path,
                ..Stat::default()
            },
            content,
        ))
    }

    fn asked(id: u32) -> Packet {
        Packet {
            id,
            ..packet(PacketType::PacketReq)
        }
    }

    /// What is sent by now, a line each.
    fn sent(sender: &mut Sender<impl Iterator<Item = File>, &'static [u8]>) -> Vec<String> {
        let packets = std::iter::from_fn(|| sender.next_packet().unwrap());
        let line = |packet: Packet| match (packet.r#type(), packet.stat) {
            (PacketType::PacketStat, Some(stat)) => stat.path,
            (PacketType::PacketStat, None) => "that is all".into(),
            _ => format!("{} {:?}", packet.id, String::from_utf8_lossy(&packet.data)),
        };
        packets.map(line).collect()
    }

    #[test]
    fn tells_of_all_and_sends_what_is_asked_for() {
        let files = [
            file("d", None),
            file("d/a", Some(b"A")),
            file("e", Some(b"")),
        ];
        let mut sender = Sender::new(files.into_iter());
        assert_eq!(sent(&mut sender), ["d", "d/a", "e", "that is all"]);
        assert_eq!(sender.hear(&asked(2)).unwrap(), Heard::Asked);
        assert_eq!(sender.hear(&asked(1)).unwrap(), Heard::Asked);
        assert_eq!(sent(&mut sender), ["2 \"\"", "1 \"A\"", "1 \"\""]);
        let satisfied = sender.hear(&packet(PacketType::PacketFin)).unwrap();
        assert_eq!(satisfied, Heard::Satisfied);
    }

    #[test]
    fn sends_a_large_file_in_pieces() {
        static LARGE: [u8; PIECE + 1] = [7; PIECE + 1];
        let mut sender = Sender::new([file("large", Some(&LARGE))].into_iter());
        assert_eq!(sent(&mut sender), ["large", "that is all"]);
        sender.hear(&asked(0)).unwrap();
        let packets = std::iter::from_fn(|| sender.next_packet().unwrap());
        let lengths: Vec<usize> = packets.map(|packet| packet.data.len()).collect();
        assert_eq!(lengths, [PIECE, 1, 0]);
    }

    #[test]
    fn gives_nothing_twice_and_nothing_that_it_does_not_have() {
        let mut sender = Sender::new([file("f", Some(b"F"))].into_iter());
        sent(&mut sender);
        sender.hear(&asked(0)).unwrap();
        let error = sender.hear(&asked(0)).unwrap_err();
        assert_eq!(
            error.message(),
            "the receiver asks for more files than there are"
        );
        for wrong in [0, 2, u32::MAX] {
            let mut sender = Sender::new([file("d", None), file("f", Some(b"F"))].into_iter());
            sent(&mut sender);
            sender.hear(&asked(wrong)).unwrap();
            let error = sender.next_packet().unwrap_err().to_string();
            assert_eq!(error, format!("the receiver asks for file {wrong}"));
        }
        let mut sender = Sender::new([file("f", Some(b"F"))].into_iter());
        sent(&mut sender);
        sender.hear(&asked(0)).unwrap();
        sent(&mut sender);
        sender.hear(&asked(0)).unwrap();
        assert!(sender.next_packet().is_err());
    }

    #[test]
    fn a_receiver_that_fails_or_sends_ends_it() {
        let mut sender = Sender::new([file("f", None)].into_iter());
        let failed = Packet {
            data: b"no space".to_vec(),
            ..packet(PacketType::PacketErr)
        };
        let error = sender.hear(&failed).unwrap_err();
        assert_eq!(error.message(), "error from receiver: no space");
        let error = sender.hear(&packet(PacketType::PacketStat)).unwrap_err();
        assert_eq!(error.message(), "the receiver sends files");
    }
}
