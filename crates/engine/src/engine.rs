//! The engine: what every build, image and container of one store share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use oci::{Digest, Reference};
use registry::docker_config::{CredentialSource, DockerConfig, DockerCredentials};
use snapshot::snapshotter::Snapshotter;
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
    /// In place of those of `docker_config`.
    credentials: OnceLock<Arc<dyn registry::Credentials>>,
    /// Credentials that the client brought along.
    offered: OnceLock<DockerConfig>,
    pub(crate) helper_path: Vec<PathBuf>,
    pub(crate) fetch_variables: Vec<(String, String)>,
    registry: OnceLock<registry::Client>,
    pool: OnceLock<Arc<rayon::ThreadPool>>,
    sandbox: OnceLock<sandbox::Sandbox>,
    pub(crate) web: OnceLock<reqwest::Client>,
    /// When servers said that files of theirs were last changed, in seconds since 1970.
    pub(crate) times: Mutex<HashMap<Digest, i64>>,
    pub(crate) limits: crate::limits::Limits,
    /// Which sources builds may have.
    pub(crate) policy: crate::policy::Policy,
    /// Whether networks that were lost with another process have been looked for.
    pub(crate) networks_are_swept: tokio::sync::OnceCell<()>,
    /// What steps leave to be removed.
    pub(crate) discarded: crate::blocking::Discarded,
    /// Makes file systems of stacks for processes; known when there is one to make.
    pub(crate) snapshotter: OnceLock<Box<dyn Snapshotter>>,
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
        crate::layer::owners::check(&store)?;
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
            credentials: OnceLock::new(),
            offered: OnceLock::new(),
            helper_path: options.helper_path,
            fetch_variables: options.fetch_variables,
            registry: OnceLock::new(),
            pool: OnceLock::new(),
            sandbox: OnceLock::new(),
            web: OnceLock::new(),
            times: Mutex::default(),
            limits: crate::limits::Limits::default(),
            policy: crate::policy::Policy::default(),
            networks_are_swept: tokio::sync::OnceCell::new(),
            discarded: crate::blocking::Discarded::default(),
            snapshotter: OnceLock::new(),
            marks,
        })))
    }

    /// Whether builds of clients may be allowed this.
    #[must_use]
    pub fn grants(&self, entitlement: crate::config::Entitlement) -> bool {
        self.0.config.serve.entitlements.contains(&entitlement)
    }

    /// Asks `credentials` from now on, in place of the `config.json` that the engine was opened
    /// with. Whoever is first decides, and only before a registry was asked for anything.
    pub fn use_credentials(&self, credentials: Arc<dyn registry::Credentials>) {
        drop(self.0.credentials.set(credentials));
    }
}

impl Engine {
    /// Credentials for this engine alone, as the text of a `config.json`; they come before those of
    /// the user. To be given before any registry is asked, and once.
    ///
    /// # Errors
    /// It is no such text.
    pub fn offer_credentials(&self, text: &str) -> Result<(), EngineError> {
        let config = DockerConfig::parse(text)?;
        self.0.offered.get_or_init(|| config);
        Ok(())
    }

    /// Asks the registry of `domain` whether it takes the credentials that there are for it.
    ///
    /// # Errors
    /// It does not, or it cannot be asked.
    pub async fn log_in(&self, domain: &str) -> Result<(), EngineError> {
        let asked = self.0.registry()?.log_in(domain).await;
        asked.map_err(|source| EngineError::LogIn {
            domain: domain.to_owned(),
            source,
        })
    }
}

/// What the client brought, and for other registries what the user has.
#[derive(Debug)]
struct Offered {
    config: DockerConfig,
    otherwise: Arc<dyn registry::Credentials>,
}

impl registry::Credentials for Offered {
    fn lookup<'a>(
        &'a self,
        domain: &'a str,
    ) -> registry::BoxFuture<'a, Result<registry::Credential, registry::CredentialsError>> {
        match self.config.source(domain) {
            CredentialSource::Known(registry::Credential::Anonymous)
            | CredentialSource::Helper { .. } => self.otherwise.lookup(domain),
            CredentialSource::Known(known) => Box::pin(std::future::ready(Ok(known))),
        }
    }

    fn token<'a>(
        &'a self,
        domain: &'a str,
        wanted: registry::WantedToken,
    ) -> registry::BoxFuture<'a, Result<Option<registry::GivenToken>, registry::CredentialsError>>
    {
        match self.config.source(domain) {
            CredentialSource::Known(registry::Credential::Anonymous)
            | CredentialSource::Helper { .. } => self.otherwise.token(domain, wanted),
            CredentialSource::Known(_) => Box::pin(std::future::ready(Ok(None))),
        }
    }
}

impl Inner {
    /// The client for registries, made on first use.
    pub(crate) fn registry(&self) -> Result<&registry::Client, EngineError> {
        if let Some(client) = self.registry.get() {
            return Ok(client);
        }
        let credentials = self.credentials()?;
        let client = crate::registries::client(&self.config, &self.fetch_variables, credentials)?;
        Ok(self.registry.get_or_init(|| client))
    }

    /// The same, or one of its own that takes any certificate of `domain`, and plain HTTP where there is
    /// no HTTPS.
    pub(crate) fn registry_at(
        &self,
        domain: &str,
        insecure: bool,
    ) -> Result<registry::Client, EngineError> {
        if !insecure {
            return self.registry().cloned();
        }
        let mut config = self.config.clone();
        let host = config.registry.entry(domain.to_owned()).or_default();
        (host.http, host.insecure) = (true, true);
        let credentials = self.credentials()?;
        crate::registries::client(&config, &self.fetch_variables, credentials)
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
        let sandbox = sandbox::Sandbox::new(self.config.build.isolation.map(Into::into))?;
        Ok(self.sandbox.get_or_init(|| sandbox))
    }

    fn credentials(&self) -> Result<Arc<dyn registry::Credentials>, EngineError> {
        if let Some(credentials) = self.credentials.get() {
            return Ok(Arc::clone(credentials));
        }
        let otherwise = self.own_credentials()?;
        Ok(match self.offered.get() {
            None => otherwise,
            Some(config) => Arc::new(Offered {
                config: config.clone(),
                otherwise,
            }),
        })
    }

    fn own_credentials(&self) -> Result<Arc<dyn registry::Credentials>, EngineError> {
        docker_credentials(self.docker_config.as_deref(), self.helper_path.clone())
    }
}

/// The credentials that docker's `config.json` has at `path`, or the helpers that it names and that
/// are in one of the directories `helper_path`; none when there is no such file.
///
/// # Errors
/// The file cannot be read, or makes no sense.
pub fn docker_credentials(
    path: Option<&Path>,
    helper_path: Vec<PathBuf>,
) -> Result<Arc<dyn registry::Credentials>, EngineError> {
    let Some(path) = path else {
        return Ok(Arc::new(registry::Anonymous));
    };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let config = DockerConfig::parse(&text)?;
            Ok(Arc::new(DockerCredentials::new(config, helper_path)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Arc::new(registry::Anonymous))
        }
        Err(source) => Err(EngineError::Read {
            path: path.to_owned(),
            source,
        }),
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
