//! System calls that rustix lacks, with their structures. Private: the modules above give them
//! meaning.

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use crate::seccomp::Instruction;

/// `struct mount_attr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MountAttributes {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) propagation: u64,
    pub(crate) user_namespace: u64,
}

impl MountAttributes {
    /// Not writable.
    pub(crate) const READ_ONLY: MountAttributes = MountAttributes {
        set: libc::MOUNT_ATTR_RDONLY,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    /// Leave the peer group.
    pub(crate) const PRIVATE: MountAttributes = MountAttributes {
        set: 0,
        clear: 0,
        propagation: libc::MS_PRIVATE,
        user_namespace: 0,
    };
}

/// `mount_setattr(2)` on the mount that `mount` is the root of (Linux 5.12).
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    recursive: bool,
    attributes: &MountAttributes,
) -> Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated literal, the structure is the kernel's first version
    // with its own size, and both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            size_of::<MountAttributes>(),
        )
    };
    check(result).map(|_| ())
}

/// `sync_file_range(2)`: begins to write what is in the range and not yet on disk.
pub(crate) fn begin_write_back(
    file: BorrowedFd<'_>,
    offset: i64,
    length: i64,
) -> Result<(), Errno> {
    // SAFETY: plain numbers and an open descriptor; no memory of ours is read or written.
    let result = unsafe {
        libc::sync_file_range(
            file.as_raw_fd(),
            offset,
            length,
            libc::SYNC_FILE_RANGE_WRITE,
        )
    };
    check(c_long::from(result)).map(|_| ())
}

/// The C library's convention (-1 and `errno`) as a result.
pub(crate) fn check(result: c_long) -> Result<c_long, Errno> {
    if result == -1 {
        let errno = std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO);
        return Err(Errno::from_raw_os_error(errno));
    }
    Ok(result)
}

/// `clone(2)` with a stack of its own: the child calls `run` with `argument`. A new pidfd is put
/// into `pidfd` if the flags ask for one.
///
/// # Safety
/// `stack` is the upper end of memory that nobody else uses while the child runs, and `argument`
/// what `run` expects. If memory is shared, what both use at once must allow for that.
pub(crate) unsafe fn clone(
    run: extern "C" fn(*mut c_void) -> c_int,
    stack: *mut c_void,
    flags: c_int,
    argument: *mut c_void,
    pidfd: &mut RawFd,
) -> Result<i32, Errno> {
    // SAFETY: the caller's promise; the pidfd's place outlives the call.
    let pid = unsafe { libc::clone(run, stack, flags, argument, std::ptr::from_mut(pidfd)) };
    check(pid.into()).map(|_| pid)
}

/// `fork(2)`: 0 in the new process.
///
/// # Safety
/// This process has one thread only, so that no lock is held by one that the new process lacks.
pub(crate) unsafe fn fork() -> Result<i32, Errno> {
    // SAFETY: the caller's promise.
    let pid = unsafe { libc::fork() };
    check(pid.into()).map(|_| pid)
}

/// Lets debuggers read our memory again, if a child that shared it has changed that.
pub(crate) fn keep_dumpable() {
    // SAFETY: it sets a flag of this process. It cannot fail with a valid value.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) };
}

/// All signals blocked in this thread, until dropped: so that a new process cannot run a handler of
/// ours before it has reset them.
#[derive(Debug)]
pub(crate) struct SignalsBlocked(libc::sigset_t);

impl SignalsBlocked {
    pub(crate) fn new() -> SignalsBlocked {
        // SAFETY: all zeroes is a valid set.
        let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
        let mut before = all;
        // SAFETY: it writes to the set given.
        unsafe { libc::sigfillset(&raw mut all) };
        // SAFETY: both sets outlive the call. It cannot fail with valid arguments.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
        SignalsBlocked(before)
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: the set outlives the call.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut())
        };
    }
}

/// Gives every signal its default meaning and unblocks it. For a new process: allocates nothing.
pub(crate) fn default_signals() {
    /// The kernel's `struct sigaction` on every machine: handler, flags, restorer, mask.
    const DEFAULT: [u64; 4] = [0; 4];
    for signal in 1..=64 {
        // Past the C library, whose own records are those of the process that shares our memory.
        // SAFETY: the default action runs no code of ours. Those that cannot be set refuse.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                DEFAULT.as_ptr(),
                std::ptr::null_mut::<u64>(),
                size_of::<u64>(),
            )
        };
    }
    // SAFETY: all zeroes is the empty set.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set outlives the call.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
}

/// Gives `SIGCHLD` its default meaning if it is ignored.
pub(crate) fn keep_child_status() -> Result<(), Errno> {
    // SAFETY: all zeroes is a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: it only reads the present action into ours.
    let result = unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), &raw mut action) };
    check(result.into())?;
    if action.sa_sigaction == libc::SIG_IGN {
        // SAFETY: the default action runs no code of ours.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    }
    Ok(())
}

/// Closes a range of descriptors, both ends included. For a new process.
pub(crate) fn close_range(first: u32, last: u32) {
    /// How far descriptors are closed one by one where the kernel cannot (before 5.9).
    const SEARCHED: u32 = 4096;
    // SAFETY: this process is new and alone; whoever owned those descriptors is in another.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == -1 {
        for fd in first..=last.min(SEARCHED) {
            // SAFETY: as above.
            unsafe { libc::close(fd as c_int) };
        }
    }
}

/// `dup2(2)`: puts a descriptor at a fixed number, to be kept by `execve`. For a new process.
pub(crate) fn duplicate_to(fd: BorrowedFd<'_>, number: RawFd) -> Result<(), Errno> {
    // SAFETY: what was at that number belonged to another process.
    let result = unsafe { libc::dup2(fd.as_raw_fd(), number) };
    check(result.into()).map(drop)
}

/// `_exit(2)`: runs no destructor and no handler.
pub(crate) fn exit(status: c_int) -> ! {
    // SAFETY: it ends this process, which is new and has nothing to clean up.
    unsafe { libc::_exit(status) }
}

/// `execve(2)`; returns only to say why not. Both arrays end with a null.
pub(crate) fn execute(
    path: &CStr,
    arguments: &[*const c_char],
    environment: &[*const c_char],
) -> Errno {
    debug_assert!(arguments.ends_with(&[std::ptr::null()]));
    debug_assert!(environment.ends_with(&[std::ptr::null()]));
    // SAFETY: the arrays end with a null and point to strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::NOEXEC)
}

/// `prlimit(2)`: sets a limit of a process, 0 being this one.
pub(crate) fn set_limit(pid: i32, resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: the structure outlives the call, and there is no other to be written to.
    let result = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            pid,
            resource,
            std::ptr::from_ref(&limit),
            std::ptr::null_mut::<libc::rlimit64>(),
        )
    };
    check(result).map(drop)
}

/// `prlimit(2)`: a limit of a process, and what it may be raised to.
pub(crate) fn limit_of(pid: i32, resource: u32) -> Result<(u64, u64), Errno> {
    let mut limit = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: nothing is set, and the structure outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            pid,
            resource,
            std::ptr::null::<libc::rlimit64>(),
            std::ptr::from_mut(&mut limit),
        )
    };
    check(result).map(|_| (limit.rlim_cur, limit.rlim_max))
}

/// Loads a seccomp filter into this thread.
pub(crate) fn load_seccomp(instructions: &[Instruction]) -> Result<(), Errno> {
    let length = u16::try_from(instructions.len()).map_err(|_| Errno::TOOBIG)?;
    // `Instruction` has the layout of `sock_filter`, and the kernel only reads.
    let program = libc::sock_fprog {
        len: length,
        filter: instructions.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the program and its instructions outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            std::ptr::from_ref(&program),
        )
    };
    check(result).map(drop)
}

/// Moves to a new namespace of control groups. For a new process.
pub(crate) fn isolate_groups() -> Result<(), Errno> {
    // SAFETY: no memory or descriptor is unshared.
    let result = unsafe { libc::unshare(libc::CLONE_NEWCGROUP) };
    check(result.into()).map(drop)
}

/// Moves this thread to a new network namespace and brings its loopback interface up.
pub(crate) fn isolate_network() -> Result<(), Errno> {
    // SAFETY: no memory or descriptor is unshared.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    check(result.into())?;
    // SAFETY: it makes a descriptor out of nothing.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    check(socket.into())?;
    // SAFETY: it was made just now and nobody else knows of it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: all zeroes is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: the request names an interface and its new flags, and outlives the call.
    let result = unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS as _,
            &raw const request,
        )
    };
    check(result.into()).map(drop)
}

/// `pidfd_send_signal(2)` (Linux 5.1).
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: c_int) -> Result<(), Errno> {
    // SAFETY: no information structure is given, so nothing is read.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    check(result).map(drop)
}

/// A copy of the descriptor with this number (Linux 2.6.24), and the original closes on exec.
pub(crate) fn copy_of_number(number: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: copying takes nothing from whoever owns the number; if nobody does, it fails.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, libc::STDERR_FILENO + 1) };
    check(copy.into())?;
    // SAFETY: it was made just now and nobody else knows of it.
    let copy = unsafe { OwnedFd::from_raw_fd(copy) };
    // SAFETY: what closes on exec is the same for everything in this process.
    let result = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    check(result.into())?;
    Ok(copy)
}
