//! A process that has been started.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use sys::process::{Child, Exit, Reaped};

use crate::chroot::Placed;
use crate::error::SandboxError;
use crate::group::{Exceeded, Group};
use crate::network::{Connection, Disconnected};
use crate::owners::Supervisor;
use crate::place::Place;
use crate::plan::MountPoints;
use crate::spawner::Spawner;

/// A process that runs its program. Dropping it kills the process and all that it started, and
/// waits until they are gone.
#[derive(Debug)]
pub struct Running {
    started: Started,
    exit: Option<Exit>,
    left: Left,
    /// Ends with the process, and may hold on to its mounts as long.
    supervisor: Option<Supervisor>,
    /// What it is held to; removed when the process has ended.
    group: Option<Group>,
    exceeded: Option<Exceeded>,
    /// Ends with the process.
    connection: Option<Connection>,
    heir: Option<Heir>,
    disconnected: Option<Disconnected>,
    unreleased: Option<SandboxError>,
    /// The process would be killed if the thread that started it ended.
    _spawner: Arc<Spawner>,
}

/// The network of a process that has ended. Dropping it has it taken down, which may take as long as
/// plugins take.
#[derive(Debug)]
pub struct LeftNetwork {
    _connection: Connection,
}

/// Who gets the network of a process that is dropped.
struct Heir(Box<dyn FnOnce(LeftNetwork) + Send + Sync>);

impl fmt::Debug for Heir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Heir")
    }
}

/// The process itself, with what ends all that it starts.
#[derive(Debug)]
pub(crate) enum Started {
    /// In a PID namespace: with the first process all others end.
    First(Child),
    /// Beneath a process that sees to it.
    Reaped(Reaped),
}

/// What has to be undone when the process has ended.
#[derive(Debug)]
pub(crate) enum Left {
    /// Mount points in the root.
    Points(MountPoints),
    /// All that was placed in the root.
    Placed(Box<Placed>),
}

impl Started {
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        match self {
            Started::First(child) => child.pidfd(),
            Started::Reaped(reaped) => reaped.pidfd(),
        }
    }

    fn process(&self) -> BorrowedFd<'_> {
        match self {
            Started::First(child) => child.pidfd(),
            Started::Reaped(reaped) => reaped.program(),
        }
    }

    fn pid(&self) -> i32 {
        match self {
            Started::First(child) => child.pid(),
            Started::Reaped(reaped) => reaped.pid(),
        }
    }

    fn signal(&self, signal: i32) -> io::Result<()> {
        match self {
            Started::First(child) => child.signal(signal),
            Started::Reaped(reaped) => reaped.signal(signal),
        }
    }

    fn wait(&self) -> io::Result<Exit> {
        match self {
            Started::First(child) => child.wait(),
            Started::Reaped(reaped) => reaped.wait(),
        }
    }

    /// Kills it and all that it started.
    fn end(&self) -> io::Result<()> {
        const SIGKILL: i32 = 9;
        match self {
            Started::First(child) => child.signal(SIGKILL),
            Started::Reaped(reaped) => {
                reaped.end();
                Ok(())
            }
        }
    }
}

impl Left {
    fn undo(&mut self) -> io::Result<()> {
        match self {
            Left::Points(points) => points.remove(),
            Left::Placed(placed) => placed.lift(),
        }
    }
}

impl Running {
    pub(crate) fn new(started: Started, left: Left, spawner: Arc<Spawner>) -> Running {
        Running {
            started,
            exit: None,
            left,
            supervisor: None,
            group: None,
            exceeded: None,
            connection: None,
            heir: None,
            disconnected: None,
            unreleased: None,
            _spawner: spawner,
        }
    }

    /// The same with somebody who answers for the kernel.
    pub(crate) fn supervised_by(mut self, supervisor: Option<Supervisor>) -> Running {
        self.supervisor = supervisor;
        self
    }

    /// The same in a control group.
    pub(crate) fn held_by(mut self, group: Option<Group>) -> Running {
        self.group = group;
        self
    }

    /// Which limit of [`crate::Spec::group`] it has met, once it has ended.
    #[must_use]
    pub fn exceeded(&self) -> Option<Exceeded> {
        self.exceeded
    }

    /// The same in a network that is connected.
    pub(crate) fn connected_by(mut self, connection: Option<Connection>) -> Running {
        self.connection = connection;
        self
    }

    /// Has `heir` see to its network if this is dropped: it gets it as soon as the process has ended.
    /// Without one the thread that drops this takes it down, and waits for that.
    pub fn leave_network_to(&mut self, heir: impl FnOnce(LeftNetwork) + Send + Sync + 'static) {
        self.heir = Some(Heir(Box::new(heir)));
    }

    /// Why something of its network is left, if it is, once it has ended.
    #[must_use]
    pub fn unreleased(&self) -> Option<&SandboxError> {
        self.unreleased.as_ref()
    }

    /// That its network was cut off before it ended, once it has.
    #[must_use]
    pub fn disconnected(&self) -> Option<&Disconnected> {
        self.disconnected.as_ref()
    }

    /// Readable as soon as the process has ended; [`Running::wait`] does not block then.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.started.pidfd()
    }

    /// The process itself, for signals.
    #[must_use]
    pub fn process(&self) -> BorrowedFd<'_> {
        self.started.process()
    }

    /// The process's number in our own PID namespace.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.started.pid()
    }

    /// The process as others may come to it.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn place(&self) -> io::Result<Place> {
        Ok(Place::new(
            self.started.process().try_clone_to_owned()?,
            self.started.pid(),
            self.group
                .iter()
                .flat_map(Group::places)
                .map(Path::to_owned)
                .collect(),
        ))
    }

    /// Sends a signal to the process. It is PID 1 where it is: what it does not handle, but for
    /// `SIGKILL` and `SIGSTOP`, has no effect.
    ///
    /// # Errors
    /// The process has ended, or there is no such signal.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        self.started.signal(signal)
    }

    /// Blocks until the process has ended. Everything that it started, and every mount, is gone
    /// then.
    ///
    /// # Errors
    /// The kernel's refusal to tell, or a mount point that could not be removed.
    pub fn wait(&mut self) -> io::Result<Exit> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        let exit = self.started.wait()?;
        self.exit = Some(exit);
        if let Some(mut connection) = self.connection.take() {
            self.disconnected = connection.lost();
            self.unreleased = connection.end().err();
        }
        if let Some(supervisor) = self.supervisor.take() {
            supervisor.finish();
        }
        if let Some(group) = self.group.take() {
            self.exceeded = group.exceeded();
        }
        self.left.undo()?;
        Ok(exit)
    }

    /// Inodes of files in the root that were moved for the process and are back, once it has ended:
    /// their time of change says nothing.
    ///
    /// # Errors
    /// The process has changed what it was to read only, and nothing kept it from that.
    pub fn moved(&self) -> Result<&[u64], SandboxError> {
        match &self.left {
            Left::Points(_) => Ok(&[]),
            Left::Placed(placed) => match placed.changed() {
                Some(path) => Err(SandboxError::ReadOnly(path.to_owned())),
                None => Ok(placed.moved()),
            },
        }
    }

    /// Kills the process and all that it started, and waits until they are gone.
    ///
    /// # Errors
    /// As [`Running::wait`].
    pub fn kill(&mut self) -> io::Result<Exit> {
        if self.exit.is_none() {
            self.started.end()?;
        }
        self.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let heir = self.heir.take();
        let left = heir.and_then(|heir| Some((heir, self.connection.take()?)));
        // Nobody is left to tell; the process is gone in any case.
        let _ = self.kill();
        if let Some((Heir(take), _connection)) = left {
            take(LeftNetwork { _connection });
        }
    }
}
