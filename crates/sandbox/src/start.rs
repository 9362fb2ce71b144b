//! From a [`Spec`] to a [`Running`] process.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FileType, fchown, fstat};
use rustix::process::{Gid, Uid};
use sys::capability::CapabilitySet;
use sys::namespace::Left;
use sys::process::{Failure, Program, Stage};

use crate::cgroup::Hierarchies;
use crate::error::{LookupError, SandboxError, reason};
use crate::plan::{Host, Identities, Plan};
use crate::running::Running;
use crate::spawner::Spawner;
use crate::spec::{Spec, Stdio};

/// Starts processes. One is enough for a program; clones share what has been prepared.
#[derive(Clone, Debug)]
pub struct Sandbox {
    spawner: Arc<Spawner>,
    host: Arc<Host>,
}

impl Sandbox {
    /// Begins to prepare what all processes need, and does not wait until that is done: so the
    /// earlier this is called, the sooner the first process starts.
    ///
    /// # Errors
    /// No thread could be started, or `/proc` could not be read.
    pub fn new() -> Result<Sandbox, SandboxError> {
        let setup = |what: &str| {
            let what = what.to_owned();
            |source| SandboxError::Setup { what, source }
        };
        let identities = Identities::of_process().map_err(setup("read our own user namespace"))?;
        let left = if identities.are_whole() {
            Left::Nothing
        } else {
            Left::KernelFileSystems
        };
        let spawner = Arc::new(Spawner::new(left)?);
        let hierarchies = Hierarchies::of_host().map_err(setup("read /proc/self/cgroup"))?;
        let capabilities = CapabilitySet::held().map_err(setup("read our own capabilities"))?;
        let host = Host::new(hierarchies, capabilities, identities);
        Ok(Sandbox {
            spawner,
            host: Arc::new(host),
        })
    }

    /// Starts a process, and returns as soon as it runs its program.
    ///
    /// # Errors
    /// Anything that keeps it from that; nothing is left of it then.
    pub fn start(&self, spec: &Spec, stdio: Stdio) -> Result<Running, SandboxError> {
        self.host.identities.check(&spec.process.user)?;
        let (stdio, devpts) = descriptors(stdio)
            .and_then(|(files, devpts)| give_to_user(&files, spec).map(|()| (files, devpts)))
            .map_err(|source| SandboxError::Setup {
                what: "standard input and output".into(),
                source,
            })?;
        let Plan {
            steps,
            labels,
            execute,
            mount_points,
        } = Plan::new(spec, &self.host, devpts)?;
        let program = Program {
            stdio,
            steps,
            execute,
        };
        match self.spawner.spawn(program)? {
            Ok(child) => Ok(Running::new(child, mount_points, Arc::clone(&self.spawner))),
            Err(failure) => Err(explain(failure, spec, &labels)),
        }
    }
}

fn descriptors(stdio: Stdio) -> io::Result<([OwnedFd; 3], Option<OwnedFd>)> {
    match stdio {
        Stdio::Files {
            stdin,
            stdout,
            stderr,
        } => Ok(([stdin, stdout, stderr], None)),
        Stdio::Terminal(terminal) => {
            let again = || terminal.slave.try_clone();
            Ok(([again()?, again()?, terminal.slave], Some(terminal.devpts)))
        }
    }
}

/// Makes pipes and terminals the user's own, so that `/dev/stdout` can be opened again by name.
fn give_to_user(stdio: &[OwnedFd; 3], spec: &Spec) -> io::Result<()> {
    let user = &spec.process.user;
    if user.uid == 0 {
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

fn explain(failure: Failure, spec: &Spec, labels: &[String]) -> SandboxError {
    let Failure { stage, errno } = failure;
    let program = spec.process.args.first().cloned().unwrap_or_default();
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
            let path = crate::plan::candidate(&spec.process, index).unwrap_or(program);
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
