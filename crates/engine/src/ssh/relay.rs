//! An SSH agent as a step sees it: a socket of its own that passes requests on.
//!
//! When the relay is dropped, the socket and all connections through it are gone.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sys::owner::{self, Owner};

use super::{LIST, REFUSAL, SIGN, SshAgent};

/// Connections at a time; whoever comes then is turned away.
const MAX_CONNECTIONS: usize = 64;
/// The largest message that agents take.
const MAX_MESSAGE: usize = 256 << 10;

/// A socket that stands for an agent.
#[derive(Debug)]
pub(crate) struct Relay {
    listener: Arc<UnixListener>,
    connections: Arc<Connections>,
    path: PathBuf,
}

/// The connections that are open, by the order in which they came.
#[derive(Debug, Default)]
struct Connections(Mutex<BTreeMap<u64, UnixStream>>);

impl Connections {
    /// Notes one, unless there are too many.
    fn add(&self, number: u64, client: UnixStream) -> bool {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = open.len() < MAX_CONNECTIONS;
        if has_room {
            open.insert(number, client);
        }
        has_room
    }

    fn end(&self, number: u64) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = open.remove(&number) {
            // The other side may have been first.
            let _ = client.shutdown(Shutdown::Both);
        }
    }

    fn end_all(&self) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, client) in std::mem::take(&mut *open) {
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

impl Relay {
    /// Begins to listen at `path` for `agent`.
    pub(crate) fn start(
        agent: &SshAgent,
        path: &Path,
        mode: u32,
        (uid, gid): (u32, u32),
    ) -> io::Result<Self> {
        let listener = Arc::new(bind(path)?);
        let relay = Self {
            listener: Arc::clone(&listener),
            connections: Arc::default(),
            path: path.to_owned(),
        };
        owner::give_path(path, Owner { uid, gid })?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        let (agent, connections) = (agent.clone(), Arc::clone(&relay.connections));
        std::thread::Builder::new()
            .name("kiln-ssh".to_owned())
            .spawn(move || accept(&listener, &agent, &connections))?;
        Ok(relay)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Whoever waits in the two threads is woken by this; what is gone already is as it should be.
        let _ = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
        self.connections.end_all();
        let _ = std::fs::remove_file(&self.path);
    }
}

impl SshAgent {
    /// A connection to the agent, on which all that it does for steps can be asked of it.
    ///
    /// # Errors
    /// There can be none.
    pub fn connect(&self) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        let agent = self.clone();
        let pass = move || {
            // Whoever asks sees its connection end, as with an agent that is gone.
            let _ = serve(&theirs, &agent);
        };
        let thread = std::thread::Builder::new().name("kiln-ssh".to_owned());
        thread.spawn(pass)?;
        Ok(ours)
    }
}

/// Through its directory, since an address has room for 107 bytes only.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let directory = std::fs::File::open(directory)?;
    let short = format!("/proc/self/fd/{}", directory.as_raw_fd());
    UnixListener::bind(Path::new(&short).join(name))
}

fn accept(listener: &UnixListener, agent: &SshAgent, connections: &Arc<Connections>) {
    for number in 0.. {
        let Ok((client, _)) = listener.accept() else {
            return;
        };
        let is_kept = client
            .try_clone()
            .is_ok_and(|kept| connections.add(number, kept));
        if !is_kept {
            continue;
        }
        let (agent, connections) = (agent.clone(), Arc::clone(connections));
        let pass = move || {
            // A step that is not served sees its connection end, as with an agent that is gone.
            let _ = serve(&client, &agent);
            connections.end(number);
        };
        let thread = std::thread::Builder::new().name(format!("kiln-ssh-{number}"));
        if thread.spawn(pass).is_err() {
            return;
        }
    }
}

fn serve(mut client: &UnixStream, agent: &SshAgent) -> io::Result<()> {
    let mut agent = match agent {
        SshAgent::Socket(path) => UnixStream::connect(path)?,
        SshAgent::Keys(keys) => loop {
            let request = read(&mut client)?;
            write(&mut client, &keys.answer(&request))?;
        },
    };
    loop {
        let request = read(&mut client)?;
        match request.first() {
            Some(&(LIST | SIGN)) => {
                write(&mut agent, &request)?;
                write(&mut client, &read(&mut agent)?)?;
            }
            _ => write(&mut client, REFUSAL)?,
        }
    }
}

fn read(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_MESSAGE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length];
    from.read_exact(&mut message)?;
    Ok(message)
}

fn write(to: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    to.write_all(&[&length.to_be_bytes(), message].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let scratch = tempfile::tempdir().unwrap();
        // Longer than an address may be.
        let long = scratch.path().join("d".repeat(120));
        std::fs::create_dir(&long).unwrap();
        let agent = scratch.path().join("agent");
        let real = UnixListener::bind(&agent).unwrap();
        let answers = std::thread::spawn(move || {
            let (mut client, _) = real.accept().unwrap();
            let mut seen = Vec::new();
            while let Ok(request) = read(&mut client) {
                write(&mut client, &[&[request[0] + 1], &request[1..]].concat()).unwrap();
                seen.push(request);
            }
            seen
        });
        let socket = long.join("socket");
        let owner = std::fs::metadata(&long).unwrap();
        let owner = {
            use std::os::unix::fs::MetadataExt as _;
            (owner.uid(), owner.gid())
        };
        let relay = Relay::start(&SshAgent::Socket(agent), &socket, 0o640, owner).unwrap();
        let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let link = scratch.path().join("s");
        std::os::unix::fs::symlink(&socket, &link).unwrap();
        let mut step = UnixStream::connect(&link).unwrap();
        for (request, expected) in [
            (&[11][..], &[12][..]),
            (&[13, 1, 2], &[14, 1, 2]),
            (&[17, 1], REFUSAL),
            (&[19], REFUSAL),
            (&[22, 0], REFUSAL),
            (&[], REFUSAL),
        ] {
            write(&mut step, request).unwrap();
            assert_eq!(read(&mut step).unwrap(), expected, "{request:?}");
        }
        // As many as there may be with this one; one more is turned away.
        let mut others: Vec<UnixStream> = (1..MAX_CONNECTIONS)
            .map(|_| UnixStream::connect(&link).unwrap())
            .collect();
        let mut last = others.pop().unwrap();
        write(&mut last, &[17]).unwrap();
        assert_eq!(read(&mut last).unwrap(), REFUSAL);
        let mut refused = UnixStream::connect(&link).unwrap();
        assert!(read(&mut refused).is_err());
        drop(relay);
        assert!(read(&mut step).is_err());
        assert!(!socket.exists());
        assert_eq!(answers.join().unwrap(), [vec![11], vec![13, 1, 2]]);
    }
}
