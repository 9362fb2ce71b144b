//! `kiln serve`: answers clients until it is told to stop.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use daemon::{Daemon, Identity, serve};
use engine::Engine;
use rustix::fs::Mode;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::session::Session;
use crate::args::system::Serve;
use crate::environment::Environment;
use crate::error::{CliError, Error, choice};

/// Who may open the socket owns the machine.
const MODE: u32 = 0o660;

/// Listens, and answers until a signal.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Serve) -> Result<(), Error> {
    let path = socket_path(args.host.as_deref(), session.environment)?;
    let group = args.group.as_deref().map(group).transpose()?;
    let options = session.engine_options()?;
    let identity = Identity {
        version: env!("CARGO_PKG_VERSION"),
        root: options.root.clone(),
    };
    // What is wrong with the store is told now rather than to the first client.
    drop(session.engine()?);
    let daemon = Daemon::new(Box::new(move || Engine::open(options.clone())), identity);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    runtime.block_on(async {
        let socket = Socket::bind(&path, group)?;
        session.ui.say(&format!("listening on {}", path.display()));
        let stop = CancellationToken::new();
        let Socket { listener, _guard } = socket;
        tokio::join!(serve(listener, daemon, stop.clone()), until_signal(stop));
        Ok(())
    })
}

/// A socket that clients find, until it is dropped.
struct Socket {
    listener: UnixListener,
    _guard: Unlink,
}

struct Unlink(PathBuf);

impl Drop for Unlink {
    fn drop(&mut self) {
        // Somebody may have removed it, which is what is wanted.
        drop(fs::remove_file(&self.0));
    }
}

impl Socket {
    fn bind(path: &Path, group: Option<u32>) -> Result<Self, Error> {
        let failed = |action| {
            let path = path.to_path_buf();
            move |source| CliError::File {
                action,
                path,
                source,
            }
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed("make the directory of"))?;
        }
        remove_dead(path)?;
        // Nobody may open it before its group and mode are what they should be.
        let before = rustix::process::umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = bound.map_err(failed("listen on"))?;
        let guard = Unlink(path.to_path_buf());
        if let Some(group) = group {
            std::os::unix::fs::chown(path, None, Some(group)).map_err(failed("give away"))?;
        }
        let mode = fs::Permissions::from_mode(MODE);
        fs::set_permissions(path, mode).map_err(failed("set the mode of"))?;
        Ok(Self {
            listener,
            _guard: guard,
        })
    }
}

/// Removes the socket of a daemon that died.
fn remove_dead(path: &Path) -> Result<(), Error> {
    let in_the_way = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(_) => return Ok(()),
    };
    let shown = path.display();
    if !in_the_way.is_socket() {
        return Err(Error::new(format!("{shown} is there and no socket")));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|source| {
                let (action, path) = ("remove", path.to_path_buf());
                CliError::File {
                    action,
                    path,
                    source,
                }
            })?;
            Ok(())
        }
        _ => Err(Error::new(format!("somebody listens on {shown} already"))),
    }
}

async fn until_signal(stop: CancellationToken) {
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        // Without handlers a signal ends the process, as the kernel has it.
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    stop.cancel();
}

fn socket_path(host: Option<&str>, environment: &Environment) -> Result<PathBuf, Error> {
    match host {
        Some(host) => match host.strip_prefix("unix://") {
            Some(path) if !path.is_empty() => Ok(environment.absolute(Path::new(path))),
            _ => Err(choice(
                "--host",
                host,
                "kiln listens on sockets of this machine: unix://PATH",
            )),
        },
        None if environment.is_root => Ok(PathBuf::from("/run/kiln/kiln.sock")),
        None => match environment.os("XDG_RUNTIME_DIR") {
            Some(directory) => Ok(Path::new(directory).join("kiln/kiln.sock")),
            None => Err(Error::new("XDG_RUNTIME_DIR is not set")
                .hint("say where to listen with --host unix://PATH")),
        },
    }
}

/// The number of the machine's group of this name, or the number itself.
fn group(name: &str) -> Result<u32, Error> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let text = fs::read_to_string("/etc/group").unwrap_or_default();
    let number = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    });
    number.ok_or_else(|| choice("--group", name, "there is no such group"))
}
