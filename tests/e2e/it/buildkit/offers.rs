//! What a client offers in its session.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard_buildkit_proto::moby::filesync::packet::file_send_server as directories;
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server as sync;
use bollard_buildkit_proto::moby::filesync::v1::BytesMessage;
use bollard_buildkit_proto::moby::filesync::v1::file_send_server as archives;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tonic::codegen::async_trait;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use super::client::Received;
use super::stores::{Blobs, Stores};
use super::tokens::Tokens;
use super::verifier::Verifier;

type Messages<T> = BoxStream<'static, Result<T, Status>>;

/// Files by their paths: modes as Go has them, and contents.
pub(crate) type Files = BTreeMap<String, (u32, Vec<u8>)>;

/// The bit of a directory's mode.
const DIRECTORY: u32 = 1 << 31;

#[derive(Clone, Default)]
pub(crate) struct Offers {
    /// Directories by name.
    directories: HashMap<String, Arc<Files>>,
    secrets: HashMap<String, Vec<u8>>,
    stores: Stores,
    tokens: Option<Tokens>,
    verifier: Option<Verifier>,
    /// What was exported as an archive.
    archive: Option<Received<Vec<u8>>>,
    /// The digest that was told of it first.
    pub(crate) digest: Received<String>,
    /// It is there already.
    has_archive: bool,
    /// What was exported as files.
    files: Option<Received<Files>>,
    /// Paths whose content was asked for, in their order.
    pub(crate) asked: Received<Vec<String>>,
}

impl Offers {
    /// The files of a build, whose Dockerfile is among them.
    pub(crate) fn build(files: &[(&str, &str)]) -> Self {
        Self::default()
            .directory("context", files)
            .directory("dockerfile", files)
    }

    pub(crate) fn directory(mut self, name: &str, files: &[(&str, &str)]) -> Self {
        let mut all = Files::new();
        for (path, content) in files {
            for (place, _) in path.match_indices('/') {
                all.insert(path[..place].to_owned(), (DIRECTORY | 0o755, Vec::new()));
            }
            let content = content.as_bytes().to_vec();
            all.insert((*path).to_owned(), (0o644, content));
        }
        self.directories.insert(name.to_owned(), Arc::new(all));
        self
    }

    pub(crate) fn secret(mut self, id: &str, value: &str) -> Self {
        self.secrets
            .insert(id.to_owned(), value.as_bytes().to_vec());
        self
    }

    pub(super) fn tokens(mut self, tokens: Tokens) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Is asked about sources.
    pub(super) fn verifier(mut self, verifier: Verifier) -> Self {
        self.verifier = Some(verifier);
        self
    }

    /// An empty content store, by what the daemon calls it.
    pub(super) fn store(self, id: &str) -> (Self, Blobs) {
        let blobs = Blobs::default();
        (self.with_store(id, Arc::clone(&blobs)), blobs)
    }

    pub(super) fn with_store(mut self, id: &str, blobs: Blobs) -> Self {
        self.stores.all.insert(id.to_owned(), blobs);
        self
    }

    /// Digests of what is read in the stores.
    pub(super) fn read(&self) -> Received<Vec<String>> {
        Arc::clone(&self.stores.read)
    }

    /// Takes an archive.
    pub(crate) fn take_archive(mut self) -> (Self, Received<Vec<u8>>) {
        let received = Received::default();
        self.archive = Some(Arc::clone(&received));
        (self, received)
    }

    /// Says of any archive that it is there.
    pub(crate) fn has_archive(mut self) -> Self {
        self.has_archive = true;
        self
    }

    /// Takes files.
    pub(crate) fn take_files(mut self) -> (Self, Received<Files>) {
        let received = Received::default();
        self.files = Some(Arc::clone(&received));
        (self, received)
    }

    pub(super) fn methods(&self) -> Vec<&'static str> {
        let mut methods = Vec::new();
        if !self.directories.is_empty() {
            methods.push("/moby.filesync.v1.FileSync/DiffCopy");
        }
        if self.archive.is_some() || self.files.is_some() {
            methods.push("/moby.filesync.v1.FileSend/DiffCopy");
        }
        if !self.stores.all.is_empty() {
            methods.push("/containerd.services.content.v1.Content/Info");
        }
        if !self.secrets.is_empty() {
            methods.push("/moby.buildkit.secrets.v1.Secrets/GetSecret");
        }
        if self.tokens.is_some() {
            methods.extend(Tokens::METHODS);
        }
        if self.verifier.is_some() {
            methods.push(Verifier::METHOD);
        }
        methods
    }

    /// Answers the daemon on a connection.
    pub(super) async fn serve(self, io: DuplexStream) {
        let mut server = Server::builder();
        let archive = self.archive.clone();
        let router = server
            .add_service(sync::FileSyncServer::new(self.clone()))
            .add_service(SecretsServer::new(self.clone()))
            .add_service(self.stores.clone())
            .add_optional_service(self.tokens.clone().map(Tokens::server))
            .add_optional_service(self.verifier.clone());
        let router = match archive {
            Some(_) => router.add_service(archives::FileSendServer::new(self)),
            None => router.add_service(directories::FileSendServer::new(self)),
        };
        let incoming = stream::once(async { Ok::<_, std::io::Error>(io) });
        // There is one connection, and the session lasts as long as it does.
        let incoming = incoming.chain(stream::pending());
        drop(router.serve_with_incoming(incoming).await);
    }
}

#[async_trait]
impl sync::FileSync for Offers {
    type DiffCopyStream = Messages<Packet>;
    type TarStreamStream = Messages<Packet>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Messages<Packet>>, Status> {
        let all = |name: &str| {
            let values = request.metadata().get_all(name).iter();
            let values = values.map(|value| value.to_str().unwrap().to_owned());
            values.collect::<Vec<_>>()
        };
        let name = all("dir-name").join("");
        let files = self.directories.get(&name).cloned();
        let files = files.ok_or_else(|| Status::not_found(format!("no directory {name:?}")))?;
        let (follow, exclude) = (all("followpaths"), all("exclude-patterns"));
        let wanted = files.iter().filter(|(path, _)| {
            (follow.is_empty() || follow.iter().any(|wanted| leads_to(wanted, path)))
                && !exclude.contains(path)
        });
        let wanted: Vec<_> = wanted
            .map(|(path, file)| (path.clone(), file.clone()))
            .collect();
        let asked = (name == "context").then(|| Arc::clone(&self.asked));
        let (sender, receiver) = mpsc::channel(16);
        let incoming = request.into_inner();
        let sending = send(wanted, incoming, sender, asked);
        Ok(Response::new(beside(sending, receiver)))
    }

    async fn tar_stream(
        &self,
        _: Request<Streaming<Packet>>,
    ) -> Result<Response<Messages<Packet>>, Status> {
        Err(Status::unimplemented("TarStream"))
    }
}

/// The file at `path` is there, on the way, or in a directory there. There are no links.
fn leads_to(wanted: &str, path: &str) -> bool {
    let beneath = |above: &str, path: &str| {
        let rest = path.strip_prefix(above);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match wanted.split_once('*') {
        Some((start, end)) => path.starts_with(start) && path.ends_with(end),
        None => beneath(wanted, path) || beneath(path, wanted),
    }
}

/// Tells of all files, then sends those that are asked for.
async fn send(
    files: Vec<(String, (u32, Vec<u8>))>,
    mut incoming: Streaming<Packet>,
    sender: mpsc::Sender<Packet>,
    asked: Option<Received<Vec<String>>>,
) {
    let say = |packet: Packet| async { drop(sender.send(packet).await) };
    for (path, (mode, content)) in &files {
        let stat = Stat {
            path: path.clone(),
            mode: *mode,
            size: content.len().try_into().unwrap(),
            // The content is what a time would tell of.
            mod_time: content.iter().map(|byte| i64::from(*byte)).sum(),
            ..Stat::default()
        };
        say(Packet {
            stat: Some(stat),
            ..packet(PacketType::PacketStat)
        })
        .await;
    }
    say(packet(PacketType::PacketStat)).await;
    while let Ok(Some(request)) = incoming.message().await {
        if request.r#type() == PacketType::PacketFin {
            say(packet(PacketType::PacketFin)).await;
            return;
        }
        let (path, (_, content)) = &files[request.id as usize];
        if let Some(asked) = &asked {
            asked.lock().unwrap().push(path.clone());
        }
        for data in content.chunks(7).chain([&[][..]]) {
            say(Packet {
                id: request.id,
                data: data.to_vec(),
                ..packet(PacketType::PacketData)
            })
            .await;
        }
    }
}

#[async_trait]
impl archives::FileSend for Offers {
    type DiffCopyStream = Messages<BytesMessage>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Messages<BytesMessage>>, Status> {
        let digest = request.metadata().get("exporter-md-containerimage.digest");
        let digest = digest.map(|digest| digest.to_str().unwrap().to_owned());
        *self.digest.lock().unwrap() = digest.unwrap_or_default();
        if self.has_archive {
            return Err(Status::already_exists("target already exists"));
        }
        let mut incoming = request.into_inner();
        let mut whole = Vec::new();
        while let Some(message) = incoming.message().await? {
            whole.extend(message.data);
        }
        *self.archive.as_ref().unwrap().lock().unwrap() = whole;
        Ok(Response::new(stream::empty().boxed()))
    }
}

#[async_trait]
impl directories::FileSend for Offers {
    type DiffCopyStream = Messages<Packet>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Messages<Packet>>, Status> {
        let (sender, receiver) = mpsc::channel(16);
        let received = self.files.clone().unwrap();
        let receiving = receive(request.into_inner(), sender, received);
        Ok(Response::new(beside(receiving, receiver)))
    }
}

/// Asks for all files and takes them.
async fn receive(
    mut incoming: Streaming<Packet>,
    sender: mpsc::Sender<Packet>,
    received: Received<Files>,
) {
    let mut paths = Vec::new();
    let (mut left, mut all_told) = (0, false);
    while let Ok(Some(message)) = incoming.message().await {
        match (message.r#type(), message.stat) {
            (PacketType::PacketStat, Some(stat)) => {
                let id = u32::try_from(paths.len()).unwrap();
                paths.push(stat.path.clone());
                let is_file = stat.mode >> 19 == 0;
                let file = (stat.mode, stat.linkname.into_bytes());
                received.lock().unwrap().insert(stat.path, file);
                if is_file {
                    left += 1;
                    let request = packet(PacketType::PacketReq);
                    drop(sender.send(Packet { id, ..request }).await);
                }
            }
            (PacketType::PacketStat, None) => all_told = true,
            (PacketType::PacketData, _) if message.data.is_empty() => left -= 1,
            (PacketType::PacketData, _) => {
                let mut files = received.lock().unwrap();
                let file = files.get_mut(&paths[message.id as usize]).unwrap();
                file.1.extend(message.data);
            }
            (PacketType::PacketFin, _) => return,
            (kind, _) => panic!("{kind:?}"),
        }
        if all_told && left == 0 {
            drop(sender.send(packet(PacketType::PacketFin)).await);
        }
    }
}

#[async_trait]
impl Secrets for Offers {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = &request.get_ref().id;
        let data = self.secrets.get(id).cloned();
        let data = data.ok_or_else(|| Status::not_found(format!("secret {id}: not found")))?;
        Ok(Response::new(GetSecretResponse { data }))
    }
}

fn packet(kind: PacketType) -> Packet {
    Packet {
        r#type: kind.into(),
        ..Packet::default()
    }
}

/// The messages of `receiver` while `work`, which sends them, goes on.
fn beside<T: Send + 'static>(
    work: impl Future<Output = ()> + Send + 'static,
    receiver: mpsc::Receiver<T>,
) -> Messages<T> {
    let messages = stream::unfold(receiver, |mut receiver| async move {
        Some((Ok(receiver.recv().await?), receiver))
    });
    let nothing = stream::once(work).filter_map(|()| async { None });
    stream::select(messages, nothing).boxed()
}
