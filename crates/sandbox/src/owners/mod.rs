//! What a process takes for owners and identities where its user namespace has one user only.
//!
//! There every process is root for the kernel, and every file root's. A filter makes the kernel ask
//! about the calls by which a program would notice, and a thread of ours answers them: owners are
//! recorded on the files ([`sys::owner`]), identities are kept with the processes, and what is asked
//! about either is answered from there. So a program sees what it would see as real root, but is
//! held back by less: who has become somebody else may still read and change what is root's.
//!
//! What always holds: a name is looked up with the process's own root as ours, so nothing beyond
//! that is ever reached; nothing is changed before it is known that the process still waits, so that
//! its number is its own; the thread ends with the last process that it answers.

mod call;
mod caller;
mod create;
mod credentials;
mod execute;
mod files;
mod filter;
mod identity;
mod permission;
mod table;

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::thread::{self, JoinHandle};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair,
};
use sys::process::Step;
use sys::seccomp::Listener;

use crate::user::User;
use call::Answers;
use caller::Directories;
use credentials::Credentials;
use table::Table;

/// Answers one process, and all that it starts.
#[derive(Debug)]
pub(crate) struct Supervisor(JoinHandle<()>);

impl Supervisor {
    /// Begins to answer a process that is to run as `user`, with the step that it has to take, as the
    /// last one.
    pub(crate) fn start(user: &User) -> io::Result<(Supervisor, Step)> {
        let kind = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let (ours, theirs) = socketpair(kind.0, kind.1, SocketFlags::CLOEXEC, None)?;
        let first = Credentials::of(user);
        let filter = filter::filter(user.uid == 0).map_err(io::Error::other)?;
        let thread = thread::Builder::new()
            .name("sandbox-owners".into())
            .spawn(move || answer_all(ours, first))?;
        let step = Step::Ask { filter, to: theirs };
        Ok((Supervisor(thread), step))
    }

    /// Waits until the thread has seen that there is nobody left.
    pub(crate) fn finish(self) {
        // It has nothing to tell, even if it has come to grief.
        let _ = self.0.join();
    }
}

/// Without anybody who listens, the kernel refuses what it would ask about.
fn answer_all(socket: OwnedFd, first: Credentials) {
    let Ok(Some(fd)) = receive(&socket) else {
        return;
    };
    drop(socket);
    let Ok(directories) = Directories::new() else {
        return;
    };
    let listener = Listener::new(fd);
    let mut answers = Answers {
        listener,
        directories,
        table: Table::new(first),
    };
    while let Ok(Some(notification)) = answers.listener.receive() {
        answers.answer(&notification);
    }
}

/// The descriptor that the process sends, unless it does not get that far.
fn receive(socket: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut buffers = [IoSliceMut::new(&mut byte)];
    recvmsg(socket, &mut buffers, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok(fd)
}
