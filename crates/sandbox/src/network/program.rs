//! A network that reaches what the machine reaches: a program of the machine's owner passes on what
//! comes out of it, as an ordinary program's connections.
//!
//! What always holds: the program ends no later than we do, and with the process that it was
//! started for; it leads neither to the machine's loopback interface nor to where clouds give
//! credentials.

use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::time::Timespec;
use sys::process::{
    Candidates, Child, Execute, Host, Namespaces, Program, SpawnError, Stack, Step, spawn,
};

use super::connector::{self, Connector, ConnectorKind};
use super::setup;
use crate::error::SandboxError;

/// What the programs give networks their interface by.
const TUN: &str = "/dev/net/tun";
/// A program that takes longer does not get ready.
const PATIENCE: Timespec = Timespec {
    tv_sec: 30,
    tv_nsec: 0,
};

/// A program that connects a network, as long as this lives.
#[derive(Debug)]
pub(crate) struct Running {
    process: Child,
    program: PathBuf,
    /// That it is ready, and what it complains of, which has to go somewhere as long as it lives.
    output: [File; 2],
}

/// A network that was cut off before its process ended, since the program that connected it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnected {
    /// Which program that was.
    pub program: PathBuf,
    /// What it said.
    pub said: String,
}

impl fmt::Display for Disconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, said } = self;
        let program = program.display();
        write!(
            f,
            "{program}, which connected its network, had ended before"
        )?;
        match said.as_str() {
            "" => Ok(()),
            said => write!(f, ": {said}"),
        }
    }
}

/// Whether this process may give networks an interface, which every connected one needs.
///
/// # Errors
/// It may not.
pub fn can_connect() -> io::Result<()> {
    let tun = File::options().read(true).write(true).open(TUN);
    tun.map(drop)
}

impl Running {
    /// Makes a network, and waits until it is connected.
    pub(crate) fn start(connector: &Connector) -> Result<(Running, OwnedFd), SandboxError> {
        can_connect().map_err(SandboxError::Tun)?;
        let network = sys::network::make(&connector::REFUSED).map_err(setup("make a network"))?;
        let (ready, theirs) = pipe(PipeFlags::CLOEXEC)?;
        // A program that has much to complain of must not stand still for want of a reader.
        let (complaints, their_complaints) = pipe(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let input = network.try_clone().map_err(setup("make a network"))?;
        let program = program(connector, [input, theirs, their_complaints])?;
        let mut running = Running {
            process: spawn_kept(program).map_err(failed(connector))?,
            program: connector.program.clone(),
            output: [ready, complaints],
        };
        running.wait_until_ready(connector)?;
        Ok((running, network))
    }

    fn wait_until_ready(&mut self, connector: &Connector) -> Result<(), SandboxError> {
        let [ready, _] = &mut self.output;
        match listen(ready, connector.kind).map_err(setup("wait for a network"))? {
            Heard::Ready => return Ok(()),
            Heard::Nothing => return Err(said(connector, "it does not get ready")),
            Heard::End => {}
        }
        // It has ended, or will have soon.
        Err(said(connector, &self.complaints()))
    }

    /// That the network is cut off, if it is.
    pub(crate) fn lost(&mut self) -> Option<Disconnected> {
        const AT_ONCE: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let pidfd = self.process.pidfd();
        let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&AT_ONCE));
        (ended == Ok(1)).then(|| Disconnected {
            said: self.complaints(),
            program: self.program.clone(),
        })
    }

    /// Ends it, so that all it said is there to be read; all that it said.
    fn complaints(&mut self) -> String {
        end(&self.process);
        let [_, complaints] = &mut self.output;
        let mut text = Vec::new();
        // Of what cannot be read nothing is told, and somebody else may still be able to write.
        let _ = rustix::io::ioctl_fionbio(&*complaints, true);
        let _ = complaints.read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines.join("; ")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&self.process);
    }
}

/// It may have ended by itself, which is as good, and have been waited for.
fn end(process: &Child) {
    const SIGKILL: i32 = 9;
    let _ = process.signal(SIGKILL);
    let _ = process.wait();
}

/// What a program says of itself.
enum Heard {
    Ready,
    End,
    /// For too long.
    Nothing,
}

fn listen(ready: &mut File, kind: ConnectorKind) -> io::Result<Heard> {
    let mut said = Vec::new();
    loop {
        match poll(&mut [PollFd::new(&*ready, PollFlags::IN)], Some(&PATIENCE)) {
            Err(Errno::INTR) => continue,
            Ok(0) => return Ok(Heard::Nothing),
            result => result?,
        };
        let mut piece = [0; 64];
        match ready.read(&mut piece)? {
            0 => return Ok(Heard::End),
            length => said.extend(&piece[..length]),
        }
        if kind.is_ready(&said) {
            return Ok(Heard::Ready);
        }
    }
}

fn program(connector: &Connector, stdio: [OwnedFd; 3]) -> Result<Program, SandboxError> {
    let path = connector.program.as_os_str();
    let text = |bytes: &[u8]| {
        CString::new(bytes).map_err(|_| SandboxError::NulByte {
            what: "program",
            text: path.to_string_lossy().into_owned(),
        })
    };
    let words = connector.kind.arguments().iter();
    let words = [connector.kind.name()].into_iter().chain(words.copied());
    let arguments = words.map(|word| text(word.as_bytes()));
    Ok(Program {
        stdio,
        // What a terminal sends to its foreground processes is not for it: it ends after them.
        steps: vec![Step::NewSession],
        execute: Execute {
            candidates: Candidates::Path(text(path.as_bytes())?),
            arguments: arguments.collect::<Result<_, _>>()?,
            environment: Vec::new(),
        },
    })
}

/// Starts a program that sees what we see. It has a thread of its own that lives as long, since the
/// kernel kills a process whose parent thread ends.
fn spawn_kept(program: Program) -> Result<Child, SpawnError> {
    let (reply, answer) = mpsc::sync_channel(1);
    let gone = |_| SpawnError::Start(io::ErrorKind::Interrupted.into());
    let thread = thread::Builder::new().name("network".into());
    let started = thread.spawn(move || {
        let host = Host::new().map_err(SpawnError::Start);
        let child =
            host.and_then(|host| spawn(&host, &mut Stack::new(), Namespaces::NONE, program));
        let pidfd = match &child {
            Ok(child) => child.pidfd().try_clone_to_owned().ok(),
            Err(_) => None,
        };
        if let Err(mpsc::SendError(Ok(child))) = reply.send(child) {
            return end(&child);
        }
        if let Some(pidfd) = pidfd {
            let mut ended = [PollFd::new(&pidfd, PollFlags::IN)];
            while poll(&mut ended, None) == Err(Errno::INTR) {}
        }
    });
    started.map_err(SpawnError::Start)?;
    answer.recv().map_err(gone)?
}

fn pipe(flags: PipeFlags) -> Result<(File, OwnedFd), SandboxError> {
    let (ours, theirs) = pipe_with(flags).map_err(|errno| setup("make a pipe")(errno.into()))?;
    Ok((ours.into(), theirs))
}

fn failed(connector: &Connector) -> impl FnOnce(SpawnError) -> SandboxError + '_ {
    |error| match error {
        SpawnError::Start(source) => setup("start a process")(source),
        SpawnError::Failed(failure) => said(connector, crate::error::reason(failure.errno)),
    }
}

fn said(connector: &Connector, text: &str) -> SandboxError {
    SandboxError::Connect {
        program: connector.program.clone(),
        said: text.to_owned(),
    }
}
