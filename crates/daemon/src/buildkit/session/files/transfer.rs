//! The course of a transfer: what the client tells, what is asked of it, and its end.

use std::collections::VecDeque;
use std::io;

use bollard_buildkit_proto::fsutil::types::Packet;
use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tonic::Status;

use super::{Target, unwritable};

/// Files whose content is on its way at once.
pub(super) const MAX_OPEN: usize = 64;
/// Files of one directory.
const MAX_FILES: u32 = 4 << 20;

/// A transfer under way.
pub(super) struct Transfer<'a, S> {
    incoming: S,
    outgoing: mpsc::Sender<Packet>,
    target: &'a mut dyn Target,
    /// Files whose content is wanted and not asked for yet.
    waiting: VecDeque<u32>,
    /// How many files' content is on its way.
    open: usize,
    bytes: u64,
}

impl<'a, S> Transfer<'a, S>
where
    S: Stream<Item = Result<Packet, Status>> + Unpin,
{
    /// Of which packets come from `incoming` and go to `outgoing`, and files go to `target`.
    pub(super) fn new(
        incoming: S,
        outgoing: mpsc::Sender<Packet>,
        target: &'a mut dyn Target,
    ) -> Self {
        Self {
            incoming,
            outgoing,
            target,
            waiting: VecDeque::new(),
            open: 0,
            bytes: 0,
        }
    }

    /// Takes all that the client tells, and says how many bytes came by now.
    ///
    /// # Errors
    /// What it sends makes no sense, or cannot be kept.
    pub(super) async fn run(mut self, told: &(dyn Fn(u64) + Sync)) -> Result<(), Status> {
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

fn error(message: &[u8]) -> Status {
    let message = String::from_utf8_lossy(message);
    Status::unknown(format!("error from sender: {message}"))
}
