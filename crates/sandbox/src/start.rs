//! From a [`Spec`] to a [`Running`] process.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FileType, fchown, fstat};
use rustix::process::{Gid, Uid};
use sys::capability::CapabilitySet;
use sys::namespace::Left as LeftMounts;
use sys::owner;
use sys::process::{Failure, Program, Stage, Step};

use crate::cgroup::Hierarchies;
use crate::chroot;
use crate::error::{LookupError, SandboxError, reason};
use crate::group::{Groups, Means};
use crate::network::Connection;
use crate::network::cni::{Cni, CniError};
use crate::owners::Supervisor;
use crate::plan::{Host, Identities, Plan};
use crate::running::{Left, Running};
use crate::spawner::Spawner;
use crate::spec::{GroupLimits, Isolation, Process, Spec, Stdio};
use crate::user::User;

/// Starts processes. One is enough for a program; clones share what has been prepared.
#[derive(Clone, Debug)]
pub struct Sandbox {
    pub(crate) spawner: Arc<Spawner>,
    pub(crate) host: Arc<Host>,
    groups: Arc<Groups>,
}

impl Sandbox {
    /// Begins to prepare what all processes need, and does not wait until that is done: so the
    /// earlier this is called, the sooner the first process starts. Without `isolation` it is the
    /// best that this process may have.
    ///
    /// # Errors
    /// No thread could be started, or `/proc` could not be read.
    pub fn new(isolation: Option<Isolation>) -> Result<Sandbox, SandboxError> {
        let setup = |what: &str| {
            let what = what.to_owned();
            |source| SandboxError::Setup { what, source }
        };
        let identities = Identities::of_process().map_err(setup("read our own user namespace"))?;
        let left = if identities.are_whole() {
            LeftMounts::Nothing
        } else {
            LeftMounts::KernelFileSystems
        };
        let spawner = Arc::new(Spawner::new(left, isolation)?);
        let hierarchies = Hierarchies::of_host().map_err(setup("read /proc/self/cgroup"))?;
        let capabilities = CapabilitySet::held().map_err(setup("read our own capabilities"))?;
        let host = Host::new(hierarchies, capabilities, identities);
        Ok(Sandbox {
            spawner,
            host: Arc::new(host),
            groups: Arc::default(),
        })
    }

    /// What of [`Spec::group`] can be limited here, and what not. Looks, and makes nothing.
    #[must_use]
    pub fn group_means(&self) -> Vec<Means> {
        self.groups.means()
    }

    /// Whether a process can be held to these limits, as far as can be seen without making anything.
    ///
    /// # Errors
    /// It cannot.
    pub fn can_hold(&self, limits: &GroupLimits) -> Result<(), SandboxError> {
        self.groups.can_hold(limits)
    }

    /// Whether plugins can set up a process's network here, as far as can be seen without making
    /// anything.
    ///
    /// # Errors
    /// They cannot: it takes root and namespaces, or something is missing.
    pub fn can_attach(&self, cni: &Cni) -> Result<(), SandboxError> {
        if self.isolation() == Isolation::Chroot {
            return Err(SandboxError::NotInChroot("a network of a step's own"));
        }
        if !self.host.identities.are_whole() {
            return Err(CniError::NotRoot.into());
        }
        Ok(cni.check()?)
    }

    /// How processes are kept away from the host; waits until that is known.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.spawner.isolation()
    }

    /// Starts a process, and returns as soon as it runs its program.
    ///
    /// # Errors
    /// Anything that keeps it from that; nothing is left of it then.
    pub fn start(&self, spec: &Spec, stdio: Stdio) -> Result<Running, SandboxError> {
        self.host.identities.check(&spec.process.user)?;
        let standard = descriptors(stdio)
            .and_then(|standard| {
                give_to_user(&standard.files, &spec.process.user).map(|()| standard)
            })
            .map_err(|source| SandboxError::Setup {
                what: "standard input and output".into(),
                source,
            })?;
        let (supervisor, ask) = supervise(&spec.process.user)?;
        // Before anything is made in the root: where there are no groups nothing is to be undone.
        let group = self.groups.make(&spec.group)?;
        let (mut plan, left, connection) = self.plan(spec, standard.terminal, ask)?;
        if let Some(group) = &group {
            let isolated = self.isolation() == Isolation::Namespaces;
            plan.begin_with(group.steps()?, isolated);
        }
        let stdio = standard.files;
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
        match self.spawner.spawn(program, None)? {
            Ok(started) => {
                let running = Running::new(started, left, Arc::clone(&self.spawner));
                let running = running.supervised_by(supervisor).held_by(group);
                Ok(running.connected_by(connection))
            }
            Err(failure) => Err(explain(failure, &spec.process, &labels)),
        }
    }

    /// What the process does, what is to be undone when it has ended, and who connects its network.
    fn plan(
        &self,
        spec: &Spec,
        terminal: OfTerminal,
        ask: Option<Step>,
    ) -> Result<(Plan, Left, Option<Connection>), SandboxError> {
        match self.isolation() {
            Isolation::Namespaces => {
                let devpts = match terminal {
                    OfTerminal::Own(devpts) => Some(devpts),
                    OfTerminal::None | OfTerminal::Hosts => None,
                };
                let is_root = self.host.identities.are_whole();
                let (connection, network) = Connection::make(&spec.network, is_root)?.unzip();
                let (plan, points) = Plan::new(spec, &self.host, network, devpts, ask)?;
                Ok((plan, Left::Points(points), connection))
            }
            Isolation::Chroot => {
                let is_terminal = !matches!(terminal, OfTerminal::None);
                let (plan, placed) = chroot::plan(spec, &self.host, is_terminal, ask)?;
                Ok((plan, Left::Placed(Box::new(placed)), None))
            }
        }
    }
}

/// Whoever answers for the kernel where there is one user only, and what makes it ask.
pub(crate) fn supervise(user: &User) -> Result<(Option<Supervisor>, Option<Step>), SandboxError> {
    if !owner::are_recorded() {
        return Ok((None, None));
    }
    let started = Supervisor::start(user).map_err(|source| SandboxError::Setup {
        what: "answer for owners and identities".into(),
        source,
    })?;
    Ok((Some(started.0), Some(started.1)))
}

/// Standard input, output and error.
struct Standard {
    files: [OwnedFd; 3],
    terminal: OfTerminal,
}

/// Which terminal they are, if they are one.
enum OfTerminal {
    None,
    /// One of the host's.
    Hosts,
    /// One in this instance of `/dev/pts`.
    Own(OwnedFd),
}

fn descriptors(stdio: Stdio) -> io::Result<Standard> {
    match stdio {
        Stdio::Files {
            stdin,
            stdout,
            stderr,
        } => Ok(Standard {
            files: [stdin, stdout, stderr],
            terminal: OfTerminal::None,
        }),
        Stdio::Terminal(terminal) => {
            let again = || terminal.slave.try_clone();
            Ok(Standard {
                files: [again()?, again()?, terminal.slave],
                terminal: terminal.devpts.map_or(OfTerminal::Hosts, OfTerminal::Own),
            })
        }
    }
}

/// Makes pipes and terminals the user's own, so that `/dev/stdout` can be opened again by name. Where
/// there is one user only, they are.
pub(crate) fn give_to_user(stdio: &[OwnedFd; 3], user: &User) -> io::Result<()> {
    if user.uid == 0 || owner::are_recorded() {
        return Ok(());
    }
    for fd in stdio {
        let stat = fstat(fd)?;
        let is_null = FileType::from_raw_mode(stat.st_mode).is_char_device()
            && (
                rustix::fs::major(stat.st_rdev),
                rustix::fs::minor(stat.st_rdev),
            ) == (1, 3);
        let is_file = FileType::from_raw_mode(stat.st_mode).is_file();
        if !is_null && !is_file {
            fchown(
                fd.as_fd(),
                Some(Uid::from_raw(user.uid)),
                Some(Gid::from_raw(user.gid)),
            )?;
        }
    }
    Ok(())
}

pub(crate) fn explain(failure: Failure, process: &Process, labels: &[String]) -> SandboxError {
    let Failure { stage, errno } = failure;
    let program = process.args.first().cloned().unwrap_or_default();
    let missing = errno == rustix::io::Errno::NOENT.raw_os_error();
    match stage {
        Stage::Lookup if !program.contains('/') => LookupError::NotInPath(program).into(),
        Stage::Lookup if missing => LookupError::Missing(program).into(),
        Stage::Lookup => LookupError::NotExecutable {
            path: program,
            reason: reason(errno),
        }
        .into(),
        Stage::Execute(index) => {
            let path = crate::plan::candidate(process, index).unwrap_or(program);
            LookupError::Refused {
                path,
                reason: reason(errno),
                errno,
            }
            .into()
        }
        Stage::Prepare | Stage::Step(_) => SandboxError::Setup {
            what: match stage {
                Stage::Step(index) => labels.get(index).cloned().unwrap_or_default(),
                _ => "prepare a process".to_owned(),
            },
            source: io::Error::from_raw_os_error(errno),
        },
    }
}
