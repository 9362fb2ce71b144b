//! The engine: what every build, image and container of one store share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use oci::{Digest, Reference};
use registry::docker_config::{DockerConfig, DockerCredentials};
use snapshot::snapshotter::{OverlaySnapshotter, Snapshotter};
use solver::Solver;
use store::{Lease, Store};

use crate::cache::StoredRecords;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::EngineError;
use crate::worker::BuildWorker;

/// How an engine is opened.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The store's directory; made when it is missing.
    pub root: PathBuf,
    /// What the machine's owner decides.
    pub config: Config,
    /// The client's `config.json`, for its credentials.
    pub docker_config: Option<PathBuf>,
    /// Where its credential helpers are looked for.
    pub helper_path: Vec<PathBuf>,
    /// The client's variables for programs that fetch: proxies, certificates that they trust.
    pub fetch_variables: Vec<(String, String)>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// Builds, keeps, runs and ships images. Clones are the same engine.
#[derive(Debug, Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    /// Holds what this engine touches until it is dropped.
    pub(crate) lease: Lease,
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) solver: Solver<BuildWorker, StoredRecords>,
    docker_config: Option<PathBuf>,
    pub(crate) helper_path: Vec<PathBuf>,
    pub(crate) fetch_variables: Vec<(String, String)>,
    registry: OnceLock<registry::Client>,
    pool: OnceLock<Arc<rayon::ThreadPool>>,
    sandbox: OnceLock<sandbox::Sandbox>,
    pub(crate) web: OnceLock<reqwest::Client>,
    /// When servers said that files of theirs were last changed, in seconds since 1970.
    pub(crate) times: Mutex<HashMap<Digest, i64>>,
    pub(crate) limits: crate::limits::Limits,
    /// What steps leave to be removed.
    pub(crate) discarded: crate::blocking::Discarded,
    /// Makes file systems of stacks for processes.
    pub(crate) snapshotter: Box<dyn Snapshotter>,
    /// How layer directories carry overlay's marks.
    pub(crate) marks: snapshot::Marks,
}

impl Engine {
    /// Opens the store. Nothing is connected to, and no thread is started, until it is needed.
    ///
    /// # Errors
    /// The store cannot be opened.
    pub fn open(options: EngineOptions) -> Result<Self, EngineError> {
        let store = Store::open(&options.root)?;
        let lease = store.lease(options.clock.now())?;
        let records = Arc::new(StoredRecords::new(store.clone(), lease.clone()));
        let clock = Arc::clone(&options.clock);
        let marks = snapshot::Marks::detect(store.root());
        let solver = Solver::new(records, Arc::new(move || clock.now()));
        Ok(Self(Arc::new(Inner {
            store,
            lease,
            config: options.config,
            clock: options.clock,
            solver,
            docker_config: options.docker_config,
            helper_path: options.helper_path,
            fetch_variables: options.fetch_variables,
            registry: OnceLock::new(),
            pool: OnceLock::new(),
            sandbox: OnceLock::new(),
            web: OnceLock::new(),
            times: Mutex::default(),
            limits: crate::limits::Limits::default(),
            discarded: crate::blocking::Discarded::default(),
            snapshotter: Box::new(OverlaySnapshotter { marks }),
            marks,
        })))
    }
}

impl Inner {
    /// The client for registries, made on first use.
    pub(crate) fn registry(&self) -> Result<&registry::Client, EngineError> {
        if let Some(client) = self.registry.get() {
            return Ok(client);
        }
        let client = registry::Client::new(self.registry_config()?, self.credentials()?)?;
        Ok(self.registry.get_or_init(|| client))
    }

    /// The threads for hashing, compressing, copying and walking, started on first use.
    pub(crate) fn pool(&self) -> Result<&Arc<rayon::ThreadPool>, EngineError> {
        if let Some(pool) = self.pool.get() {
            return Ok(pool);
        }
        let threads = self.config.limits.threads.unwrap_or_default();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("kiln-{index}"))
            .build()
            .map_err(EngineError::Threads)?;
        Ok(self.pool.get_or_init(|| Arc::new(pool)))
    }

    /// What starts processes, prepared on first use.
    pub(crate) fn sandbox(&self) -> Result<&sandbox::Sandbox, EngineError> {
        if let Some(sandbox) = self.sandbox.get() {
            return Ok(sandbox);
        }
        let sandbox = sandbox::Sandbox::new()?;
        Ok(self.sandbox.get_or_init(|| sandbox))
    }

    fn registry_config(&self) -> Result<registry::Config, EngineError> {
        let mut config = registry::Config::default();
        for (domain, host) in &self.config.registry {
            let read = |path: &PathBuf| {
                std::fs::read(path).map_err(|source| EngineError::Read {
                    path: path.clone(),
                    source,
                })
            };
            let authorities = host.ca.iter().map(read).collect::<Result<_, _>>()?;
            config.hosts.insert(
                domain.clone(),
                registry::HostConfig {
                    mirrors: host.mirrors.clone(),
                    http: host.http,
                    insecure: host.insecure,
                    authorities,
                    ..registry::HostConfig::default()
                },
            );
        }
        Ok(config)
    }

    fn credentials(&self) -> Result<Arc<dyn registry::Credentials>, EngineError> {
        let Some(path) = &self.docker_config else {
            return Ok(Arc::new(registry::Anonymous));
        };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let config = DockerConfig::parse(&text)?;
                Ok(Arc::new(DockerCredentials::new(
                    config,
                    self.helper_path.clone(),
                )))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Arc::new(registry::Anonymous))
            }
            Err(source) => Err(EngineError::Read {
                path: path.clone(),
                source,
            }),
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("root", &self.store.root())
            .finish_non_exhaustive()
    }
}

/// The names of repositories that the store noted as sources of a blob.
pub(crate) fn source_references<'a>(
    sources: impl IntoIterator<Item = &'a store::LayerSource>,
    digest: &Digest,
) -> Vec<Reference> {
    sources
        .into_iter()
        .filter(|source| source.digest == *digest)
        .filter_map(|source| source.reference.parse().ok())
        .collect()
}
