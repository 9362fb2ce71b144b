//! SSH agents of a client: a socket here, whose connections are carried to the client's agent.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bollard_buildkit_proto::moby::sshforward::v1::ssh_client::SshClient;
use bollard_buildkit_proto::moby::sshforward::v1::{BytesMessage, CheckAgentRequest};
use engine::{KeptCopy, SshAgent};
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

use super::Session;

/// The method by which agents are reached.
pub(in crate::buildkit) const METHOD: &str = "/moby.sshforward.v1.SSH/ForwardAgent";
/// The metadata that names the agent.
const AGENT: &str = "buildkit.ssh.id";
/// Connections to one agent at once.
const MAX_CONNECTIONS: usize = 64;
/// Bytes that are carried at once.
const PIECE: usize = 16 << 10;

/// Agents for as long as this is there.
#[derive(Debug)]
pub(in crate::buildkit) struct Agents {
    directory: KeptCopy,
    tasks: JoinSet<()>,
    sockets: usize,
}

impl Agents {
    /// None yet; their sockets will be in `directory`.
    pub(in crate::buildkit) fn new(directory: KeptCopy) -> Self {
        Self {
            directory,
            tasks: JoinSet::new(),
            sockets: 0,
        }
    }

    /// The client's agent of this name; none if it does not offer it.
    ///
    /// # Errors
    /// There can be no socket.
    pub(in crate::buildkit) async fn offer(
        &mut self,
        session: &Arc<Session>,
        id: &str,
    ) -> Result<Option<SshAgent>, Status> {
        let (caller, origin) = session.caller();
        let request = CheckAgentRequest { id: id.to_owned() };
        let mut client = SshClient::with_origin(caller, origin);
        if client.check_agent(request).await.is_err() {
            return Ok(None);
        }
        let path = self.directory.path().join(format!("agent{}", self.sockets));
        self.sockets += 1;
        let listener = listen(&path);
        let listener = listener.map_err(|error| {
            Status::internal(format!("cannot listen on {}: {error}", path.display()))
        })?;
        self.tasks
            .spawn(serve(listener, Arc::clone(session), id.to_owned()));
        Ok(Some(SshAgent::Socket(path)))
    }
}

/// Listens there, for nobody but kiln.
fn listen(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn serve(listener: UnixListener, session: Arc<Session>, id: String) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => accepted,
            Some(_) = connections.join_next() => continue,
        };
        if let Ok((stream, _)) = accepted {
            let (session, id) = (Arc::clone(&session), id.clone());
            connections.spawn(async move {
                // Whoever asked the agent notices that there is no answer.
                drop(carry(stream, &session, &id).await);
            });
        }
    }
}

/// Carries what is said both ways until one side ends.
async fn carry(stream: UnixStream, session: &Session, id: &str) -> Result<(), Status> {
    let (mut reader, mut writer) = stream.into_split();
    let (sender, receiver) = mpsc::channel(1);
    let outgoing = stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    let mut request = Request::new(outgoing);
    let name = MetadataValue::try_from(id);
    let name = name.map_err(|_| Status::invalid_argument("the agent's name is no ASCII"))?;
    request.metadata_mut().insert(AGENT, name);
    let (caller, origin) = session.caller();
    let mut client = SshClient::with_origin(caller, origin);
    let asking = async move {
        let mut bytes = vec![0; PIECE];
        while let Ok(length @ 1..) = reader.read(&mut bytes).await {
            let data = bytes[..length].to_vec();
            if sender.send(BytesMessage { data }).await.is_err() {
                return;
            }
        }
    };
    let answering = async {
        let mut incoming = client.forward_agent(request).await?.into_inner();
        while let Some(message) = incoming.message().await? {
            if writer.write_all(&message.data).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    };
    tokio::join!(asking, answering).1
}

/// The names of agents that a Dockerfile may ask for. There may be names among them that it does
/// not, of which the client then has none.
pub(in crate::buildkit) fn names(dockerfile: &str) -> Vec<String> {
    let mut names = vec!["default".to_owned()];
    let mounts = dockerfile.split_whitespace();
    for mount in mounts.filter(|word| word.contains("type=ssh")) {
        let id = mount
            .split([',', '='])
            .skip_while(|part| *part != "id")
            .nth(1);
        let id = id.map(str::to_owned);
        names.extend(id.filter(|id| !names.contains(id)));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_mounts() {
        let text = "FROM a\nRUN --mount=type=ssh x\nRUN --mount=type=ssh,id=b,required \\\n \
                    --mount=id=c,type=ssh y\nRUN --mount=type=cache,id=d z\n";
        assert_eq!(names(text), ["default", "b", "c"]);
    }
}
