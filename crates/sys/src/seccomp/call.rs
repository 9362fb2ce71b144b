//! The calls by which a program learns of owners and identities, sets them, or makes files that have
//! some, by their numbers on this machine.

use std::ffi::c_long;

use crate::process::other;

/// A call about owners or identities, under whatever name a machine has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as its manual page is")]
pub enum Call {
    Chown,
    Lchown,
    Fchown,
    Fchownat,
    Stat,
    Lstat,
    Fstat,
    Fstatat,
    Statx,
    Access,
    Faccessat,
    Faccessat2,
    Open,
    Creat,
    Openat,
    Openat2,
    Mkdir,
    Mkdirat,
    Mknod,
    Mknodat,
    Symlink,
    Symlinkat,
    Execve,
    Execveat,
    Getuid,
    Geteuid,
    Getgid,
    Getegid,
    Getresuid,
    Getresgid,
    Getgroups,
    Setuid,
    Setgid,
    Setreuid,
    Setregid,
    Setresuid,
    Setresgid,
    Setfsuid,
    Setfsgid,
    Setgroups,
    Capset,
    Prctl,
    Getrlimit,
    Setrlimit,
    Prlimit,
}

/// When a call is about owners or identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// If an argument, by its index, has one of these bits.
    Bits(usize, u32),
    /// If an argument is this.
    Equal(usize, u32),
}

/// `O_WRONLY`, `O_RDWR`, `O_CREAT` and what `O_TMPFILE` adds to `O_DIRECTORY`: without them, opening
/// makes and changes nothing.
const CHANGES: u32 = 0o1 | 0o2 | 0o100 | 0o20_000_000;
/// `PR_SET_KEEPCAPS`.
const KEEP_CAPABILITIES: u32 = 8;

/// Those that every machine has.
const COMMON: [(c_long, Call); 35] = [
    (libc::SYS_fchown, Call::Fchown),
    (libc::SYS_fchownat, Call::Fchownat),
    (libc::SYS_fstat, Call::Fstat),
    (libc::SYS_newfstatat, Call::Fstatat),
    (libc::SYS_statx, Call::Statx),
    (libc::SYS_faccessat, Call::Faccessat),
    (libc::SYS_faccessat2, Call::Faccessat2),
    (libc::SYS_openat, Call::Openat),
    (libc::SYS_openat2, Call::Openat2),
    (libc::SYS_mkdirat, Call::Mkdirat),
    (libc::SYS_mknodat, Call::Mknodat),
    (libc::SYS_symlinkat, Call::Symlinkat),
    (libc::SYS_execve, Call::Execve),
    (libc::SYS_execveat, Call::Execveat),
    (libc::SYS_getuid, Call::Getuid),
    (libc::SYS_geteuid, Call::Geteuid),
    (libc::SYS_getgid, Call::Getgid),
    (libc::SYS_getegid, Call::Getegid),
    (libc::SYS_getresuid, Call::Getresuid),
    (libc::SYS_getresgid, Call::Getresgid),
    (libc::SYS_getgroups, Call::Getgroups),
    (libc::SYS_setuid, Call::Setuid),
    (libc::SYS_setgid, Call::Setgid),
    (libc::SYS_setreuid, Call::Setreuid),
    (libc::SYS_setregid, Call::Setregid),
    (libc::SYS_setresuid, Call::Setresuid),
    (libc::SYS_setresgid, Call::Setresgid),
    (libc::SYS_setfsuid, Call::Setfsuid),
    (libc::SYS_setfsgid, Call::Setfsgid),
    (libc::SYS_setgroups, Call::Setgroups),
    (libc::SYS_capset, Call::Capset),
    (libc::SYS_prctl, Call::Prctl),
    (libc::SYS_getrlimit, Call::Getrlimit),
    (libc::SYS_setrlimit, Call::Setrlimit),
    (libc::SYS_prlimit64, Call::Prlimit),
];

/// Those that only older machines have.
#[cfg(target_arch = "x86_64")]
const OLDER: [(c_long, Call); 10] = [
    (libc::SYS_chown, Call::Chown),
    (libc::SYS_lchown, Call::Lchown),
    (libc::SYS_stat, Call::Stat),
    (libc::SYS_lstat, Call::Lstat),
    (libc::SYS_access, Call::Access),
    (libc::SYS_open, Call::Open),
    (libc::SYS_creat, Call::Creat),
    (libc::SYS_mkdir, Call::Mkdir),
    (libc::SYS_mknod, Call::Mknod),
    (libc::SYS_symlink, Call::Symlink),
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: [(c_long, Call); 0] = [];

impl Call {
    /// All that this machine has, with their numbers.
    pub fn all() -> impl Iterator<Item = (u32, Call)> {
        let all = COMMON.iter().chain(&OLDER);
        all.filter_map(|(number, call)| Some((u32::try_from(*number).ok()?, *call)))
    }

    /// The one of this number.
    #[must_use]
    pub fn of(number: u32) -> Option<Call> {
        Call::all()
            .find(|(known, _)| *known == number)
            .map(|(_, call)| call)
    }

    /// When it matters. Limits do where they are what we keep with a process.
    #[must_use]
    pub const fn when(self) -> When {
        match self {
            Call::Open => When::Bits(1, CHANGES),
            Call::Openat => When::Bits(2, CHANGES),
            Call::Prctl => When::Equal(0, KEEP_CAPABILITIES),
            Call::Getrlimit | Call::Setrlimit => When::Equal(0, other::UNUSED_LIMIT),
            Call::Prlimit => When::Equal(1, other::UNUSED_LIMIT),
            _ => When::Always,
        }
    }
}
