//! Puts together what a step's process sees: its root, what is mounted into it, and what becomes
//! of that afterwards.

use std::path::{Path, PathBuf};

use graph::{CacheSharing, ExecOp, FileOwner, Mount, MountSource};
use sandbox::{CapabilitySet, Process, Spec, User};
use snapshot::Upper;
use snapshot::snapshotter::{Active, View};
use store::{CacheMount, Sharing, TempSnapshot};
use sys::mount::{Mount as SystemMount, MountFlags, MountKind};
use sys::owner::{self, Owner};

use super::environment::{HOSTNAME, SystemFiles, limits};
use super::private::SecretFile;
use super::security;
use crate::cache_mount::{CacheMountIdentity, Seeds};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::op::trees::InputTree;
use crate::output::{Output, Stack};
use crate::session::Session;
use crate::ssh::Relay;

/// A step that is ready to run. Dropping it leaves nothing behind.
pub(crate) struct Prepared {
    pub(crate) spec: Spec,
    writable: Vec<Writable>,
    outputs: usize,
    _views: Vec<View>,
    _caches: Vec<CacheMount>,
    secrets: Vec<SecretFile>,
    agents: Vec<Relay>,
    scratch: TempSnapshot,
}

/// What a step is put together on: a directory of its own, and a root when there is one already.
struct Ground {
    scratch: TempSnapshot,
    root: Option<MountKind>,
}

/// A file system that the process may change.
struct Writable {
    /// Where it is mounted.
    target: String,
    base: Stack,
    active: Active,
    /// Which output it becomes; none when what was written is dropped.
    output: Option<u32>,
}

impl Prepared {
    pub(super) fn new(
        engine: &Inner,
        session: &Session,
        op: &ExecOp,
        inputs: Vec<InputTree>,
        seeds: Seeds,
    ) -> Result<Self, EngineError> {
        let scratch = engine.store.snapshots().allocate(&engine.lease)?;
        Self::on(
            Ground {
                scratch,
                root: None,
            },
            engine,
            session,
            op,
            inputs,
            seeds,
        )
    }

    /// The same on a root that is there already, such as that of a step that was kept.
    pub(crate) fn with_root(
        engine: &Inner,
        session: &Session,
        op: &ExecOp,
        inputs: Vec<InputTree>,
        root: MountKind,
    ) -> Result<Self, EngineError> {
        let scratch = engine.store.snapshots().allocate(&engine.lease)?;
        let root = Some(root);
        Self::on(
            Ground { scratch, root },
            engine,
            session,
            op,
            inputs,
            Seeds::new(),
        )
    }

    fn on(
        Ground { scratch, root }: Ground,
        engine: &Inner,
        session: &Session,
        op: &ExecOp,
        inputs: Vec<InputTree>,
        seeds: Seeds,
    ) -> Result<Self, EngineError> {
        let mut builder = Builder {
            engine,
            places: engine.places_mounts()?,
            session,
            inputs,
            scratch: scratch.path().to_owned(),
            root,
            mounts: Vec::new(),
            env: op.process.env.to_vec(),
            writable: Vec::new(),
            views: Vec::new(),
            caches: Vec::new(),
            seeds,
            secrets: Vec::new(),
            agents: Vec::new(),
            placed_caches: Vec::new(),
            copies: 0,
        };
        let has_root = builder.root.is_some();
        for mount in &op.mounts {
            if !(has_root && mount.target == "/") {
                builder.add(mount)?;
            }
        }
        let outputs = builder.writable.iter().filter_map(|w| w.output).max();
        let spec = builder.spec(op)?;
        let Builder {
            writable,
            views,
            caches,
            secrets,
            agents,
            ..
        } = builder;
        Ok(Self {
            spec,
            writable,
            outputs: outputs.map_or(0, |last| last as usize + 1),
            _views: views,
            _caches: caches,
            secrets,
            agents,
            scratch,
        })
    }

    /// Makes layers of what the process changed, and gives back what can be removed.
    /// Of the files `moved` the time of change says nothing.
    pub(super) fn commit(
        self,
        engine: &Inner,
        moved: &[u64],
    ) -> Result<(Vec<Output>, TempSnapshot), EngineError> {
        // No secret outlives the process, and no agent is reached by what it left behind.
        drop((self.secrets, self.agents));
        let mut outputs = vec![Output::Stack(Stack::default()); self.outputs];
        for Writable {
            base,
            active,
            output,
            ..
        } in self.writable
        {
            let Some(output) = output else { continue };
            let stack = base.with(engine.commit(active, moved, self.scratch.path())?);
            if let Some(slot) = outputs.get_mut(output as usize) {
                *slot = Output::Stack(stack);
            }
        }
        Ok((outputs, self.scratch))
    }
}

impl Prepared {
    /// Where the file systems are written that the process may change.
    pub(super) fn written_directories(&self) -> Vec<PathBuf> {
        let directory = |writable: &Writable| match writable.active.mount() {
            MountKind::Overlay(overlay) => overlay.upper.clone(),
            MountKind::Bind { source, .. } => Some(source.clone()),
            _ => None,
        };
        self.writable.iter().filter_map(directory).collect()
    }

    /// What is mounted at `target`, as it is now; none if nothing can be written there.
    pub(super) fn written(
        &self,
        engine: &Inner,
        target: &str,
    ) -> Result<Option<Upper>, EngineError> {
        let mut writable = self.writable.iter();
        let found = writable.find(|writable| writable.target == target);
        found
            .map(|writable| engine.upper_of(&writable.active))
            .transpose()
    }

    /// The root file system as the process left it.
    pub(crate) fn root_as_left(self, engine: &Inner, moved: &[u64]) -> Result<Stack, EngineError> {
        drop((self.secrets, self.agents));
        let mut writable = self.writable.into_iter();
        match writable.find(|writable| writable.output == Some(0)) {
            Some(Writable { base, active, .. }) => {
                Ok(base.with(engine.commit(active, moved, self.scratch.path())?))
            }
            None => Ok(Stack::default()),
        }
    }
}

pub(super) struct Builder<'a> {
    pub(super) engine: &'a Inner,
    /// What is mounted is moved into the root instead.
    pub(super) places: bool,
    pub(super) session: &'a Session,
    inputs: Vec<InputTree>,
    pub(super) scratch: PathBuf,
    root: Option<MountKind>,
    pub(super) mounts: Vec<SystemMount>,
    pub(super) env: Vec<String>,
    writable: Vec<Writable>,
    views: Vec<View>,
    pub(super) caches: Vec<CacheMount>,
    /// What cache mounts begin with that came from elsewhere.
    seeds: Seeds,
    pub(super) secrets: Vec<SecretFile>,
    pub(super) agents: Vec<Relay>,
    /// The keys of cache mounts that have their place.
    pub(super) placed_caches: Vec<String>,
    /// How many copies of the client's files there are.
    pub(super) copies: usize,
}

impl Builder<'_> {
    fn add(&mut self, mount: &Mount) -> Result<(), EngineError> {
        match &mount.source {
            MountSource::Bind {
                input,
                selector,
                output,
            } => {
                let kind = self.bind(mount, *input, selector, *output)?;
                if mount.target == "/" {
                    self.root = Some(kind);
                } else {
                    self.push(mount, kind, MountFlags::NONE);
                }
            }
            MountSource::Cache { .. } => self.cache(mount)?,
            MountSource::Tmpfs { size } => {
                let kind = MountKind::Tmpfs {
                    size: *size,
                    mode: 0o1777,
                };
                self.push(mount, kind, MountFlags::NO_SUID | MountFlags::NO_DEV);
            }
            MountSource::Secret {
                id,
                at,
                required,
                digest: _,
            } => self.secret(mount, id, at, *required)?,
            MountSource::Ssh {
                id,
                mode,
                owner,
                required,
            } => match self.session.agents.get(id) {
                Some(agent) => self.agent(mount, agent, *mode, *owner)?,
                None if *required => return Err(EngineError::MissingAgent(id.clone())),
                None => {}
            },
        }
        Ok(())
    }

    pub(super) fn push(&mut self, mount: &Mount, kind: MountKind, flags: MountFlags) {
        let flags = if mount.read_only {
            flags | MountFlags::READ_ONLY
        } else {
            flags
        };
        self.mounts.push(SystemMount {
            kind,
            target: mount.target.clone().into(),
            flags,
        });
    }

    fn bind(
        &mut self,
        mount: &Mount,
        input: Option<u32>,
        selector: &str,
        output: Option<u32>,
    ) -> Result<MountKind, EngineError> {
        let read_only = mount.read_only;
        let part = selector.trim_matches('/');
        let whole = match self.input(input)? {
            Some(InputTree::Local(local)) if self.places && read_only => {
                let local = local.clone();
                self.copy_of(&local)?
            }
            Some(InputTree::Local(local)) if read_only && local.is_plain() => MountKind::Bind {
                source: local.path.clone(),
                recursive: false,
            },
            Some(InputTree::Layers { directories, .. })
                if read_only && output.is_none() && !directories.is_empty() =>
            {
                let view = self.engine.view(directories)?;
                let kind = view.mount().clone();
                self.views.push(view);
                kind
            }
            input => {
                let (base, directories) = match input {
                    Some(input) => self.engine.base(input)?,
                    None => (Stack::default(), Vec::new()),
                };
                let active = self.engine.prepare(&directories)?;
                let kind = active.mount().clone();
                self.writable.push(Writable {
                    target: mount.target.clone(),
                    base,
                    active,
                    output,
                });
                kind
            }
        };
        Ok(if part.is_empty() {
            whole
        } else {
            MountKind::Part {
                of: Box::new(whole),
                path: part.into(),
            }
        })
    }

    fn input(&self, input: Option<u32>) -> Result<Option<&InputTree>, EngineError> {
        let Some(index) = input else { return Ok(None) };
        let missing =
            || EngineError::Solve(format!("a mount names input {index}, which is missing"));
        self.inputs
            .get(index as usize)
            .map(Some)
            .ok_or_else(missing)
    }

    fn cache(&mut self, mount: &Mount) -> Result<(), EngineError> {
        let MountSource::Cache {
            id,
            sharing,
            input,
            selector,
            mode,
            owner,
        } = &mount.source
        else {
            return Ok(());
        };
        let sharing = match sharing {
            // It can be in one place at a time.
            CacheSharing::Shared if self.places => Sharing::Locked,
            CacheSharing::Shared => Sharing::Shared,
            CacheSharing::Private => Sharing::Private,
            CacheSharing::Locked => Sharing::Locked,
        };
        let source = match self.input(*input)? {
            Some(input) => Some(self.engine.tree(input)?),
            None => None,
        };
        let identity = CacheMountIdentity::new(id, *mode, *owner);
        self.check_cache(&identity)?;
        let engine = self.engine;
        let carried = self.seeds.get(&identity);
        let seed = |directory: &Path| {
            if let Some(carried) = carried.filter(|carried| carried.is_there()) {
                return carried.become_mount(directory, &identity);
            }
            if let Some(tree) = &source {
                let upper = Upper::open(directory, &[], engine.marks)?;
                crate::op::copy_contents(engine, tree, selector, &upper)?;
            }
            set_attributes(directory, *mode, *owner)
        };
        let cache =
            engine
                .store
                .cache_mounts()
                .acquire(&engine.lease, &identity.key(), sharing, seed)?;
        let kind = MountKind::Bind {
            source: cache.path().to_owned(),
            recursive: false,
        };
        self.caches.push(cache);
        self.push(mount, kind, MountFlags::NONE);
        Ok(())
    }

    fn spec(&mut self, op: &ExecOp) -> Result<Spec, EngineError> {
        let root = self.root.take().ok_or(EngineError::NoCommand)?;
        self.check_step(op)?;
        let network = self
            .engine
            .network(self.session, op.network, op.hostname.as_deref())?;
        let hostname = op.hostname.clone().unwrap_or_else(|| HOSTNAME.to_owned());
        let dns = &self.engine.config.build.dns;
        let files = SystemFiles::write(&self.scratch, &hostname, &op.extra_hosts, &network, dns)?;
        let mut mounts = files.mounts(MountFlags::READ_ONLY);
        let mut user = self.user(&op.process.user)?;
        let nodes = self.devices(&op.devices, &mut user)?;
        mounts.append(&mut self.mounts);
        self.make_cwd(&op.process.cwd)?;
        let mut env = std::mem::take(&mut self.env);
        let absent = |env: &[String], name: &str| {
            !env.iter()
                .any(|entry| entry.split_once('=').is_some_and(|(key, _)| key == name))
        };
        for (name, value) in &op.proxy {
            if absent(&env, name) {
                env.push(format!("{name}={value}"));
            }
        }
        user.add_home(&mut env);
        Ok(Spec {
            root,
            mounts,
            devices: nodes,
            process: Process {
                args: op.process.args.clone(),
                env,
                cwd: op.process.cwd.clone(),
                user,
                capabilities: CapabilitySet::DOCKER_DEFAULT,
                no_new_privileges: false,
            },
            hostname,
            network,
            security: security(op.security),
            limits: limits(&op.ulimits)?,
            shm_size: op.shm_size,
            group: self.engine.resources(self.session).group(),
        })
    }

    fn user(&self, name: &str) -> Result<User, EngineError> {
        let name = if name.is_empty() { "0" } else { name };
        match self.inputs.first() {
            Some(root) => super::super::find_user(&self.engine.tree(root)?, name),
            None => super::super::find_user_in("", "", name),
        }
    }

    fn make_cwd(&self, cwd: &str) -> Result<(), EngineError> {
        match self
            .writable
            .iter()
            .find(|writable| writable.output == Some(0))
        {
            Some(root) if cwd != "/" => {
                let upper = self.engine.upper_of(&root.active)?;
                crate::op::file::make_directory(&upper, Path::new(cwd))
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn set_attributes(path: &Path, mode: u32, owner: FileOwner) -> Result<(), EngineError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source| EngineError::WriteFile {
        path: path.to_owned(),
        source,
    };
    let FileOwner { uid, gid } = owner;
    owner::give_path(path, Owner { uid, gid }).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)
}
