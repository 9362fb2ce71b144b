//! Mounts of what the client offers: secrets and SSH agents.

use bollard_buildkit_proto::pb;
use graph::{FileOwner, Mount, MountSource, SecretTarget};

use crate::error::Problem;
use crate::load::Given;
use crate::path;

pub(crate) fn secret(mount: &pb::Mount, given: &Given<'_>) -> Result<MountSource, Problem> {
    let option = mount.secret_opt.as_ref();
    let option = option.ok_or_else(|| lacks("secret", mount))?;
    Ok(MountSource::Secret {
        id: named("secret", &option.id, mount)?,
        at: SecretTarget::File {
            mode: option.mode & 0o7777,
            owner: FileOwner {
                uid: option.uid,
                gid: option.gid,
            },
        },
        required: !option.optional,
        digest: given.options.secret_digests.get(&option.id).copied(),
    })
}

pub(crate) fn variable(secret: &pb::SecretEnv, given: &Given<'_>) -> Result<Mount, Problem> {
    if secret.id.is_empty() || secret.name.is_empty() {
        let what = format!("secret {:?} as variable {:?}", secret.id, secret.name);
        return Err(Problem::Invalid(what));
    }
    Ok(Mount {
        target: format!("/run/secrets/{}", path::base(&secret.id)),
        source: MountSource::Secret {
            id: secret.id.clone(),
            at: SecretTarget::Env(secret.name.clone()),
            required: !secret.optional,
            digest: given.options.secret_digests.get(&secret.id).copied(),
        },
        read_only: true,
    })
}

pub(crate) fn ssh(mount: &pb::Mount) -> Result<MountSource, Problem> {
    let option = mount.ssh_opt.as_ref();
    let option = option.ok_or_else(|| lacks("SSH", mount))?;
    Ok(MountSource::Ssh {
        id: match option.id.as_str() {
            "" => "default".to_owned(),
            id => id.to_owned(),
        },
        mode: option.mode & 0o7777,
        owner: FileOwner {
            uid: option.uid,
            gid: option.gid,
        },
        required: !option.optional,
    })
}

fn named(what: &str, id: &str, mount: &pb::Mount) -> Result<String, Problem> {
    match id {
        "" => Err(Problem::Invalid(format!(
            "{what} mount {} without an ID",
            mount.dest
        ))),
        id => Ok(id.to_owned()),
    }
}

pub(crate) fn lacks(what: &str, mount: &pb::Mount) -> Problem {
    Problem::Invalid(format!(
        "{what} mount {} without {what} options",
        mount.dest
    ))
}
