//! Who a process is: asked for, and changed.

use rustix::io::Errno;
use sys::process::other;
use sys::seccomp::Call;

use super::call::Answer;
use super::caller::Caller;
use super::credentials::Ids;
use super::table::Table;

/// As many groups as the kernel lets a process have.
const MAX_GROUPS: u32 = 65_536;

/// `getuid(2)`, `setuid(2)` and the like.
pub(super) fn identity(
    call: Call,
    caller: &Caller<'_>,
    table: &mut Table,
) -> Result<Answer, Errno> {
    let now = table.get(caller.pid())?;
    let value = match call {
        Call::Getuid => now.user.real,
        Call::Geteuid => now.user.effective,
        Call::Getgid => now.group.real,
        Call::Getegid => now.group.effective,
        Call::Getresuid => return write_three(caller, now.user),
        Call::Getresgid => return write_three(caller, now.group),
        Call::Getgroups => return write_groups(caller, &now.groups),
        Call::Setgroups => return set_groups(caller, table),
        Call::Capset | Call::Prctl => return set_rights(call, caller, table),
        Call::Getrlimit | Call::Setrlimit | Call::Prlimit => return limit(call, caller),
        _ => return set(call, caller, table),
    };
    Ok(Answer::Value(value.into()))
}

fn write_three(caller: &Caller<'_>, ids: Ids) -> Result<Answer, Errno> {
    for (index, id) in [ids.real, ids.effective, ids.saved].into_iter().enumerate() {
        caller.write(caller.long(index), &id.to_ne_bytes())?;
    }
    Ok(Answer::Value(0))
}

fn write_groups(caller: &Caller<'_>, groups: &[u32]) -> Result<Answer, Errno> {
    let count = groups.len();
    let room = caller.number(0).cast_signed();
    if room != 0 {
        if usize::try_from(room).map_or(true, |room| room < count) {
            return Err(Errno::INVAL);
        }
        let bytes: Vec<u8> = groups
            .iter()
            .flat_map(|group| group.to_ne_bytes())
            .collect();
        if count > 0 {
            caller.write(caller.long(1), &bytes)?;
        }
    }
    Ok(Answer::Value(i64::try_from(count).unwrap_or(0)))
}

fn set_groups(caller: &Caller<'_>, table: &mut Table) -> Result<Answer, Errno> {
    let mut credentials = table.get(caller.pid())?.clone();
    let count = caller.number(0);
    if !credentials.is_privileged() {
        return Err(Errno::PERM);
    }
    if count > MAX_GROUPS {
        return Err(Errno::INVAL);
    }
    let mut bytes = vec![0; 4 * count as usize];
    if count > 0 && other::read_memory(caller.pid(), caller.long(1), &mut bytes)? < bytes.len() {
        return Err(Errno::FAULT);
    }
    let groups = bytes.as_chunks().0.iter();
    credentials.groups = groups.map(|group| u32::from_ne_bytes(*group)).collect();
    credentials.groups.sort_unstable();
    caller.check()?;
    table.set(caller.pid(), credentials)?;
    Ok(Answer::Value(0))
}

/// The kernel does it as well, with rights that for it are never lost.
fn set_rights(call: Call, caller: &Caller<'_>, table: &mut Table) -> Result<Answer, Errno> {
    let before = table.get(caller.pid())?;
    let mut after = before.clone();
    match call {
        Call::Capset => after = after.taking_up_rights(),
        _ => after.rights.keeps = caller.long(1) == 1,
    }
    if after != *before {
        caller.check()?;
        table.set(caller.pid(), after)?;
    }
    Ok(Answer::Pass)
}

/// The limit that tells us who a process is has no meaning, and looks as if nobody had set it.
fn limit(call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
    let to = match call {
        Call::Getrlimit => caller.long(1),
        Call::Prlimit => caller.long(3),
        _ => 0,
    };
    if to != 0 {
        caller.write(to, &[0xff; 16])?;
    }
    Ok(Answer::Value(0))
}

fn set(call: Call, caller: &Caller<'_>, table: &mut Table) -> Result<Answer, Errno> {
    let mut credentials = table.get(caller.pid())?.clone();
    let before = credentials.clone();
    let is_privileged = credentials.is_privileged();
    let of_users = matches!(
        call,
        Call::Setuid | Call::Setreuid | Call::Setresuid | Call::Setfsuid
    );
    let ids = if of_users {
        credentials.user
    } else {
        credentials.group
    };
    let [first, second, third] = [0, 1, 2].map(|index| caller.number(index));
    let mut result = 0;
    let ids = match call {
        Call::Setuid | Call::Setgid => ids.set(first, is_privileged)?,
        Call::Setreuid | Call::Setregid => ids.set_two(first, second, is_privileged)?,
        Call::Setresuid | Call::Setresgid => {
            ids.set_three([first, second, third], is_privileged)?
        }
        _ => {
            result = ids.file.into();
            ids.set_for_files(first, is_privileged)
        }
    };
    if of_users {
        credentials = credentials.with_users(ids);
    } else {
        credentials.group = ids;
    }
    if credentials != before {
        caller.check()?;
        table.set(caller.pid(), credentials)?;
    }
    Ok(Answer::Value(result))
}
