//! An image registry on loopback: Debian's `docker-registry`, alive as long as its guard.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::{command, packages};

/// How long the registry may take until it answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a port may turn out to be taken by somebody else.
const TRIES: usize = 5;

/// Whether clients may push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadOnly,
    ReadWrite,
}

/// A running registry. It ends when this is dropped, and when this process dies.
#[derive(Debug)]
pub(crate) struct Registry {
    server: Child,
    port: u16,
    _config: TempDir,
}

impl Registry {
    /// Serves what is in the folder `storage`, on a free port.
    pub(crate) fn start(storage: &Path, access: Access) -> Result<Self> {
        packages::ensure(&[packages::REGISTRY])?;
        std::fs::create_dir_all(storage).with_context(|| storage.display().to_string())?;
        for _ in 0..TRIES {
            if let Some(registry) = Self::try_start(storage, access)? {
                return Ok(registry);
            }
        }
        bail!("docker-registry did not start on any of {TRIES} ports")
    }

    /// Where it listens, as in the name of an image.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Nothing, when the server ended at once: then somebody else took the port first.
    fn try_start(storage: &Path, access: Access) -> Result<Option<Self>> {
        let port = free_port()?;
        let config = TempDir::with_prefix("kiln-registry-")?;
        let path = config.path().join("config.yml");
        std::fs::write(&path, configuration(storage, port, access))?;
        // The parent-death signal leaves no server behind when this process is killed.
        let mut server = command::program("setpriv")
            .args(["--pdeathsig", "KILL", "docker-registry", "serve"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start docker-registry")?;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if server.try_wait()?.is_some() {
                return Ok(None);
            }
            if TcpStream::connect_timeout(&address.into(), PATIENCE).is_ok() {
                return Ok(Some(Self {
                    server,
                    port,
                    _config: config,
                }));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        stop(&mut server);
        bail!("docker-registry does not answer on {address}")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        stop(&mut self.server);
    }
}

/// Failures mean that the server is gone already, which is what is wanted.
fn stop(server: &mut Child) {
    drop(server.kill());
    drop(server.wait());
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

fn configuration(storage: &Path, port: u16, access: Access) -> String {
    let read_only = access == Access::ReadOnly;
    format!(
        "version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: {}
  delete:
    enabled: true
  maintenance:
    uploadpurging:
      enabled: false
    readonly:
      enabled: {read_only}
http:
  addr: 127.0.0.1:{port}
",
        storage.display()
    )
}
