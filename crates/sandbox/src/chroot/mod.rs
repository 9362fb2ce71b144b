//! Where nothing may be mounted: a process in another root directory, and what it is to see moved
//! there.
//!
//! What always holds: a step's root is a real directory tree, never the host's own; everything that
//! is placed in it is lifted out again before anybody looks at what the step has left; what cannot
//! be had this way is refused. The process shares the host's processes, network and names, and so is
//! held back by whatever holds us back. It lacks the right to `chroot`, by which it would come out.

mod fill;
mod place;
mod refuse;
mod watch;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use sys::Root;
use sys::mount::MountKind;
use sys::process::Step;

use crate::error::SandboxError;
use crate::plan::{Host, Plan};
use crate::spec::Spec;

pub(crate) use place::Placed;

/// Plans one process in a chroot, with everything in its place.
pub(crate) fn plan(
    spec: &Spec,
    host: &Host,
    is_terminal: bool,
    ask: Option<Step>,
) -> Result<(Plan, Placed), SandboxError> {
    refuse::check(spec)?;
    let path = root_of(spec)?;
    let root = open(path)?;
    let handle = Root::from_fd(open(path)?);
    let mut placed = Placed::new(handle, path)?;
    fill::usual(spec, &mut placed)?;
    let mut mounts: Vec<_> = spec.mounts.iter().collect();
    mounts.sort_by_key(|mount| mount.target.components().count());
    for mount in mounts {
        placed.mount(mount)?;
    }
    placed.finish()?;
    let plan = Plan::in_chroot(spec, host, Step::ChangeRoot(root), is_terminal, ask)?;
    Ok((plan, placed))
}

fn root_of(spec: &Spec) -> Result<&Path, SandboxError> {
    match &spec.root {
        MountKind::Bind { source, .. } => Ok(source),
        _ => Err(SandboxError::NotInChroot("a container")),
    }
}

fn open(path: &Path) -> Result<OwnedFd, SandboxError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).map_err(|errno| SandboxError::Place {
        target: PathBuf::from("/"),
        source: errno.into(),
    })
}
