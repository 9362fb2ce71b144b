//! All that `buildkitd` can be told. Both its kinds of worker are the one that kiln is.

use serde_json::Value;

use super::network;
use crate::standin::effects::{debug, log_level, max_used, min_free, nothing, reserved, text};
use crate::standin::lowering::Lowering;
use crate::standin::setting::Does::{Becomes, Is, Nothing, Refused};
use crate::standin::setting::Kind::{Any, Number, Switch, Text, Texts};
use crate::standin::setting::{Setting, asks_for_nothing};
use crate::standin::{gc, registry};

const OWN_WORKER: &str = "kiln runs steps and keeps layers itself";
const CONTAINERD: &str = "kiln is the worker and needs no containerd";
/// What a worker has for steps that kiln has not.
const SECURITY: [&str; 3] = ["apparmor-profile", "selinux", "defaultCgroupParent"];
const OWN_NETWORKS: &str = "a network is made for each step, and for it alone";

/// All that it can be told.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::flag("config", Text, Becomes(nothing)),
    Setting::both("root", "root", Text, Becomes(root)),
    Setting::both("debug", "debug", Switch, Becomes(debug)),
    Setting::both("trace", "trace", Switch, Becomes(debug)),
    Setting::both("log.format", "log-format", Text, Becomes(log_format)),
    Setting::both("log.level", "log-level", Text, Becomes(log_level)),
    Setting::both("grpc.address", "addr", Texts, Is("serve.hosts")),
    Setting::both("grpc.debugAddress", "debugaddr", Text, Becomes(metrics)),
    Setting::key("grpc.uid", Number, Is("serve.user")),
    Setting::key("grpc.gid", Text, Is("serve.group")),
    Setting::flag("group", Text, Becomes(group)),
    Setting::key(
        "grpc.securityDescriptor",
        Text,
        Nothing("it is for Windows"),
    ),
    Setting::both(
        "grpc.tls.cert",
        "tlscert",
        Text,
        Is("serve.tls.certificate"),
    ),
    Setting::both("grpc.tls.key", "tlskey", Text, Is("serve.tls.key")),
    Setting::both("grpc.tls.ca", "tlscacert", Text, Is("serve.tls.ca")),
    Setting::both(
        "insecure-entitlements",
        "allow-insecure-entitlement",
        Texts,
        Becomes(entitlements),
    ),
    Setting::both(
        "proxyNetwork",
        "proxy-network",
        Switch,
        Refused(
            &[],
            "leave it out, or run builds where the network is filtered",
        ),
    ),
    Setting::both(
        "otel.socketPath",
        "otel-socket-path",
        Text,
        Nothing("steps are given no socket for traces"),
    ),
    Setting::both(
        "cdi.disabled",
        "cdi-disabled",
        Switch,
        Becomes(cdi_disabled),
    ),
    Setting::both("cdi.specDirs", "cdi-spec-dir", Texts, Is("cdi.spec-dirs")),
    Setting::key(
        "cdi.autoAllowed",
        Texts,
        Nothing("builds of clients that ask for devices are refused"),
    ),
    Setting::flag(
        "save-cache-debug",
        Switch,
        Nothing("`kiln history why` tells of caches without it"),
    ),
    Setting::flag("rootless", Switch, Nothing("kiln finds out itself")),
    Setting::key("dns.nameservers", Texts, Is("build.dns.nameservers")),
    Setting::key("dns.options", Texts, Is("build.dns.options")),
    Setting::key("dns.searchDomains", Texts, Is("build.dns.search")),
    Setting::key(
        "history.maxAge",
        Any,
        Nothing("old builds go by number and size"),
    ),
    Setting::key("history.maxEntries", Number, Is("history.builds")),
    Setting::key("frontend.dockerfile.v0", Any, Becomes(front_end)),
    Setting::key("frontend.gateway.v0", Any, Becomes(front_end)),
    Setting::key(
        "system.platformsCacheMaxAge",
        Any,
        Nothing("platforms are looked at for every build"),
    ),
    Setting::key(
        "system.maxRegistryConcurrency",
        Number,
        Nothing("kiln bounds what goes on with one registry itself"),
    ),
    Setting::key(
        "provenanceEnvDir",
        Text,
        Nothing("provenance says what was asked for, and not what the builder has around it"),
    ),
    Setting::key("cache.gha", Any, Refused(&[], "leave it out")),
    Setting::key("registry", Any, Becomes(registry::by_domain)),
    // The worker.
    Setting::both("worker.oci.enabled", "oci-worker", Any, Becomes(nothing)),
    Setting::both("worker.oci.gc", "oci-worker-gc", Switch, Is("gc.enabled")),
    Setting::both(
        "worker.oci.gckeepstorage",
        "oci-worker-gc-keepstorage",
        Any,
        Becomes(keep_storage),
    ),
    Setting::key("worker.oci.reservedSpace", Any, Becomes(reserved)),
    Setting::key("worker.oci.maxUsedSpace", Any, Becomes(max_used)),
    Setting::key("worker.oci.minFreeSpace", Any, Becomes(min_free)),
    Setting::key("worker.oci.gcpolicy", Any, Becomes(gc::policy)),
    Setting::both(
        "worker.oci.max-parallelism",
        "oci-max-parallelism",
        Number,
        Is("limits.parallel-steps"),
    ),
    Setting::both(
        "worker.oci.networkMode",
        "oci-worker-net",
        Text,
        Becomes(network::mode),
    ),
    Setting::both(
        "worker.oci.cniConfigPath",
        "oci-cni-config-path",
        Text,
        Becomes(network::config),
    ),
    Setting::both(
        "worker.oci.cniBinaryPath",
        "oci-cni-binary-dir",
        Text,
        Becomes(network::plugins),
    ),
    Setting::both(
        "worker.oci.cniPoolSize",
        "oci-cni-pool-size",
        Number,
        Nothing(OWN_NETWORKS),
    ),
    Setting::key("worker.oci.bridgeName", Text, Becomes(network::bridge)),
    Setting::key("worker.oci.bridgeSubnet", Text, Becomes(network::subnet)),
    Setting::key(
        "worker.oci.labels",
        Any,
        Nothing("the worker has labels of its own"),
    ),
    Setting::flag(
        "oci-worker-labels",
        Texts,
        Nothing("the worker has labels of its own"),
    ),
    Setting::both(
        "worker.oci.platforms",
        "oci-worker-platform",
        Texts,
        Nothing("kiln builds for what the machine can run"),
    ),
    Setting::both(
        "worker.oci.snapshotter",
        "oci-worker-snapshotter",
        Text,
        Nothing(OWN_WORKER),
    ),
    Setting::both(
        "worker.oci.proxySnapshotterPath",
        "oci-worker-proxy-snapshotter-path",
        Text,
        Nothing(OWN_WORKER),
    ),
    Setting::key("worker.oci.stargzSnapshotter", Any, Nothing(OWN_WORKER)),
    Setting::both(
        "worker.oci.binary",
        "oci-worker-binary",
        Text,
        Nothing(OWN_WORKER),
    ),
    Setting::both(
        "worker.oci.rootless",
        "oci-worker-rootless",
        Switch,
        Nothing("kiln finds out itself"),
    ),
    Setting::both(
        "worker.oci.noProcessSandbox",
        "oci-worker-no-process-sandbox",
        Switch,
        Nothing("steps have processes of their own wherever the kernel lets them"),
    ),
    Setting::both(
        "worker.oci.apparmor-profile",
        "oci-worker-apparmor-profile",
        Text,
        Refused(&[], "leave it out"),
    ),
    Setting::both(
        "worker.oci.selinux",
        "oci-worker-selinux",
        Switch,
        Refused(&[], "leave it out"),
    ),
    Setting::key(
        "worker.oci.defaultCgroupParent",
        Text,
        Refused(&[], "leave it out"),
    ),
    Setting::key(
        "worker.oci.userRemapUnsupported",
        Text,
        Refused(&[], "leave it out"),
    ),
    Setting::both(
        "worker.containerd",
        "containerd-worker",
        Any,
        Becomes(containerd),
    ),
    Setting::flag("containerd-worker-addr", Text, Nothing(CONTAINERD)),
    Setting::flag("containerd-worker-labels", Texts, Nothing(CONTAINERD)),
    Setting::flag("containerd-worker-platform", Texts, Nothing(CONTAINERD)),
    Setting::flag("containerd-worker-namespace", Text, Nothing(CONTAINERD)),
    Setting::flag("containerd-worker-runtime", Text, Nothing(CONTAINERD)),
    Setting::flag("containerd-worker-net", Text, Becomes(network::mode)),
    Setting::flag("containerd-cni-config-path", Text, Becomes(network::config)),
    Setting::flag("containerd-cni-binary-dir", Text, Becomes(network::plugins)),
    Setting::flag("containerd-cni-pool-size", Number, Nothing(OWN_NETWORKS)),
    Setting::flag("containerd-worker-snapshotter", Text, Nothing(CONTAINERD)),
    Setting::flag(
        "containerd-worker-apparmor-profile",
        Text,
        Refused(&[], "leave it out"),
    ),
    Setting::flag(
        "containerd-worker-selinux",
        Switch,
        Refused(&[], "leave it out"),
    ),
    Setting::flag(
        "containerd-max-parallelism",
        Number,
        Is("limits.parallel-steps"),
    ),
    Setting::flag(
        "containerd-worker-rootless",
        Switch,
        Nothing("kiln finds out itself"),
    ),
    Setting::flag("containerd-worker-gc", Switch, Is("gc.enabled")),
    Setting::flag(
        "containerd-worker-gc-keepstorage",
        Any,
        Becomes(keep_storage),
    ),
];

fn root(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    // Packages name the usual directory, which is not kiln's.
    if text(value) != "/var/lib/buildkit" {
        lowering.root = Some(text(value).into());
    }
    Ok(())
}

fn log_format(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    match text(value) {
        "" => {}
        format @ ("json" | "text") => lowering.set(&["serve", "log-format"], format.into()),
        other => return Err(format!("unsupported log type {other:?}")),
    }
    Ok(())
}

fn metrics(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    if !text(value).is_empty() {
        lowering.set(&["serve", "metrics"], value.clone());
        lowering.warn("answers /metrics and /healthz, and none of Go's profiles");
    }
    Ok(())
}

fn group(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    if !text(value).is_empty() {
        lowering.set(&["serve", "group"], value.clone());
    }
    Ok(())
}

fn entitlements(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    let mut granted = Vec::new();
    for name in value.as_array().into_iter().flatten().map(text) {
        match name {
            "network.host" | "security.insecure" => granted.push(Value::from(name)),
            "device" => lowering.warn(format!(
                "has no effect for {name}: builds of clients that ask for it are refused"
            )),
            other => return Err(format!("invalid entitlement : {other}")),
        }
    }
    lowering.set(&["serve", "entitlements"], granted.into());
    Ok(())
}

fn cdi_disabled(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    if value == true {
        lowering.set(&["cdi", "spec-dirs"], Vec::<Value>::new().into());
    }
    Ok(())
}

/// Front ends that are forbidden.
fn front_end(_: &mut Lowering, value: &Value) -> Result<(), String> {
    let is_off = value.get("enabled") == Some(&false.into());
    let allowed = value.get("allowedRepositories").and_then(Value::as_array);
    match is_off || allowed.is_some_and(|allowed| !allowed.is_empty()) {
        true => Err("front ends cannot be forbidden with kiln: leave it out".to_owned()),
        false => Ok(()),
    }
}

/// The worker that uses containerd, which may be switched off.
fn containerd(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    let table = value.as_object();
    let table = table.filter(|table| table.get("enabled") != Some(&false.into()));
    let given = table.into_iter().flatten();
    let mut names = Vec::new();
    for (name, value) in given.filter(|(name, _)| *name != "enabled") {
        if SECURITY.contains(&name.as_str()) && !asks_for_nothing(value, &[]) {
            return Err(format!(
                "{name} = {value} is not provided by kiln: leave it out"
            ));
        }
        names.push(name.as_str());
    }
    if !names.is_empty() {
        let names = names.join(", ");
        lowering.warn(format!("has no effect ({names}): {CONTAINERD}"));
    }
    Ok(())
}

/// `Reserved[,Free[,Maximum]]`, as a flag in megabytes.
fn keep_storage(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    let Some(list) = value.as_str().filter(|_| lowering.at.starts_with("--")) else {
        gc::bound(lowering, "reserved-space", value);
        return Ok(());
    };
    let names = ["reserved-space", "min-free-space", "max-used-space"];
    for (name, part) in names.iter().zip(list.split(',')) {
        let is_number = part.parse::<u64>().is_ok();
        let size = match is_number {
            true => format!("{part}MB"),
            false => part.to_owned(),
        };
        gc::bound(lowering, name, &size.into());
    }
    Ok(())
}

/// Certificates are for both sides.
pub(super) fn tls(lowering: &mut Lowering) -> Result<(), String> {
    let has = |name| lowering.get(&["serve", "tls", name]).is_some();
    match (has("ca"), has("certificate"), has("key")) {
        (true, true, true) | (false, false, false) => Ok(()),
        (false, true, true) => Err(
            "clients without certificates are not served over TCP by kiln: add --tlscacert, \
             grpc.tls.ca in the file"
                .to_owned(),
        ),
        _ => Err("you must specify key and cert file if one is specified".to_owned()),
    }
}
