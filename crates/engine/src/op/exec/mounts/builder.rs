//! Adds one mount after another, and makes the specification of the process.

use std::path::{Path, PathBuf};

use graph::{CacheSharing, ExecOp, FileOwner, Mount, MountSource};
use sandbox::{CapabilitySet, Process, Spec, User};
use snapshot::Upper;
use snapshot::snapshotter::View;
use store::{CacheMount, Sharing};
use sys::mount::{Mount as SystemMount, MountFlags, MountKind};
use sys::owner::{self, Owner};

use super::{Ground, Prepared, Writable};
use crate::cache_mount::{CacheMountIdentity, Seeds};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::op::exec::environment::{HOSTNAME, SystemFiles, limits};
use crate::op::exec::private::SecretFile;
use crate::op::trees::InputTree;
use crate::op::{find_user, find_user_in};
use crate::output::Stack;
use crate::session::Session;
use crate::ssh::Relay;

impl Prepared {
    pub(super) fn on(
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
            _caches: caches.into_iter().map(|(_, cache)| cache).collect(),
            secrets,
            agents,
            scratch,
        })
    }
}

pub(in crate::op::exec) struct Builder<'a> {
    pub(in crate::op::exec) engine: &'a Inner,
    /// What is mounted is moved into the root instead.
    pub(in crate::op::exec) places: bool,
    pub(in crate::op::exec) session: &'a Session,
    inputs: Vec<InputTree>,
    pub(in crate::op::exec) scratch: PathBuf,
    root: Option<MountKind>,
    pub(in crate::op::exec) mounts: Vec<SystemMount>,
    pub(in crate::op::exec) env: Vec<String>,
    writable: Vec<Writable>,
    views: Vec<View>,
    /// By the keys that they were asked for by.
    pub(in crate::op::exec) caches: Vec<(String, CacheMount)>,
    /// What cache mounts begin with that came from elsewhere.
    seeds: Seeds,
    pub(in crate::op::exec) secrets: Vec<SecretFile>,
    pub(in crate::op::exec) agents: Vec<Relay>,
    /// The keys of cache mounts that have their place.
    pub(in crate::op::exec) placed_caches: Vec<String>,
    /// How many copies of the client's files there are.
    pub(in crate::op::exec) copies: usize,
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

    pub(in crate::op::exec) fn push(&mut self, mount: &Mount, kind: MountKind, flags: MountFlags) {
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
        let key = identity.key();
        // A step that has it already would wait for itself.
        let held = self.caches.iter().find(|(held, _)| *held == key);
        if let Some(kind) = held.map(|(_, cache)| tree_of(cache)) {
            self.push(mount, kind, MountFlags::NONE);
            return Ok(());
        }
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
        let mounts = engine.store.cache_mounts();
        let cache = mounts.acquire(&engine.lease, &key, sharing, seed)?;
        self.push(mount, tree_of(&cache), MountFlags::NONE);
        self.caches.push((key, cache));
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
            security: self.session.security(op.security)?,
            limits: limits(&op.ulimits)?,
            shm_size: op.shm_size,
            group: self.engine.resources(self.session).group(),
        })
    }

    fn user(&self, name: &str) -> Result<User, EngineError> {
        let name = if name.is_empty() { "0" } else { name };
        match self.inputs.first() {
            Some(root) => find_user(&self.engine.tree(root)?, name),
            None => find_user_in("", "", name),
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

fn tree_of(cache: &CacheMount) -> MountKind {
    MountKind::Bind {
        source: cache.path().to_owned(),
        recursive: false,
    }
}

pub(in crate::op::exec) fn set_attributes(
    path: &Path,
    mode: u32,
    owner: FileOwner,
) -> Result<(), EngineError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source| EngineError::WriteFile {
        path: path.to_owned(),
        source,
    };
    let FileOwner { uid, gid } = owner;
    owner::give_path(path, Owner { uid, gid }).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)
}
