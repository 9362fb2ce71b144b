//! Where the program may be.

use std::ffi::CString;

use sys::process::{Candidates, Execute};

use super::text;
use crate::error::SandboxError;
use crate::spec::Process;

/// What to execute, with the places to look for it: the process itself looks, as it sees the root.
pub(super) fn execute(process: &Process) -> Result<Execute, SandboxError> {
    let program = process.args.first().ok_or(SandboxError::NoCommand)?;
    let candidates = if program.contains('/') {
        Candidates::Path(text("argument", program)?)
    } else {
        let paths = search(&process.env, program).map(|path| text("PATH", &path));
        Candidates::Search(paths.collect::<Result<_, _>>()?)
    };
    let all = |what, texts: &[String]| -> Result<Vec<CString>, SandboxError> {
        texts.iter().map(|entry| text(what, entry)).collect()
    };
    Ok(Execute {
        candidates,
        arguments: all("argument", &process.args)?,
        environment: all("environment variable", &process.env)?,
    })
}

/// The path of the candidate with this index, to tell of it.
pub(crate) fn candidate(process: &Process, index: usize) -> Option<String> {
    let program = process.args.first()?;
    if program.contains('/') {
        return Some(program.clone());
    }
    search(&process.env, program).nth(index)
}

/// The program in each directory of the last `PATH`; an empty entry is the working directory.
fn search<'a>(env: &'a [String], program: &'a str) -> impl Iterator<Item = String> + 'a {
    let path = env
        .iter()
        .rev()
        .find_map(|entry| entry.strip_prefix("PATH="));
    path.into_iter()
        .flat_map(|path| path.split(':'))
        .map(move |directory| match directory {
            "" => format!("./{program}"),
            _ => format!("{}/{program}", directory.trim_end_matches('/')),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::User;
    use sys::capability::CapabilitySet;

    #[test]
    fn places_to_look() {
        let process = |program: &str, path: &str| Process {
            args: vec![program.into()],
            env: vec!["PATH=/first".into(), path.into()],
            cwd: "/".into(),
            user: User::root(),
            capabilities: CapabilitySet::EMPTY,
            no_new_privileges: false,
        };
        let check = |program: &str, path: &str, expected: &[&str]| {
            let process = process(program, path);
            let found: Vec<_> = (0..)
                .map_while(|index| candidate(&process, index))
                .take(9)
                .collect();
            assert_eq!(found[..expected.len()], *expected);
        };
        check(
            "sh",
            "PATH=/bin:/usr/bin/:",
            &["/bin/sh", "/usr/bin/sh", "./sh"],
        );
        check("./sh", "PATH=/bin", &["./sh"]);
        check("sh", "X=1", &["/first/sh"]);
        assert!(matches!(
            execute(&process("a\0", "PATH=/")),
            Err(SandboxError::NulByte { .. })
        ));
    }
}
