//! Ops that run a process.

use std::collections::BTreeMap;

use bollard_buildkit_proto::pb;
use graph::{
    Device, Environment, ExecOp, ExtraHost, NetworkMode, Op, Process, SecurityMode, Ulimit,
};
use oci::DEFAULT_PATH;

use crate::error::Problem;
use crate::load::{Converted, Given};
use crate::mount::Mounts;
use crate::path;

pub(crate) fn convert(op: &pb::ExecOp, given: &Given<'_>) -> Result<Converted, Problem> {
    let meta = op.meta.as_ref();
    let meta = meta.ok_or_else(|| Problem::Invalid("exec op with no meta".to_owned()))?;
    if meta.args.is_empty() {
        return Err(Problem::Invalid("exec op with no args".to_owned()));
    }
    if !meta.cgroup_parent.is_empty() {
        return Err(Problem::unsupported(
            format!("cgroup parent {:?}", meta.cgroup_parent),
            "leave it out, steps are bounded by the configuration",
        ));
    }
    let mounts = Mounts::convert(op, &meta.cwd, given)?;
    let exec = ExecOp {
        process: Process {
            args: meta.args.clone(),
            env: environment(&meta.env),
            cwd: path::clean(&meta.cwd),
            user: meta.user.clone(),
        },
        mounts: mounts.mounts,
        network: network(op, given)?,
        security: security(op, given)?,
        devices: devices(op, given)?,
        extra_hosts: meta.extra_hosts.iter().map(extra_host).collect(),
        hostname: (!meta.hostname.is_empty()).then(|| meta.hostname.clone()),
        shm_size: None,
        ulimits: meta.ulimit.iter().map(ulimit).collect(),
        proxy: meta.proxy_env.as_ref().map(proxies).unwrap_or_default(),
        valid_exit_codes: exit_codes(meta)?,
    };
    Ok(Converted {
        op: Op::Exec(exec),
        inputs: mounts.inputs,
        outputs: mounts.outputs,
        unchanged: mounts.unchanged,
    })
}

/// A client that knows the capability `exec.meta.setsdefaultpath` leaves it to us where programs are.
fn environment(entries: &[String]) -> Environment {
    let has_path = entries.iter().any(|entry| entry.starts_with("PATH="));
    let path = (!has_path).then(|| format!("PATH={DEFAULT_PATH}"));
    entries.iter().cloned().chain(path).collect()
}

fn network(op: &pb::ExecOp, given: &Given<'_>) -> Result<NetworkMode, Problem> {
    match pb::NetMode::try_from(op.network) {
        Ok(pb::NetMode::Unset) => Ok(NetworkMode::Default),
        Ok(pb::NetMode::None) => Ok(NetworkMode::None),
        Ok(pb::NetMode::Host) if given.options.allow_host_network => Ok(NetworkMode::Host),
        Ok(pb::NetMode::Host) => Err(Problem::NotAllowed("network.host")),
        Err(_) => Err(Problem::Invalid(format!("network mode {}", op.network))),
    }
}

fn security(op: &pb::ExecOp, given: &Given<'_>) -> Result<SecurityMode, Problem> {
    match pb::SecurityMode::try_from(op.security) {
        Ok(pb::SecurityMode::Sandbox) => Ok(SecurityMode::Sandbox),
        Ok(pb::SecurityMode::Insecure) if given.options.allow_insecure => {
            Ok(SecurityMode::Insecure)
        }
        Ok(pb::SecurityMode::Insecure) => Err(Problem::NotAllowed("security.insecure")),
        Err(_) => Err(Problem::Invalid(format!("security mode {}", op.security))),
    }
}

fn devices(op: &pb::ExecOp, given: &Given<'_>) -> Result<Vec<Device>, Problem> {
    let mut devices: Vec<Device> = Vec::new();
    for asked in &op.cdi_devices {
        let lookup = given.options.devices.as_ref();
        let lookup = lookup.ok_or(Problem::NotAllowed("device"))?;
        let found = lookup.find(&asked.name, asked.optional);
        for device in found.map_err(Problem::Device)? {
            if !devices.contains(&device) {
                devices.push(device);
            }
        }
    }
    Ok(devices)
}

fn extra_host(host: &pb::HostIp) -> ExtraHost {
    ExtraHost {
        host: host.host.clone(),
        address: host.ip.clone(),
    }
}

fn ulimit(ulimit: &pb::Ulimit) -> Ulimit {
    Ulimit {
        name: ulimit.name.clone(),
        soft: ulimit.soft,
        hard: ulimit.hard,
    }
}

/// By the names that programs look for, of which there are two each.
fn proxies(proxy: &pb::ProxyEnv) -> BTreeMap<String, String> {
    let given = [
        ("http_proxy", &proxy.http_proxy),
        ("https_proxy", &proxy.https_proxy),
        ("ftp_proxy", &proxy.ftp_proxy),
        ("no_proxy", &proxy.no_proxy),
        ("all_proxy", &proxy.all_proxy),
    ];
    let mut proxies = BTreeMap::new();
    for (name, value) in given.into_iter().filter(|(_, value)| !value.is_empty()) {
        proxies.insert(name.to_owned(), value.clone());
        proxies.insert(name.to_uppercase(), value.clone());
    }
    proxies
}

fn exit_codes(meta: &pb::Meta) -> Result<Vec<u32>, Problem> {
    let code = |code: &i32| match u8::try_from(*code) {
        Ok(code) => Ok(u32::from(code)),
        Err(_) => Err(Problem::Invalid(format!("valid exit code {code}"))),
    };
    meta.valid_exit_codes.iter().map(code).collect()
}
