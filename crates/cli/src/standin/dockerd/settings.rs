//! All that `dockerd` can be told: one table, which `--help` shows in its order.

use crate::standin::effects::{debug, log_level, max_used, min_free, nothing, reserved};
use crate::standin::setting::Does::{Becomes, Is, Nothing, Refused};
use crate::standin::setting::Kind::{Any, Number, Switch, Text, Texts};
use crate::standin::setting::Setting;
use crate::standin::{gc, registry};

use super::effects::{
    features, http_proxy, https_proxy, metrics, network_host, no_proxy, pid_file, root,
    security_insecure, tls_alone,
};

const NO_BRIDGE: &str = "kiln makes no bridge: containers have the machine's network";
const NO_SWARM: &str = "kiln is no part of a swarm";
const OWN_STORE: &str = "kiln keeps layers itself";
const OWN_RUNTIME: &str = "kiln runs containers itself";
const NO_CONTAINERD: &str = "kiln needs no containerd";
const OWN_TRANSFERS: &str = "kiln bounds what goes on with one registry itself";
const GATEWAY: &str = "the address host-gateway is refused where it is asked for";
const LEAVE: &str = "leave it out";

/// All that it can be told.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::flag("config-file", Text, Becomes(nothing)),
    Setting::flag("validate", Switch, Becomes(nothing)),
    Setting::both("debug", "debug", Switch, Becomes(debug)).short('D'),
    Setting::both("data-root", "data-root", Text, Becomes(root)),
    Setting::both(
        "exec-root",
        "exec-root",
        Text,
        Nothing("kiln has all it needs in its store"),
    ),
    Setting::both("pidfile", "pidfile", Text, Becomes(pid_file)).short('p'),
    Setting::both("hosts", "host", Texts, Is("serve.hosts")).short('H'),
    Setting::both("group", "group", Text, Is("serve.group")).short('G'),
    Setting::both("tls", "tls", Switch, Becomes(tls_alone)),
    Setting::both("tlsverify", "tlsverify", Switch, Becomes(nothing)),
    Setting::both("tlscacert", "tlscacert", Text, Is("serve.tls.ca")),
    Setting::both("tlscert", "tlscert", Text, Is("serve.tls.certificate")),
    Setting::both("tlskey", "tlskey", Text, Is("serve.tls.key")),
    Setting::both("log-level", "log-level", Text, Becomes(log_level)).short('l'),
    Setting::both("log-format", "log-format", Text, Is("serve.log-format")),
    Setting::both(
        "raw-logs",
        "raw-logs",
        Switch,
        Nothing("the log has no colours"),
    ),
    Setting::both("metrics-addr", "metrics-addr", Text, Becomes(metrics)),
    Setting::both(
        "shutdown-timeout",
        "shutdown-timeout",
        Number,
        Is("serve.stop-timeout"),
    ),
    Setting::both(
        "registry-mirrors",
        "registry-mirror",
        Texts,
        Becomes(registry::mirrors),
    ),
    Setting::both(
        "insecure-registries",
        "insecure-registry",
        Texts,
        Becomes(registry::insecure),
    ),
    Setting::both(
        "max-concurrent-downloads",
        "max-concurrent-downloads",
        Number,
        Nothing(OWN_TRANSFERS),
    ),
    Setting::both(
        "max-concurrent-uploads",
        "max-concurrent-uploads",
        Number,
        Nothing(OWN_TRANSFERS),
    ),
    Setting::both(
        "max-download-attempts",
        "max-download-attempts",
        Number,
        Nothing(OWN_TRANSFERS),
    ),
    Setting::key("proxies", Any, Becomes(registry::proxies)),
    Setting::both("http-proxy", "http-proxy", Text, Becomes(http_proxy)),
    Setting::both("https-proxy", "https-proxy", Text, Becomes(https_proxy)),
    Setting::both("no-proxy", "no-proxy", Text, Becomes(no_proxy)),
    Setting::both("dns", "dns", Texts, Is("build.dns.nameservers")),
    Setting::both("dns-opts", "dns-opt", Texts, Is("build.dns.options")),
    Setting::both("dns-search", "dns-search", Texts, Is("build.dns.search")),
    Setting::both("cdi-spec-dirs", "cdi-spec-dir", Texts, Is("cdi.spec-dirs")),
    Setting::both("features", "feature", Any, Becomes(features)),
    Setting::key("builder.gc.enabled", Switch, Is("gc.enabled")),
    Setting::key("builder.gc.defaultKeepStorage", Any, Becomes(reserved)),
    Setting::key("builder.gc.defaultReservedSpace", Any, Becomes(reserved)),
    Setting::key("builder.gc.defaultMaxUsedSpace", Any, Becomes(max_used)),
    Setting::key("builder.gc.defaultMinFreeSpace", Any, Becomes(min_free)),
    Setting::key("builder.gc.policy", Any, Becomes(gc::policy)),
    Setting::key(
        "builder.entitlements.network-host",
        Switch,
        Becomes(network_host),
    ),
    Setting::key(
        "builder.entitlements.security-insecure",
        Switch,
        Becomes(security_insecure),
    ),
    Setting::key(
        "builder.entitlements.device",
        Switch,
        Nothing("builds of clients that ask for it are refused"),
    ),
    Setting::key(
        "builder.history.maxAge",
        Any,
        Nothing("old builds go by number and size"),
    ),
    Setting::key("builder.history.maxEntries", Number, Is("history.builds")),
    Setting::both(
        "live-restore",
        "live-restore",
        Switch,
        Nothing("containers end with the daemon"),
    ),
    Setting::both(
        "labels",
        "label",
        Texts,
        Nothing("clients are not told of labels"),
    ),
    Setting::both(
        "experimental",
        "experimental",
        Switch,
        Nothing("nothing is experimental"),
    ),
    Setting::both("storage-driver", "storage-driver", Text, Nothing(OWN_STORE)).short('s'),
    Setting::both("storage-opts", "storage-opt", Texts, Nothing(OWN_STORE)),
    Setting::both("exec-opts", "exec-opt", Texts, Nothing(OWN_RUNTIME)),
    Setting::both("runtimes", "add-runtime", Any, Nothing(OWN_RUNTIME)),
    Setting::both(
        "default-runtime",
        "default-runtime",
        Text,
        Refused(&["runc", "io.containerd.runc.v2"], OWN_RUNTIME),
    ),
    Setting::both("containerd", "containerd", Text, Nothing(NO_CONTAINERD)),
    Setting::both(
        "containerd-namespace",
        "containerd-namespace",
        Text,
        Nothing(NO_CONTAINERD),
    ),
    Setting::both(
        "containerd-plugin-namespace",
        "containerd-plugins-namespace",
        Text,
        Nothing(NO_CONTAINERD),
    ),
    Setting::both(
        "cri-containerd",
        "cri-containerd",
        Switch,
        Refused(&[], "run containerd itself"),
    ),
    Setting::both("nri-opts", "nri-opts", Any, Nothing(NO_CONTAINERD)),
    Setting::both(
        "log-driver",
        "log-driver",
        Text,
        Refused(
            &["json-file", "local"],
            "kiln keeps what containers write itself; leave it out",
        ),
    ),
    Setting::both(
        "log-opts",
        "log-opt",
        Any,
        Nothing("a container's log has 32 MiB at most"),
    ),
    Setting::both(
        "rootless",
        "rootless",
        Switch,
        Nothing("kiln finds out itself"),
    ),
    Setting::both(
        "restart",
        "restart",
        Switch,
        Nothing("containers are not restarted"),
    )
    .short('r'),
    Setting::key(
        "min-api-version",
        Text,
        Nothing("clients of versions from 1.24 are answered"),
    ),
    // What holds for containers.
    Setting::both(
        "userns-remap",
        "userns-remap",
        Text,
        Refused(&[], "run kiln as an ordinary user"),
    ),
    Setting::both(
        "selinux-enabled",
        "selinux-enabled",
        Switch,
        Refused(&[], LEAVE),
    ),
    Setting::both(
        "seccomp-profile",
        "seccomp-profile",
        Text,
        Refused(&["builtin"], LEAVE),
    ),
    Setting::both(
        "no-new-privileges",
        "no-new-privileges",
        Switch,
        Refused(&[], LEAVE),
    ),
    Setting::both(
        "authorization-plugins",
        "authorization-plugin",
        Texts,
        Refused(&[], LEAVE),
    ),
    Setting::both(
        "default-ulimits",
        "default-ulimit",
        Any,
        Refused(&[], "give builds --ulimit"),
    ),
    Setting::both(
        "default-shm-size",
        "default-shm-size",
        Text,
        Refused(&["64M", "64m", "67108864"], "give it with --shm-size"),
    ),
    Setting::both(
        "default-ipc-mode",
        "default-ipc-mode",
        Text,
        Refused(&["private"], LEAVE),
    ),
    Setting::both(
        "default-cgroupns-mode",
        "default-cgroupns-mode",
        Text,
        Refused(&["private"], LEAVE),
    ),
    Setting::both(
        "default-stop-timeout",
        "default-stop-timeout",
        Number,
        Refused(&["10"], "give it with --stop-timeout"),
    ),
    Setting::both("cgroup-parent", "cgroup-parent", Text, Refused(&[], LEAVE)),
    Setting::both(
        "cpu-rt-period",
        "cpu-rt-period",
        Number,
        Refused(&[], LEAVE),
    ),
    Setting::both(
        "cpu-rt-runtime",
        "cpu-rt-runtime",
        Number,
        Refused(&[], LEAVE),
    ),
    Setting::both(
        "init",
        "init",
        Switch,
        Refused(&[], "a container's init process is the program itself"),
    ),
    Setting::both("init-path", "init-path", Text, Nothing(OWN_RUNTIME)),
    Setting::key("default-init", Text, Nothing(OWN_RUNTIME)),
    Setting::key(
        "resolv-conf",
        Text,
        Refused(&["/etc/resolv.conf"], "say it with dns"),
    ),
    // What holds for networks.
    Setting::both(
        "bridge",
        "bridge",
        Text,
        Refused(
            &[],
            "containers have the machine's network or, with --network none, none",
        ),
    )
    .short('b'),
    Setting::both(
        "ip",
        "ip",
        Text,
        Refused(&["0.0.0.0", "::"], "give the address with -p"),
    ),
    Setting::both("bip", "bip", Text, Nothing(NO_BRIDGE)),
    Setting::both("bip6", "bip6", Text, Nothing(NO_BRIDGE)),
    Setting::both("fixed-cidr", "fixed-cidr", Text, Nothing(NO_BRIDGE)),
    Setting::both("fixed-cidr-v6", "fixed-cidr-v6", Text, Nothing(NO_BRIDGE)),
    Setting::both(
        "default-gateway",
        "default-gateway",
        Text,
        Nothing(NO_BRIDGE),
    ),
    Setting::both(
        "default-gateway-v6",
        "default-gateway-v6",
        Text,
        Nothing(NO_BRIDGE),
    ),
    Setting::both(
        "default-address-pools",
        "default-address-pool",
        Any,
        Nothing(NO_BRIDGE),
    ),
    Setting::both(
        "default-network-opts",
        "default-network-opt",
        Any,
        Nothing(NO_BRIDGE),
    ),
    Setting::both(
        "firewall-backend",
        "firewall-backend",
        Text,
        Nothing(NO_BRIDGE),
    ),
    Setting::both("icc", "icc", Switch, Nothing(NO_BRIDGE)),
    Setting::both("iptables", "iptables", Switch, Nothing(NO_BRIDGE)),
    Setting::both("ip6tables", "ip6tables", Switch, Nothing(NO_BRIDGE)),
    Setting::both("ip-forward", "ip-forward", Switch, Nothing(NO_BRIDGE)),
    Setting::both(
        "ip-forward-no-drop",
        "ip-forward-no-drop",
        Switch,
        Nothing(NO_BRIDGE),
    ),
    Setting::both("ip-masq", "ip-masq", Switch, Nothing(NO_BRIDGE)),
    Setting::both("ipv6", "ipv6", Switch, Nothing(NO_BRIDGE)),
    Setting::both("mtu", "mtu", Number, Nothing(NO_BRIDGE)),
    Setting::both(
        "userland-proxy",
        "userland-proxy",
        Switch,
        Nothing("kiln passes connections on itself"),
    ),
    Setting::both(
        "userland-proxy-path",
        "userland-proxy-path",
        Text,
        Nothing("kiln passes connections on itself"),
    ),
    Setting::both(
        "allow-direct-routing",
        "allow-direct-routing",
        Switch,
        Nothing(NO_BRIDGE),
    ),
    Setting::both(
        "bridge-accept-fwmark",
        "bridge-accept-fwmark",
        Text,
        Nothing(NO_BRIDGE),
    ),
    Setting::both(
        "host-gateway-ips",
        "host-gateway-ip",
        Texts,
        Nothing(GATEWAY),
    ),
    Setting::key("host-gateway-ip", Text, Nothing(GATEWAY)),
    Setting::both(
        "network-control-plane-mtu",
        "network-control-plane-mtu",
        Number,
        Nothing(NO_SWARM),
    ),
    Setting::both(
        "network-diagnostic-port",
        "network-diagnostic-port",
        Number,
        Nothing(NO_SWARM),
    ),
    Setting::both(
        "swarm-default-advertise-addr",
        "swarm-default-advertise-addr",
        Text,
        Nothing(NO_SWARM),
    ),
    Setting::key("swarm-raft-heartbeat-tick", Number, Nothing(NO_SWARM)),
    Setting::key("swarm-raft-election-tick", Number, Nothing(NO_SWARM)),
    Setting::both(
        "node-generic-resources",
        "node-generic-resource",
        Texts,
        Nothing(NO_SWARM),
    ),
];
