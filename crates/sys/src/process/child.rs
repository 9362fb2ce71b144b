//! What runs in the new process, up to `execve`.
//!
//! It has our memory, but is one thread of many: any lock may be held by a thread that goes on in
//! the other process, and the C library's state is that of the thread which waits for us. So
//! nothing in this file allocates, frees, locks, formats or panics; it makes system calls on values
//! that were prepared before. No destructor may run either: leaving is by `_exit`.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, accessat, statat};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags as Flags, MoveMountFlags, OpenTreeFlags, mount, mount_bind, mount_bind_recursive,
    mount_remount, move_mount, open_tree,
};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{
    Gid, Pid, Signal, Uid, chdir, chroot, fchdir, ioctl_tiocsctty, set_parent_process_death_signal,
    setsid, umask,
};
use rustix::thread::{
    LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space,
    move_into_thread_name_spaces, set_capabilities, set_keep_capabilities, set_no_new_privs,
    set_thread_gid, set_thread_groups, set_thread_uid,
};

use super::program::{Candidates, Failure, Program, Stage, Step};
use crate::capability::{self, CapabilitySet, CapabilitySets};
use crate::mount::MountFlags;
use crate::raw;
use crate::seccomp::{self, Filter};

/// The status with which a process ends that never ran its program.
const NEVER_RAN: i32 = 125;

/// A program with all that would have to be allocated.
pub(super) struct Prepared<'a> {
    pub(super) program: &'a Program,
    /// As `execve` wants them, with a null at the end.
    pub(super) arguments: &'a [*const c_char],
    pub(super) environment: &'a [*const c_char],
    /// Ranges of descriptors to close.
    pub(super) closed: &'a [(u32, u32)],
    pub(super) parent: RawFd,
    /// Set when the program could not be run.
    pub(super) failure: Cell<Option<Failure>>,
}

impl Prepared<'_> {
    /// Whether the program could not be run, which is left noted.
    pub(super) fn has_failed(&self) -> bool {
        let failure = self.failure.take();
        self.failure.set(failure);
        failure.is_some()
    }
}

/// Carries out the [`Prepared`] that it is given; never returns.
pub(super) extern "C" fn run(prepared: *mut c_void) -> c_int {
    // SAFETY: it is what `spawn` has prepared, which stands still meanwhile.
    let prepared = unsafe { &*prepared.cast::<Prepared<'_>>() };
    let failure = match carry_out(prepared) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    prepared.failure.set(Some(failure));
    raw::exit(NEVER_RAN)
}

fn carry_out(prepared: &Prepared<'_>) -> Result<std::convert::Infallible, Failure> {
    let program = prepared.program;
    let at = |stage| {
        move |errno: Errno| Failure {
            stage,
            errno: errno.raw_os_error(),
        }
    };
    prepare(prepared).map_err(at(Stage::Prepare))?;
    for (index, step) in program.steps.iter().enumerate() {
        take(step).map_err(at(Stage::Step(index)))?;
    }
    // Changing the user or capabilities has cleared the signal, and until it was first set nobody
    // told us of the parent's death: so set it again, and look again.
    die_with_parent(prepared.parent).map_err(at(Stage::Prepare))?;
    execute(prepared)
}

fn prepare(prepared: &Prepared<'_>) -> Result<(), Errno> {
    for (first, last) in prepared.closed {
        raw::close_range(*first, *last);
    }
    die_with_parent(prepared.parent)?;
    for (fd, standard) in prepared.program.stdio.iter().zip(0..) {
        raw::duplicate_to(fd.as_fd(), standard)?;
    }
    raw::default_signals();
    Ok(())
}

/// Asks to be killed when the thread that made us ends, and ends if the process is gone already.
fn die_with_parent(parent: RawFd) -> Result<(), Errno> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // SAFETY: it is open until `execve`: it is among the descriptors that are kept.
    let parent = unsafe { BorrowedFd::borrow_raw(parent) };
    let mut fds = [PollFd::from_borrowed_fd(parent, PollFlags::IN)];
    if poll(&mut fds, Some(&rustix::time::Timespec::default()))? > 0 {
        raw::exit(NEVER_RAN);
    }
    Ok(())
}

fn take(step: &Step) -> Result<(), Errno> {
    match step {
        Step::Join {
            process,
            root,
            network,
        } => join(process.as_fd(), root.as_fd(), *network),
        // Nought is whoever writes it.
        Step::EnterGroup(processes) => rustix::io::write(processes, b"0").map(drop),
        Step::IsolateGroups => raw::isolate_groups(),
        Step::NewSession => setsid().map(drop),
        Step::ControllingTerminal => ioctl_tiocsctty(rustix::stdio::stdin()),
        Step::IsolateNetwork => raw::isolate_network(),
        Step::EnterNetwork(network) => {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
        }
        Step::EnterRoot(root) => enter_root(root.as_fd()),
        Step::ChangeRoot(root) => change_root(root.as_fd()),
        Step::Attach { mount, target } => attach(mount.as_fd(), target),
        Step::Mount {
            fs_type,
            target,
            flags,
            options,
        } => mount(
            *fs_type,
            target.as_c_str(),
            *fs_type,
            mount_bits(*flags),
            Some(options.as_c_str()),
        ),
        Step::Bind { source, target } => mount_bind(source.as_c_str(), target.as_c_str()),
        Step::Remount { path, flags } => {
            mount_remount(path.as_c_str(), Flags::BIND | mount_bits(*flags), c"")
        }
        Step::Mask(masked) => mask(&masked.path),
        Step::ReadOnly(path) => read_only(path),
        Step::HostName(name) => rustix::system::sethostname(name),
        Step::Limit {
            resource,
            soft,
            hard,
        } => raw::set_limit(0, *resource, *soft, *hard),
        Step::Umask(mask) => {
            umask(Mode::from_raw_mode(*mask));
            Ok(())
        }
        Step::Directory(path) => chdir(path.as_c_str()),
        Step::NoNewPrivileges => set_no_new_privs(true),
        Step::Seccomp(filter) => raw::load_seccomp(filter.instructions()),
        Step::Ask { filter, to } => ask(filter, to.as_fd()),
        Step::BoundingSet(kept) => capability::limit_bounding_set(*kept),
        Step::Identity {
            ids,
            groups,
            capabilities,
            ambient,
        } => become_user(*ids, groups.as_deref(), *capabilities, *ambient),
    }
}

/// Loads a filter that asks about calls, and sends whoever answers the way to do so.
fn ask(filter: &Filter, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let listener = seccomp::load_asking(filter)?;
    let fds = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let byte = [IoSlice::new(b"l")];
    sendmsg(to, &byte, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Entering the mounts leads to their namespace's own root, which lies beneath the root that the
/// process sees.
fn join(process: BorrowedFd<'_>, root: BorrowedFd<'_>, network: bool) -> Result<(), Errno> {
    let mut namespaces = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::CONTROL_GROUP;
    namespaces.set(ThreadNameSpaceType::NETWORK, network);
    move_into_thread_name_spaces(process, namespaces)?;
    fchdir(root)?;
    chroot(c".")
}

/// The namespace's own root is empty and read-only (see [`crate::namespace`]), so the new root can
/// lie on top of it for good: whoever got beneath it would find nothing. That saves moving every
/// process of the machine off the old root and waiting until nobody can be using it, which
/// `pivot_root` and `umount` do.
fn enter_root(root: BorrowedFd<'_>) -> Result<(), Errno> {
    attach(root, c"/")?;
    change_root(root)
}

/// The old root stays the namespace's: only the process, and what it starts, has another.
fn change_root(root: BorrowedFd<'_>) -> Result<(), Errno> {
    fchdir(root)?;
    chroot(c".")
}

fn attach(mount: BorrowedFd<'_>, target: &CStr) -> Result<(), Errno> {
    let empty_path =
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
    move_mount(mount, c"", CWD, target, empty_path)
}

fn mount_bits(flags: MountFlags) -> Flags {
    let mut bits = Flags::empty();
    bits.set(Flags::RDONLY, flags.contains(MountFlags::READ_ONLY));
    bits.set(Flags::NOSUID, flags.contains(MountFlags::NO_SUID));
    bits.set(Flags::NODEV, flags.contains(MountFlags::NO_DEV));
    bits.set(Flags::NOEXEC, flags.contains(MountFlags::NO_EXEC));
    bits
}

fn mask(path: &CStr) -> Result<(), Errno> {
    match mount_bind(c"/dev/null", path) {
        Err(Errno::NOENT) => Ok(()),
        // A directory.
        Err(Errno::NOTDIR) => mount(c"tmpfs", path, c"tmpfs", Flags::RDONLY, Some(c"size=0")),
        result => result,
    }
}

fn read_only(path: &CStr) -> Result<(), Errno> {
    let how = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = match open_tree(CWD, path, how) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOSYS) => return read_only_by_remount(path),
        result => result?,
    };
    match raw::mount_setattr(tree.as_fd(), true, &raw::MountAttributes::READ_ONLY) {
        Err(Errno::NOSYS) => return read_only_by_remount(path),
        result => result?,
    }
    attach(tree.as_fd(), path)
}

/// On kernels before 5.12, where a remount must repeat the flags that hold already: those of
/// `/proc` and `/sys`, where all such paths are.
fn read_only_by_remount(path: &CStr) -> Result<(), Errno> {
    match mount_bind_recursive(path, path) {
        Err(Errno::NOENT) => return Ok(()),
        result => result?,
    }
    let flags = Flags::BIND | Flags::RDONLY | Flags::NOSUID | Flags::NODEV | Flags::NOEXEC;
    mount_remount(path, flags, c"")
}

fn become_user(
    ids: Option<(u32, u32)>,
    groups: Option<&[Gid]>,
    capabilities: CapabilitySets,
    ambient: CapabilitySet,
) -> Result<(), Errno> {
    set_keep_capabilities(true)?;
    if let Some(groups) = groups {
        set_thread_groups(groups)?;
    }
    if let Some((uid, gid)) = ids {
        set_thread_gid(Gid::from_raw(gid))?;
        set_thread_uid(Uid::from_raw(uid))?;
    }
    set_keep_capabilities(false)?;
    set_capabilities(None::<Pid>, capabilities.into())?;
    capability::raise_ambient(ambient)
}

fn execute(prepared: &Prepared<'_>) -> Result<std::convert::Infallible, Failure> {
    let candidates = &prepared.program.execute.candidates;
    let searching = matches!(candidates, Candidates::Search(_));
    for (index, candidate) in candidates.as_slice().iter().enumerate() {
        match executable(candidate) {
            Err(_) if searching => {}
            Err(errno) => {
                return Err(Failure {
                    stage: Stage::Lookup,
                    errno: errno.raw_os_error(),
                });
            }
            Ok(()) => {
                let errno = raw::execute(candidate, prepared.arguments, prepared.environment);
                return Err(Failure {
                    stage: Stage::Execute(index),
                    errno: errno.raw_os_error(),
                });
            }
        }
    }
    Err(Failure {
        stage: Stage::Lookup,
        errno: Errno::NOENT.raw_os_error(),
    })
}

fn executable(path: &CString) -> Result<(), Errno> {
    let stat = statat(CWD, path.as_c_str(), AtFlags::empty())?;
    if FileType::from_raw_mode(stat.st_mode).is_dir() {
        return Err(Errno::ISDIR);
    }
    accessat(CWD, path.as_c_str(), Access::EXEC_OK, AtFlags::empty())
}
