//! What the devices that a step asked for change for its process.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use sandbox::{DeviceKind, DeviceNode, User};
use sys::mount::{Mount as SystemMount, MountFlags, MountKind};
use sys::node::Device;

use super::mounts::Builder;
use crate::device::{Node, NodeKind, SpecMount};
use crate::error::EngineError;

/// The mode of a node for which none is known; runc's.
const MODE: u32 = 0o666;

impl Builder<'_> {
    /// Adds variables, files and groups; gives back the nodes.
    pub(super) fn devices(
        &mut self,
        devices: &[graph::Device],
        user: &mut User,
    ) -> Result<Vec<DeviceNode>, EngineError> {
        let mut nodes: Vec<DeviceNode> = Vec::new();
        for edits in self.session.devices.edits(devices)? {
            for entry in &edits.env {
                set_variable(&mut self.env, entry);
            }
            for node in &edits.device_nodes {
                let node = resolve(node, user)?;
                nodes.retain(|earlier| earlier.path != node.path);
                nodes.push(node);
            }
            for mount in &edits.mounts {
                let target = Path::new(&mount.container_path);
                self.mounts.retain(|earlier| earlier.target != target);
                self.mounts.push(bind(mount)?);
            }
            let groups = edits.additional_gids.iter();
            user.groups.extend(groups.filter(|gid| **gid != 0));
        }
        Ok(nodes)
    }
}

fn set_variable(env: &mut Vec<String>, entry: &str) {
    let name = |entry: &str| entry.split_once('=').map(|(name, _)| name.to_owned());
    env.retain(|earlier| name(earlier) != name(entry));
    env.push(entry.to_owned());
}

/// The node as it is on the machine, where the registration does not say. Without an owner it is
/// the process's own.
fn resolve(node: &Node, user: &User) -> Result<DeviceNode, EngineError> {
    let host = Path::new(node.host_path.as_deref().unwrap_or(&node.path));
    let failed = |source| EngineError::DeviceNode {
        path: host.to_owned(),
        source,
    };
    let found = std::fs::symlink_metadata(host);
    let mode = found.as_ref().map_or(MODE, Metadata::mode);
    let said = Device {
        major: node.major,
        minor: node.minor,
    };
    let kind = match node.kind {
        Some(NodeKind::Pipe) => DeviceKind::Pipe,
        Some(NodeKind::Block) if said.major != 0 => DeviceKind::Block(said),
        Some(NodeKind::Character) if said.major != 0 => DeviceKind::Character(said),
        kind => of_host(&found.map_err(failed)?, kind).map_err(failed)?,
    };
    Ok(DeviceNode {
        path: node.path.clone().into(),
        kind,
        mode: node.file_mode.unwrap_or(mode) & 0o7777,
        uid: node.uid.unwrap_or(user.uid),
        gid: node.gid.unwrap_or(user.gid),
    })
}

/// What the host's node is; it must be of the kind that was said.
fn of_host(found: &Metadata, said: Option<NodeKind>) -> std::io::Result<DeviceKind> {
    let file_type = found.file_type();
    let device = Device::from_raw(found.rdev());
    let (kind, is) = if file_type.is_block_device() {
        (NodeKind::Block, DeviceKind::Block(device))
    } else if file_type.is_char_device() {
        (NodeKind::Character, DeviceKind::Character(device))
    } else if file_type.is_fifo() {
        (NodeKind::Pipe, DeviceKind::Pipe)
    } else {
        return Err(std::io::Error::other("not a device node"));
    };
    if said.is_some_and(|said| said != kind) {
        return Err(std::io::Error::other("not of the type that is registered"));
    }
    Ok(is)
}

fn bind(mount: &SpecMount) -> Result<SystemMount, EngineError> {
    // What the host has there may be a link, such as the name of a library without its version.
    let source = std::fs::canonicalize(&mount.host_path).map_err(|source| EngineError::Read {
        path: mount.host_path.clone().into(),
        source,
    })?;
    let flags = [
        ("ro", MountFlags::READ_ONLY),
        ("nosuid", MountFlags::NO_SUID),
        ("nodev", MountFlags::NO_DEV),
        ("noexec", MountFlags::NO_EXEC),
    ];
    let flags = flags.into_iter().filter(|(option, _)| mount.has(option));
    Ok(SystemMount {
        kind: MountKind::Bind {
            source,
            recursive: mount.has("rbind"),
        },
        target: mount.container_path.clone().into(),
        flags: flags.fold(MountFlags::NONE, |all, (_, flag)| all | flag),
    })
}
