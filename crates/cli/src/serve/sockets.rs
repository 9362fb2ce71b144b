//! What the daemon listens on: sockets of this machine, TCP, and what systemd hands over
//! (sd_listen_fds(3)).

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use daemon::{Listener, Tls, TlsFiles};
use engine::ServeConfig;
use rustix::fs::Mode;
use rustix::process::getpid;
use tokio::net::UnixListener;

use crate::environment::Environment;
use crate::error::{CliError, Error, choice};

/// Who may open the socket owns the machine.
const MODE: u32 = 0o660;
/// The first descriptor that systemd hands over.
const FIRST_HANDED: i32 = 3;
/// More are not handed over.
const MAX_HANDED: i32 = 64;

/// All that is listened on, until it is dropped.
pub(super) struct Sockets {
    pub(super) listeners: Vec<Listener>,
    /// Where, in the words of `--host`.
    pub(super) shown: Vec<String>,
    /// Sockets that clients find as long as these live.
    names: Vec<Unlink>,
}

/// Removes a socket's name when it is dropped.
struct Unlink(PathBuf);

impl Drop for Unlink {
    fn drop(&mut self) {
        // Somebody may have removed it, which is what is wanted.
        drop(fs::remove_file(&self.0));
    }
}

impl Sockets {
    /// Listens on all that the configuration names, or else on `usual`.
    pub(super) async fn open(
        config: &ServeConfig,
        usual: &Path,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let mut opening = Opening {
            owner: (config.user, config.group.as_deref().map(group).transpose()?),
            tls: tls(config, environment)?,
            environment,
            sockets: Self {
                listeners: Vec::new(),
                shown: Vec::new(),
                names: Vec::new(),
            },
        };
        if config.hosts.is_empty() {
            opening.bind(usual)?;
        }
        for host in &config.hosts {
            opening.host(host).await?;
        }
        if let Some(address) = &config.metrics {
            let listener = Listener::metrics(address).await;
            opening.add_tcp("http", listener.map_err(CliError::Listen)?);
        }
        Ok(opening.sockets)
    }
}

struct Opening<'a> {
    owner: (Option<u32>, Option<u32>),
    tls: Option<Tls>,
    environment: &'a Environment,
    sockets: Sockets,
}

impl Opening<'_> {
    async fn host(&mut self, host: &str) -> Result<(), Error> {
        match host.split_once("://") {
            Some(("unix", path)) if !path.is_empty() => {
                self.bind(&self.environment.absolute(Path::new(path)))
            }
            Some(("tcp", address)) if !address.is_empty() => {
                let Some(tls) = &self.tls else {
                    return Err(no_tls(host));
                };
                let listener = Listener::tcp(address, tls).await;
                self.add_tcp("tcp", listener.map_err(CliError::Listen)?);
                Ok(())
            }
            Some(("fd", "" | "*")) => self.take_handed(),
            _ => {
                let expected = "kiln listens on unix://PATH, tcp://ADDRESS:PORT and fd://";
                Err(choice("--host", host, expected))
            }
        }
    }

    fn add(&mut self, listener: Listener, shown: String) {
        self.sockets.listeners.push(listener);
        self.sockets.shown.push(shown);
    }

    fn add_tcp(&mut self, scheme: &str, listener: Listener) {
        let address = listener.address().map(|address| address.to_string());
        let shown = format!("{scheme}://{}", address.unwrap_or_default());
        self.add(listener, shown);
    }

    fn bind(&mut self, path: &Path) -> Result<(), Error> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed("make the directory of", path))?;
        }
        remove_dead(path)?;
        // Nobody may open it before its owner and mode are what they should be.
        let before = rustix::process::umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = bound.map_err(failed("listen on", path))?;
        self.sockets.names.push(Unlink(path.to_path_buf()));
        if let (user, group) = self.owner
            && (user.is_some() || group.is_some())
        {
            let given = std::os::unix::fs::chown(path, user, group);
            given.map_err(failed("give away", path))?;
        }
        let mode = fs::Permissions::from_mode(MODE);
        fs::set_permissions(path, mode).map_err(failed("set the mode of", path))?;
        self.add(listener.into(), format!("unix://{}", path.display()));
        Ok(())
    }

    /// The sockets that whoever started this process listens on already.
    fn take_handed(&mut self) -> Result<(), Error> {
        let number = |name| {
            let text = self.environment.text(name)?;
            Ok::<Option<i32>, Error>(text.and_then(|text| text.parse().ok()))
        };
        let count = number("LISTEN_FDS")?.filter(|count| (1..=MAX_HANDED).contains(count));
        let is_ours = number("LISTEN_PID")? == Some(getpid().as_raw_nonzero().get());
        let Some(count) = count.filter(|_| is_ours) else {
            let message = "no socket was handed over: LISTEN_PID and LISTEN_FDS name none";
            return Err(Error::new(message)
                .hint("start kiln by a socket unit of systemd, or listen on unix://PATH"));
        };
        for number in FIRST_HANDED..FIRST_HANDED + count {
            let listener = Listener::handed(number, self.tls.as_ref());
            self.add(
                listener.map_err(CliError::Listen)?,
                format!("fd://{number}"),
            );
        }
        Ok(())
    }
}

/// TCP is for those who show certificates, and for nobody else.
fn no_tls(host: &str) -> Error {
    let message = format!("{host}: kiln listens on TCP only with certificates on both sides");
    Error::new(message)
        .hint("add --tlscacert FILE --tlscert FILE --tlskey FILE, or let clients come by ssh://")
}

fn tls(config: &ServeConfig, environment: &Environment) -> Result<Option<Tls>, Error> {
    let Some(files) = &config.tls else {
        return Ok(None);
    };
    let files = TlsFiles {
        authority: environment.absolute(&files.ca),
        certificate: environment.absolute(&files.certificate),
        key: environment.absolute(&files.key),
    };
    Ok(Some(Tls::read(&files).map_err(CliError::Listen)?))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_path_buf();
    move |source| CliError::File {
        action,
        path,
        source,
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
            Ok(fs::remove_file(path).map_err(failed("remove", path))?)
        }
        _ => Err(Error::new(format!("somebody listens on {shown} already"))),
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
