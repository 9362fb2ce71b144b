//! Puts together what a step's process sees: its root, what is mounted into it, and what becomes
//! of that afterwards.

use std::path::{Path, PathBuf};

use graph::{CacheSharing, ExecOp, FileOwner, Mount, MountSource, SecretTarget};
use sandbox::{CapabilitySet, Process, Spec, User};
use snapshot::Upper;
use snapshot::snapshotter::{Active, View};
use store::{CacheMount, Sharing, TempSnapshot};
use sys::mount::{Mount as SystemMount, MountFlags, MountGuard, MountKind};
use sys::user_namespace::NoSuchOwner;

use super::environment::{HOSTNAME, SystemFiles, limits};
use super::{network, security};
use crate::cache_mount::{CacheMountIdentity, Seeds};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::op::trees::InputTree;
use crate::output::{Output, Stack};
use crate::session::Session;
use crate::ssh::{Relay, SshAgent};

/// A step that is ready to run. Dropping it leaves nothing behind.
pub(super) struct Prepared {
    pub(super) spec: Spec,
    writable: Vec<Writable>,
    outputs: usize,
    _views: Vec<View>,
    _caches: Vec<CacheMount>,
    secrets: Vec<MountGuard>,
    agents: Vec<Relay>,
    scratch: TempSnapshot,
}

/// A file system that the process may change.
struct Writable {
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
        let mut builder = Builder {
            engine,
            session,
            inputs,
            scratch: scratch.path().to_owned(),
            root: None,
            mounts: Vec::new(),
            env: op.process.env.to_vec(),
            writable: Vec::new(),
            views: Vec::new(),
            caches: Vec::new(),
            seeds,
            secrets: Vec::new(),
            agents: Vec::new(),
        };
        for mount in &op.mounts {
            builder.add(mount)?;
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
    pub(super) fn commit(self, engine: &Inner) -> Result<(Vec<Output>, TempSnapshot), EngineError> {
        // No secret outlives the process, and no agent is reached by what it left behind.
        drop((self.secrets, self.agents));
        let mut outputs = vec![Output::Stack(Stack::default()); self.outputs];
        for Writable {
            base,
            active,
            output,
        } in self.writable
        {
            let Some(output) = output else { continue };
            let stack = base.with(engine.commit(active, self.scratch.path())?);
            if let Some(slot) = outputs.get_mut(output as usize) {
                *slot = Output::Stack(stack);
            }
        }
        Ok((outputs, self.scratch))
    }
}

pub(super) struct Builder<'a> {
    engine: &'a Inner,
    pub(super) session: &'a Session,
    inputs: Vec<InputTree>,
    scratch: PathBuf,
    root: Option<MountKind>,
    pub(super) mounts: Vec<SystemMount>,
    pub(super) env: Vec<String>,
    writable: Vec<Writable>,
    views: Vec<View>,
    caches: Vec<CacheMount>,
    /// What cache mounts begin with that came from elsewhere.
    seeds: Seeds,
    secrets: Vec<MountGuard>,
    agents: Vec<Relay>,
}

impl Builder<'_> {
    fn add(&mut self, mount: &Mount) -> Result<(), EngineError> {
        match &mount.source {
            MountSource::Bind {
                input,
                selector,
                output,
            } => {
                let kind = self.bind(*input, selector, *output, mount.read_only)?;
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

    fn push(&mut self, mount: &Mount, kind: MountKind, flags: MountFlags) {
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
        input: Option<u32>,
        selector: &str,
        output: Option<u32>,
        read_only: bool,
    ) -> Result<MountKind, EngineError> {
        let part = selector.trim_matches('/');
        let whole = match self.input(input)? {
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
            CacheSharing::Shared => Sharing::Shared,
            CacheSharing::Private => Sharing::Private,
            CacheSharing::Locked => Sharing::Locked,
        };
        let source = match self.input(*input)? {
            Some(input) => Some(self.engine.tree(input)?),
            None => None,
        };
        let identity = CacheMountIdentity::new(id, *mode, *owner);
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

    /// The secret's bytes go into memory that only this step's mounts reach.
    fn secret(
        &mut self,
        mount: &Mount,
        id: &str,
        at: &SecretTarget,
        required: bool,
    ) -> Result<(), EngineError> {
        let Some(secret) = self.session.secret(id)? else {
            if required {
                return Err(EngineError::MissingSecret(id.to_owned()));
            }
            return Ok(());
        };
        let (mode, owner) = match at {
            SecretTarget::Env(name) => {
                let value = String::from_utf8_lossy(secret.expose());
                self.env.push(format!("{name}={value}"));
                return Ok(());
            }
            SecretTarget::File { mode, owner } => (*mode, *owner),
        };
        let directory = self.scratch.join(format!("secret-{}", self.secrets.len()));
        let failed = |source| EngineError::WriteFile {
            path: directory.clone(),
            source,
        };
        std::fs::create_dir(&directory).map_err(failed)?;
        let memory = MountKind::Tmpfs {
            size: Some(1 << 20),
            mode: 0o700,
        };
        let flags = MountFlags::NO_SUID | MountFlags::NO_DEV | MountFlags::NO_EXEC;
        let guard = MountGuard::new(&memory, flags, &directory).map_err(EngineError::Mount)?;
        let file = directory.join("secret");
        std::fs::write(&file, secret.expose()).map_err(failed)?;
        set_attributes(&file, mode, owner)?;
        self.secrets.push(guard);
        let kind = MountKind::Bind {
            source: file,
            recursive: false,
        };
        self.push(mount, kind, flags | MountFlags::READ_ONLY);
        Ok(())
    }

    /// A socket of the step's own that leads to the client's agent.
    fn agent(
        &mut self,
        mount: &Mount,
        agent: &SshAgent,
        mode: u32,
        owner: FileOwner,
    ) -> Result<(), EngineError> {
        let path = self.scratch.join(format!("agent-{}", self.agents.len()));
        let relay = Relay::start(agent, &path, mode, (owner.uid, owner.gid)).map_err(|source| {
            EngineError::Io {
                action: "forward the SSH agent",
                source,
            }
        })?;
        self.agents.push(relay);
        let kind = MountKind::Bind {
            source: path,
            recursive: false,
        };
        self.push(mount, kind, MountFlags::NO_SUID | MountFlags::NO_DEV);
        Ok(())
    }

    fn spec(&mut self, op: &ExecOp) -> Result<Spec, EngineError> {
        let root = self.root.take().ok_or(EngineError::NoCommand)?;
        let network = network(op.network);
        let hostname = op.hostname.clone().unwrap_or_else(|| HOSTNAME.to_owned());
        let files = SystemFiles::write(&self.scratch, &hostname, &op.extra_hosts, network)?;
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

fn set_attributes(path: &Path, mode: u32, owner: FileOwner) -> Result<(), EngineError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source| EngineError::WriteFile {
        path: path.to_owned(),
        source,
    };
    std::os::unix::fs::chown(path, Some(owner.uid), Some(owner.gid))
        .map_err(NoSuchOwner::explain(owner.uid, owner.gid))
        .map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)
}
