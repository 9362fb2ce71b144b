//! A registry in memory that fails as it is told to.
//!
//! Speaks HTTP/1.1 on a loopback port, one thread for each connection, and follows
//! distribution-spec strictly: a manifest is refused while a blob that it names is missing, an
//! upload while its digest is wrong. [`Fault`]s change single answers; [`Rules`] the whole
//! registry; every request is noted.

mod fault;
mod http;
mod login;
mod routes;
mod state;

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use oci::{Descriptor, Digest, MediaType};

use crate::Image;
pub use fault::{Effect, Fault};
pub use login::Login;
use state::State;
pub use state::{Noted, Rules};

/// A registry in memory; ends when dropped.
#[derive(Debug)]
pub struct FakeRegistry {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    streams: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
}

impl FakeRegistry {
    /// An empty registry that anybody may use.
    ///
    /// # Panics
    /// No loopback port can be had.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a loopback port");
        let address = listener.local_addr().expect("a bound port");
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(address.to_string())),
            streams: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept(&listener, &shared))
        };
        Self {
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Puts a blob into a repository.
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) {
        self.state().repository(repository).put_blob(bytes);
    }

    /// Puts a manifest or an index under a tag.
    pub fn put_manifest(&self, repository: &str, tag: &str, media_type: MediaType, bytes: &[u8]) {
        let descriptor = Descriptor::of(media_type, bytes);
        let mut state = self.state();
        state
            .repository(repository)
            .put_manifest(Some(tag), descriptor, bytes);
    }

    /// Puts an image with its blobs under a tag.
    pub fn put_image(&self, repository: &str, tag: &str, image: &Image) {
        for (_, bytes) in &image.blobs {
            self.put_blob(repository, bytes);
        }
        let media_type = image.descriptor.media_type.clone();
        self.put_manifest(repository, tag, media_type, &image.manifest);
    }

    /// A blob of a repository.
    #[must_use]
    pub fn blob(&self, repository: &str, digest: Digest) -> Option<Vec<u8>> {
        self.state().repository(repository).blob(digest)
    }

    /// What a tag of a repository names, with its bytes.
    #[must_use]
    pub fn manifest(&self, repository: &str, tag: &str) -> Option<(Descriptor, Vec<u8>)> {
        self.state().repository(repository).manifest(tag)
    }

    /// Adds a fault; the first that fits a request has its effect.
    pub fn fault(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Changes how the registry behaves as a whole.
    pub fn rules(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.state().rules);
    }

    /// Makes all tokens that were handed out worthless.
    pub fn forget_tokens(&self) {
        self.state().tokens.clear();
    }

    /// Makes all uploads that were begun worthless.
    pub fn forget_uploads(&self) {
        self.state().uploads.clear();
    }

    /// The requests so far, each as `METHOD PATH STATUS`, digests cut short. A request without
    /// an answer has `-`.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.noted().iter().map(Noted::line).collect()
    }

    /// The requests so far.
    #[must_use]
    pub fn noted(&self) -> Vec<Noted> {
        self.state().noted.clone()
    }

    /// Forgets the requests so far.
    pub fn clear_log(&self) {
        self.state().noted.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

/// `127.0.0.1:PORT` of a port where nobody listens.
///
/// # Panics
/// No loopback port can be had.
#[must_use]
pub fn closed_port() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a loopback port");
    listener.local_addr().expect("a bound port").to_string()
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the acceptor, and threads that wait for a client.
        let _ = TcpStream::connect(self.address);
        for stream in self.shared.streams().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_over.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        if let Ok(copy) = stream.try_clone() {
            shared.streams().push(copy);
        }
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // A client that goes away is no failure of the registry's.
            let _ = routes::serve(&stream, &shared.state);
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}
