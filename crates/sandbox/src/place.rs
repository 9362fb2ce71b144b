//! Where a process runs, for what comes to it later: further processes beside it, and connections
//! to what listens there.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::process::{Signal, pidfd_send_signal};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
use sys::process::Program;

use crate::error::SandboxError;
use crate::group;
use crate::plan::{Joined, MountPoints, Plan};
use crate::running::{Left, Running};
use crate::spec::{Process, Security};
use crate::start::{Sandbox, explain, give_to_user, supervise};
use crate::terminal::open_pair;

/// Where a process runs. It does not keep the process alive.
#[derive(Clone, Debug)]
pub struct Place(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pidfd: OwnedFd,
    pid: i32,
    /// The control groups that hold it.
    groups: Vec<PathBuf>,
}

/// Standard input, output and error of a process that comes later.
#[derive(Debug)]
pub enum PlaceStdio {
    /// Three descriptors.
    Files([OwnedFd; 3]),
    /// The process's side of a terminal of [`Place::terminal`].
    Terminal(OwnedFd),
}

impl Place {
    pub(crate) fn new(pidfd: OwnedFd, pid: i32, groups: Vec<PathBuf>) -> Place {
        Place(Arc::new(Inner { pidfd, pid, groups }))
    }

    /// The number of the process in our own PID namespace.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.0.pid
    }

    /// Sends a signal to the process.
    ///
    /// # Errors
    /// It has ended, or there is no such signal.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let signal = Signal::from_named_raw(signal).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(pidfd_send_signal(&self.0.pidfd, signal)?)
    }

    /// Opens a terminal where the process has its own: our side, and that of a further process.
    ///
    /// # Errors
    /// The process has ended, or has no `/dev/pts`.
    pub fn terminal(&self) -> Result<(OwnedFd, OwnedFd), SandboxError> {
        let open = || {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
            let root = self.root()?;
            let devpts = openat2(&root, "dev/pts", flags, Mode::empty(), inside)?;
            open_pair(devpts.as_fd())
        };
        open().map_err(setup("open a terminal"))
    }

    /// Connects to what listens on a TCP port of the loopback interface that the process sees.
    ///
    /// # Errors
    /// Nobody listens there, or the process has ended.
    pub fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let place = self.clone();
        // The thread ends in the other network, so nobody else may go on with it.
        let thread = std::thread::Builder::new().spawn(move || {
            let network = ThreadNameSpaceType::NETWORK;
            move_into_thread_name_spaces(place.0.pidfd.as_fd(), network)?;
            TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        })?;
        let lost = |_| io::Error::from(io::ErrorKind::Interrupted);
        thread.join().map_err(lost)?
    }

    /// Whether it has another network than we have.
    fn has_network(&self) -> io::Result<bool> {
        let of = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net"));
        Ok(of(&self.0.pid.to_string())? != of("self")?)
    }

    /// The root directory that the process sees.
    fn root(&self) -> io::Result<OwnedFd> {
        let path = format!("/proc/{}/root", self.0.pid);
        let root = File::options()
            .read(true)
            .open(Path::new(&path))
            .map(OwnedFd::from)?;
        // The number could be another process's by now; not while ours has not ended.
        let mut fds = [PollFd::new(&self.0.pidfd, PollFlags::IN)];
        match poll(&mut fds, Some(&rustix::time::Timespec::default()))? {
            0 => Ok(root),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Sandbox {
    /// Starts a further process beside the one at `place`: in its namespaces, seeing its root. It
    /// ends when that one does. `security` is about its rights; what is mounted is that one's.
    ///
    /// # Errors
    /// Anything that keeps it from running its program; nothing is left of it then.
    pub fn join(
        &self,
        place: &Place,
        process: &Process,
        security: Security,
        stdio: PlaceStdio,
    ) -> Result<Running, SandboxError> {
        self.host.identities.check(&process.user)?;
        let is_terminal = matches!(stdio, PlaceStdio::Terminal(_));
        let stdio = descriptors(stdio)
            .and_then(|files| give_to_user(&files, &process.user).map(|()| files))
            .map_err(setup("standard input and output"))?;
        let pidfd = || place.0.pidfd.try_clone();
        // Those that it leaves behind are answered as well, so nobody waits for the end of that.
        let (_supervisor, ask) = supervise(&process.user)?;
        let joined = || {
            Ok(Joined {
                pidfd: pidfd()?,
                has_network: place.has_network()?,
                // Last: if this can be had, the number was still that of the process.
                root: place.root()?,
            })
        };
        let joined = joined().map_err(setup("open the container"))?;
        let mut plan = Plan::joining((process, security), &self.host, joined, is_terminal, ask)?;
        let enter = group::enter(place.0.groups.iter().map(PathBuf::as_path))?;
        // It comes into the namespaces of the other one.
        plan.begin_with(enter, false);
        let Plan {
            steps,
            labels,
            execute,
        } = plan;
        let program = Program {
            stdio,
            steps,
            execute,
        };
        let among = pidfd().map_err(setup("open the container"))?;
        match self.spawner.spawn(program, Some(among))? {
            Ok(started) => {
                let left = Left::Points(MountPoints::default());
                Ok(Running::new(started, left, Arc::clone(&self.spawner)))
            }
            Err(failure) => Err(explain(failure, process, &labels)),
        }
    }
}

fn descriptors(stdio: PlaceStdio) -> io::Result<[OwnedFd; 3]> {
    match stdio {
        PlaceStdio::Files(files) => Ok(files),
        PlaceStdio::Terminal(slave) => Ok([slave.try_clone()?, slave.try_clone()?, slave]),
    }
}

fn setup(what: &'static str) -> impl FnOnce(io::Error) -> SandboxError {
    move |source| SandboxError::Setup {
        what: what.into(),
        source,
    }
}
