//! One call of a plugin: a program that is told by its environment and standard input, and answers on
//! its standard output.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::time::Timespec;
use serde::Deserialize;
use serde_json::Value;
use sys::process::{
    Candidates, Child, Execute, Exit, Host, Namespaces, Program, SpawnError, Stack, Step, spawn,
};

use super::error::CniError;

/// A plugin that takes longer has come to a stop.
const PATIENCE: Timespec = Timespec {
    tv_sec: 120,
    tv_nsec: 0,
};
/// More is not read of what a plugin writes.
const MOST: u64 = 1 << 20;
/// The name of the interface that a network gets.
const INTERFACE: &str = "eth0";

/// What a plugin is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Add,
    Delete,
}

impl Command {
    const fn name(self) -> &'static str {
        match self {
            Command::Add => "ADD",
            Command::Delete => "DEL",
        }
    }
}

/// What all plugins of one network are told by their environment.
pub(super) struct Caller<'a> {
    /// The network's name.
    pub(super) network: &'a str,
    /// By which plugins know the process.
    pub(super) id: &'a str,
    /// Where the network is kept; none if it is gone.
    pub(super) place: Option<&'a Path>,
    /// The process's host name, if one was chosen.
    pub(super) hostname: Option<&'a str>,
    /// The directories of plugins.
    pub(super) plugins: &'a [PathBuf],
    /// The directories of the programs that plugins use.
    pub(super) programs: &'a [PathBuf],
}

/// How plugins tell of failure.
#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    msg: String,
    #[serde(default)]
    details: String,
}

/// What a plugin has written, to its standard output and error.
struct Said {
    exit: Exit,
    output: Vec<u8>,
    complaints: Vec<u8>,
}

impl Caller<'_> {
    /// Calls a plugin, and waits until it has ended; its result when it adds something.
    pub(super) fn call(
        &self,
        command: Command,
        plugin: &str,
        request: &Value,
    ) -> Result<Option<Value>, CniError> {
        let failed = |said: String| CniError::Plugin {
            plugin: plugin.to_owned(),
            network: self.network.to_owned(),
            command: command.name(),
            said,
        };
        let path = find(plugin, self.network, self.plugins)?;
        let environment = self.environment(command);
        let said = run(&path, &environment, request, &PATIENCE);
        let said = said.map_err(|error| failed(error.to_string()))?;
        if said.exit != Exit::Code(0) {
            return Err(failed(said.reason()));
        }
        match command {
            Command::Delete => Ok(None),
            Command::Add => match serde_json::from_slice(&said.output) {
                Ok(result @ Value::Object(_)) => Ok(Some(result)),
                Ok(_) => Err(failed("its result is no JSON object".to_owned())),
                Err(error) => Err(failed(format!("its result is no JSON: {error}"))),
            },
        }
    }

    fn environment(&self, command: Command) -> Vec<Vec<u8>> {
        let place = self
            .place
            .map_or(&b""[..], |path| path.as_os_str().as_bytes());
        let arguments = self.hostname.map(|name| {
            let words = format!("K8S_POD_NAME={name};IgnoreUnknown=1");
            variable("CNI_ARGS", words.as_bytes())
        });
        let always = [
            variable("PATH", &joined(self.programs)),
            variable("CNI_PATH", &joined(self.plugins)),
            variable("CNI_COMMAND", command.name().as_bytes()),
            variable("CNI_CONTAINERID", self.id.as_bytes()),
            variable("CNI_NETNS", place),
            variable("CNI_IFNAME", INTERFACE.as_bytes()),
        ];
        always.into_iter().chain(arguments).collect()
    }
}

/// Where a plugin is.
///
/// # Errors
/// No directory has it.
pub(super) fn find(
    plugin: &str,
    network: &str,
    directories: &[PathBuf],
) -> Result<PathBuf, CniError> {
    let mut paths = directories.iter().map(|directory| directory.join(plugin));
    let found = paths.find(|path| path.is_file());
    found.ok_or_else(|| CniError::Missing {
        plugin: plugin.to_owned(),
        network: network.to_owned(),
        directories: directories.to_vec(),
    })
}

fn variable(name: &str, value: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b"=", value].concat()
}

fn joined(directories: &[PathBuf]) -> Vec<u8> {
    let bytes = directories.iter().map(|path| path.as_os_str().as_bytes());
    bytes.collect::<Vec<_>>().join(&b':')
}

impl Said {
    /// Why it has failed: its own words, else what it has complained of, else how it ended.
    fn reason(&self) -> String {
        if let Ok(Failure { msg, details }) = serde_json::from_slice(&self.output)
            && !msg.is_empty()
        {
            return match details.is_empty() {
                true => msg,
                false => format!("{msg}; {details}"),
            };
        }
        let text = |bytes| String::from_utf8_lossy(bytes).trim().replace('\n', "; ");
        let complaints = [text(&self.complaints), text(&self.output)];
        let complaint = complaints.into_iter().find(|text| !text.is_empty());
        complaint.unwrap_or_else(|| match self.exit {
            Exit::Code(code) => format!("it ended with exit code {code}"),
            Exit::Signal(signal) => format!("it ended by signal {signal}"),
        })
    }
}

/// Runs a program that sees what we see. Its input and output are files in memory: so whoever it
/// leaves running keeps nobody waiting.
fn run(
    path: &Path,
    environment: &[Vec<u8>],
    request: &Value,
    patience: &Timespec,
) -> io::Result<Said> {
    let mut input = memory()?;
    input.write_all(request.to_string().as_bytes())?;
    input.rewind()?;
    let (output, complaints) = (memory()?, memory()?);
    let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::from);
    let path = path.as_os_str().as_bytes();
    let program = Program {
        stdio: [
            input.into(),
            output.try_clone()?.into(),
            complaints.try_clone()?.into(),
        ],
        // What a terminal sends to its foreground processes is not for it: it has work to finish.
        steps: vec![Step::NewSession],
        execute: Execute {
            candidates: Candidates::Path(text(path)?),
            arguments: vec![text(path)?],
            environment: environment
                .iter()
                .map(|variable| text(variable))
                .collect::<Result<_, _>>()?,
        },
    };
    // This thread stands still until it has ended, as whoever starts a process has to.
    let started = spawn(&Host::new()?, &mut Stack::new(), Namespaces::NONE, program);
    let child = started.map_err(|error| match error {
        SpawnError::Start(error) => error,
        SpawnError::Failed(failure) => io::Error::from_raw_os_error(failure.errno),
    })?;
    Ok(Said {
        exit: end(&child, patience)?,
        output: written(output)?,
        complaints: written(complaints)?,
    })
}

fn memory() -> io::Result<File> {
    Ok(memfd_create("cni", MemfdFlags::CLOEXEC)?.into())
}

fn written(mut file: File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    file.rewind()?;
    file.take(MOST).read_to_end(&mut text)?;
    Ok(text)
}

/// Waits for its end. One that takes too long is ended with all that it has started, which would go on
/// to change the network behind whoever takes it down.
fn end(child: &Child, patience: &Timespec) -> io::Result<Exit> {
    let pidfd = child.pidfd();
    loop {
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(patience)) {
            Err(Errno::INTR) => {}
            Ok(0) => {
                child.kill_group()?;
                child.wait()?;
                return Err(io::Error::other("it does not come to an end"));
            }
            result => {
                result?;
                return child.wait();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(exit: Exit, output: &str, complaints: &str) -> String {
        let said = Said {
            exit,
            output: output.into(),
            complaints: complaints.into(),
        };
        said.reason()
    }

    #[test]
    fn why_it_failed() {
        let one = Exit::Code(1);
        let text = r#"{"code":11,"msg":"no address","details":"all taken"}"#;
        assert_eq!(reason(one, text, "x"), "no address; all taken");
        assert_eq!(reason(one, r#"{"code":1,"msg":"no"}"#, ""), "no");
        assert_eq!(reason(one, "{}", " a\nb\n"), "a; b");
        assert_eq!(reason(one, "oops\n", ""), "oops");
        assert_eq!(reason(one, "", ""), "it ended with exit code 1");
        assert_eq!(reason(Exit::Signal(9), "", ""), "it ended by signal 9");
    }

    /// Whether a process is there; one that has ended and that nobody has waited for is not.
    fn is_there(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn what_takes_too_long_ends_with_what_it_has_started() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        let script = format!(
            "#!/bin/sh\nsleep 1000 & echo $! >{0}\nmv {0} {1}\nwait\n",
            at("new").display(),
            at("child").display()
        );
        std::fs::write(at("plugin"), script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(at("plugin"), mode).unwrap();
        let environment = [b"PATH=/usr/bin:/bin".to_vec()];
        let patience = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        let said = run(&at("plugin"), &environment, &Value::Null, &patience);
        let error = said.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("it does not come to an end"));
        let child = std::fs::read_to_string(at("child")).unwrap();
        for _ in 0..100 {
            if !is_there(child.trim()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{child} goes on");
    }
}
