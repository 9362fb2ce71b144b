//! Sessions: what clients offer to builds for as long as they are connected. A client's connection
//! is turned around, and the daemon calls the services that the client said it has.
//!
//! What a client offers is for the builds that name its session, and ends with its connection.

pub(in crate::buildkit) mod blobs;
mod connect;
pub(in crate::buildkit) mod files;
pub(in crate::buildkit) mod secrets;
pub(in crate::buildkit) mod send;
pub(in crate::buildkit) mod send_files;
pub(in crate::buildkit) mod ssh;
pub(in crate::buildkit) mod upload;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::Landmark;
use filesync::place::{self, Place};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use wire::Caller;

use crate::grpc::Tasks;
use crate::peer::Peer;

use connect::connect;

/// Sessions at once.
const MAX_SESSIONS: usize = 1024;
/// Bytes of a session's ID and of what else it says of itself.
const MAX_TEXT: usize = 4096;
/// How long a build waits for its session.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client that is connected.
#[derive(Debug)]
pub(in crate::buildkit) struct Session {
    pub(in crate::buildkit) id: String,
    /// What directories of the client are known by from one build to the next.
    pub(in crate::buildkit) shared_key: String,
    methods: BTreeSet<String>,
    places: Vec<Place>,
    caller: Caller,
    /// Cancelled when the client is gone.
    pub(in crate::buildkit) ended: CancellationToken,
}

/// What a client says of itself when it connects.
#[derive(Debug, Default)]
pub(in crate::buildkit) struct Introduction {
    id: String,
    shared_key: String,
    methods: BTreeSet<String>,
    /// Where its directories are, if they can be read there.
    places: Vec<Place>,
}

/// The sessions there are.
#[derive(Debug, Default)]
pub(in crate::buildkit) struct Sessions {
    all: Mutex<HashMap<String, Arc<Session>>>,
    changed: Notify,
}

impl Introduction {
    /// From the headers of the request that connects.
    ///
    /// # Errors
    /// There is no ID, or too much of something.
    pub(in crate::buildkit) fn read(
        headers: &hyper::HeaderMap,
        peer: Option<Peer>,
    ) -> Result<Self, Status> {
        let text = |name| {
            let value = headers.get(name).map(|value| value.to_str());
            value.and_then(Result::ok).unwrap_or_default().to_owned()
        };
        let methods = headers.get_all("x-docker-expose-session-grpc-method");
        let methods = methods.iter().filter_map(|method| method.to_str().ok());
        let read = Self {
            id: text("x-docker-expose-session-uuid"),
            shared_key: text("x-docker-expose-session-sharedkey"),
            methods: methods.map(str::to_ascii_lowercase).collect(),
            places: peer.map_or(Vec::new(), |peer| places(headers, peer)),
        };
        if read.id.is_empty() {
            return Err(Status::invalid_argument("the session has no ID"));
        }
        if read.id.len().max(read.shared_key.len()) > MAX_TEXT {
            return Err(Status::invalid_argument("the session's ID is too long"));
        }
        Ok(read)
    }
}

/// Where the client says that its directories are, if it is who may say so.
fn places(headers: &hyper::HeaderMap, peer: Peer) -> Vec<Place> {
    let places = headers.get_all(place::HEADER).iter();
    let places = places.filter_map(|value| Place::read(value.to_str().ok()?));
    places.filter(|place| peer.is_own(place.process)).collect()
}

impl Session {
    /// Whether the client has the method, such as `/moby.filesync.v1.FileSync/DiffCopy`.
    pub(in crate::buildkit) fn has(&self, method: &str) -> bool {
        self.methods.contains(&method.to_ascii_lowercase())
    }

    /// Where the directory of this name is, if it is the same one for the client and for the daemon.
    pub(in crate::buildkit) async fn located(&self, name: &str) -> Option<PathBuf> {
        let place = self.places.iter().find(|place| place.name == name)?;
        let Place { path, mark, .. } = place.clone();
        let look = move || Landmark::of(&path).ok();
        let found = tokio::task::spawn_blocking(look).await.ok()??;
        (found.path == place.path && found.mark == mark).then_some(found.path)
    }

    /// What calls to the client are made with.
    pub(in crate::buildkit) fn caller(&self) -> (Caller, hyper::Uri) {
        (self.caller.clone(), Caller::origin())
    }
}

impl Sessions {
    /// Keeps a client's session until it goes away.
    ///
    /// # Errors
    /// The ID is taken, or there are too many sessions.
    pub(in crate::buildkit) async fn keep(
        &self,
        introduction: Introduction,
        io: impl AsyncRead + AsyncWrite + Send + 'static,
    ) -> Result<(), Status> {
        let tasks = Tasks::default();
        let connected = connect(io, tasks.clone()).await;
        let (caller, connection) =
            connected.map_err(|error| Status::unavailable(error.to_string()))?;
        let id = introduction.id.clone();
        let session = Arc::new(Session {
            id: introduction.id,
            shared_key: introduction.shared_key,
            methods: introduction.methods,
            places: introduction.places,
            caller,
            ended: CancellationToken::new(),
        });
        let _registered = self.register(&id, session)?;
        // How the connection ends is the client's affair.
        drop(connection.await);
        tasks.end().await;
        Ok(())
    }

    /// The session with this ID. A client connects and asks for builds at the same time, so it is
    /// waited for.
    ///
    /// # Errors
    /// It does not come.
    pub(in crate::buildkit) async fn get(&self, id: &str) -> Result<Arc<Session>, Status> {
        let found = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(session) = self.lock().get(id) {
                    return Arc::clone(session);
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, found).await;
        waited.map_err(|_| Status::not_found(format!("no active session for {id}")))
    }

    /// How many there are.
    pub(in crate::buildkit) fn count(&self) -> usize {
        self.lock().len()
    }

    fn register(&self, id: &str, session: Arc<Session>) -> Result<Registered<'_>, Status> {
        let mut all = self.lock();
        if all.contains_key(id) {
            let message = format!("session {id} already exists");
            return Err(Status::already_exists(message));
        }
        if all.len() >= MAX_SESSIONS {
            return Err(Status::resource_exhausted("there are too many sessions"));
        }
        all.insert(id.to_owned(), Arc::clone(&session));
        drop(all);
        self.changed.notify_waiters();
        Ok(Registered {
            sessions: self,
            session,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the session when it is dropped.
struct Registered<'a> {
    sessions: &'a Sessions,
    session: Arc<Session>,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.session.id);
        self.session.ended.cancel();
    }
}
