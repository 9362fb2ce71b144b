//! Mounts of a process.
//!
//! They come out in the order in which `dockerfile` has them: the root, file systems by target,
//! then what the client offers. Each has an input of its own, since how an input is used decides
//! how it enters the keys; inputs that nothing mounts come last.

use bollard_buildkit_proto::pb;
use graph::{
    CacheSharing, Edge, FileActionKind, FileInput, FileOwner, Mount, MountSource, Op, OwnerName,
};
use pb::MountType;

use crate::error::Problem;
use crate::frame::Outputs;
use crate::load::Given;
use crate::{offered, path};

/// The mounts of a process, and what becomes of them.
#[derive(Debug, Default)]
pub(crate) struct Mounts {
    pub(crate) mounts: Vec<Mount>,
    pub(crate) inputs: Vec<Edge>,
    pub(crate) outputs: Vec<u32>,
    /// Outputs of what the process cannot change: the inputs as they were.
    pub(crate) unchanged: Outputs,
}

impl Mounts {
    pub(crate) fn convert(op: &pb::ExecOp, cwd: &str, given: &Given<'_>) -> Result<Self, Problem> {
        let mut ordered = Vec::with_capacity(op.mounts.len());
        for mount in &op.mounts {
            let kind = MountType::try_from(mount.mount_type)
                .map_err(|_| Problem::Invalid(format!("mount type {}", mount.mount_type)))?;
            let target = path::within(cwd, &mount.dest);
            ordered.push((target, kind, mount));
        }
        ordered.sort_by(|a, b| order(&a.0, a.1).cmp(&order(&b.0, b.1)));
        check_root(
            ordered
                .first()
                .map(|(target, kind, mount)| (&**target, *kind, *mount)),
        )?;
        let mut mounts = Self::default();
        for (target, kind, mount) in ordered {
            mounts.add(target, kind, mount, given)?;
        }
        for secret in &op.secretenv {
            mounts.mounts.push(offered::variable(secret, given)?);
        }
        for index in 0..given.inputs.len() {
            let index = i64::try_from(index).unwrap_or(i64::MAX);
            if !op.mounts.iter().any(|mount| mount.input == index) {
                mounts.inputs.extend(given.input("input", index)?);
            }
        }
        mounts.check_outputs()?;
        Ok(mounts)
    }

    fn add(
        &mut self,
        target: String,
        kind: MountType,
        mount: &pb::Mount,
        given: &Given<'_>,
    ) -> Result<(), Problem> {
        check_options(kind, mount)?;
        let source = match kind {
            MountType::Bind => self.bind(&target, mount, given)?,
            MountType::Cache => self.cache(&target, mount, given)?,
            MountType::Tmpfs => MountSource::Tmpfs { size: size(mount)? },
            MountType::Secret => offered::secret(mount, given)?,
            MountType::Ssh => offered::ssh(mount)?,
        };
        let is_offered = matches!(kind, MountType::Secret | MountType::Ssh);
        self.mounts.push(Mount {
            target,
            source,
            read_only: mount.readonly || is_offered,
        });
        Ok(())
    }

    fn bind(
        &mut self,
        target: &str,
        mount: &pb::Mount,
        given: &Given<'_>,
    ) -> Result<MountSource, Problem> {
        let input = given.input("mount input", mount.input)?;
        let output = self.output(target, mount, input)?;
        Ok(MountSource::Bind {
            input: input.map(|edge| self.add_input(edge)),
            selector: selector(mount),
            output,
        })
    }

    /// What cannot be written to comes out as it went in.
    fn output(
        &mut self,
        target: &str,
        mount: &pb::Mount,
        input: Option<Edge>,
    ) -> Result<Option<u32>, Problem> {
        if mount.output == -1 {
            return Ok(None);
        }
        let output = u32::try_from(mount.output).map_err(|_| Problem::Index {
            what: "mount output",
            index: mount.output,
        })?;
        if mount.readonly && target != "/" {
            self.unchanged.insert(mount.output, input);
            return Ok(None);
        }
        self.outputs.push(output);
        Ok(Some(output))
    }

    fn cache(
        &mut self,
        target: &str,
        mount: &pb::Mount,
        given: &Given<'_>,
    ) -> Result<MountSource, Problem> {
        let option = mount.cache_opt.as_ref();
        let option = option.ok_or_else(|| offered::lacks("cache", mount))?;
        let sharing = match pb::CacheSharingOpt::try_from(option.sharing) {
            Ok(pb::CacheSharingOpt::Shared) => CacheSharing::Shared,
            Ok(pb::CacheSharingOpt::Private) => CacheSharing::Private,
            Ok(pb::CacheSharingOpt::Locked) => CacheSharing::Locked,
            Err(_) => {
                let what = format!("sharing mode {} of a cache mount", option.sharing);
                return Err(Problem::Invalid(what));
            }
        };
        let mut input = given.input("mount input", mount.input)?;
        let mut selector = selector(mount);
        let (mut mode, mut owner) = (0o755, FileOwner::default());
        if let Some(empty) = input.and_then(|edge| EmptyDirectory::of(edge, &selector, given)) {
            (mode, owner) = (empty.mode, empty.owner);
            input = None;
            selector.clear();
        }
        Ok(MountSource::Cache {
            // A front end puts a namespace and a slash before the identity, also when there is none.
            id: match option.id.strip_prefix('/').unwrap_or(&option.id) {
                "" => target.to_owned(),
                id => id.to_owned(),
            },
            sharing,
            input: input.map(|edge| self.add_input(edge)),
            selector,
            mode,
            owner,
        })
    }

    fn add_input(&mut self, edge: Edge) -> u32 {
        self.inputs.push(edge);
        u32::try_from(self.inputs.len() - 1).unwrap_or(u32::MAX)
    }

    /// Outputs are numbered without gaps, and no number is given twice.
    fn check_outputs(&self) -> Result<(), Problem> {
        let unchanged = self.unchanged.keys().copied();
        let made = self.outputs.iter().map(|output| i64::from(*output));
        let mut all: Vec<i64> = made.chain(unchanged).collect();
        all.sort_unstable();
        for (expected, output) in (0i64..).zip(all) {
            if expected != output {
                return Err(Problem::Index {
                    what: "mount output",
                    index: output,
                });
            }
        }
        Ok(())
    }
}

/// What a front end lets a cache mount begin with that is to have a mode or an owner.
struct EmptyDirectory {
    mode: u32,
    owner: FileOwner,
}

impl EmptyDirectory {
    fn of(edge: Edge, selector: &str, given: &Given<'_>) -> Option<Self> {
        let vertex = given.graph.get(edge.vertex)?;
        let Op::File(file) = &vertex.op else {
            return None;
        };
        let [action] = file.actions.as_slice() else {
            return None;
        };
        let FileActionKind::Mkdir(mkdir) = &action.kind else {
            return None;
        };
        if mkdir.path != selector || mkdir.created.is_some() || action.input != FileInput::Scratch {
            return None;
        }
        let id = |name: Option<&OwnerName>| match name {
            None => Some(0),
            Some(OwnerName::Id(id)) => Some(*id),
            Some(OwnerName::Name(_)) => None,
        };
        let owner = mkdir.owner.as_ref();
        Some(Self {
            mode: mkdir.mode,
            owner: FileOwner {
                uid: id(owner.and_then(|owner| owner.user.as_ref()))?,
                gid: id(owner.and_then(|owner| owner.group.as_ref()))?,
            },
        })
    }
}

/// File systems by target, then what the client offers, by kind.
const fn order(target: &str, kind: MountType) -> (u8, &str) {
    match kind {
        MountType::Secret => (1, ""),
        MountType::Ssh => (2, ""),
        MountType::Bind | MountType::Cache | MountType::Tmpfs => (0, target),
    }
}

fn check_root(first: Option<(&str, MountType, &pb::Mount)>) -> Result<(), Problem> {
    match first {
        Some(("/", MountType::Bind, root)) if !root.selector.trim_matches('/').is_empty() => {
            Err(Problem::unsupported(
                format!("selector {:?} of the root mount", root.selector),
                "copy that directory to a file system of its own",
            ))
        }
        Some(("/", MountType::Bind, _)) => Ok(()),
        Some(("/", kind, _)) => {
            let what = format!("mount type {} for /", kind.as_str_name());
            Err(Problem::Invalid(what))
        }
        _ => Err(Problem::Invalid("exec op with no rootfs".to_owned())),
    }
}

/// Nothing is said of a mount that is not for its kind.
fn check_options(kind: MountType, mount: &pb::Mount) -> Result<(), Problem> {
    let said = [
        (MountType::Tmpfs, mount.tmpfs_opt.is_some()),
        (MountType::Cache, mount.cache_opt.is_some()),
        (MountType::Secret, mount.secret_opt.is_some()),
        (MountType::Ssh, mount.ssh_opt.is_some()),
    ];
    if let Some((other, _)) = said.iter().find(|(of, is_said)| *is_said && *of != kind) {
        let (kind, other) = (kind.as_str_name(), other.as_str_name());
        let what = format!("{kind} mount {} with options of {other}", mount.dest);
        return Err(Problem::Invalid(what));
    }
    if !mount.result_id.is_empty() {
        return Err(Problem::unsupported(
            "resultID of a mount",
            "it is for containers of front ends alone",
        ));
    }
    if mount.content_cache == pb::MountContentCache::Off as i32 {
        return Err(Problem::unsupported(
            "contentCache OFF of a mount",
            "leave it out: what a read-only mount shows counts by its content",
        ));
    }
    if pb::MountContentCache::try_from(mount.content_cache).is_err() {
        let what = format!("contentCache {} of a mount", mount.content_cache);
        return Err(Problem::Invalid(what));
    }
    Ok(())
}

fn selector(mount: &pb::Mount) -> String {
    match path::clean(&mount.selector).as_str() {
        "/" => String::new(),
        selector => selector.to_owned(),
    }
}

fn size(mount: &pb::Mount) -> Result<Option<u64>, Problem> {
    match mount.tmpfs_opt.map_or(0, |option| option.size) {
        0 => Ok(None),
        size => match u64::try_from(size) {
            Ok(size) => Ok(Some(size)),
            Err(_) => Err(Problem::Invalid(format!("size {size} of a tmpfs mount"))),
        },
    }
}
