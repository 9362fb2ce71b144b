//! Files and flags of daemons, and what becomes of them.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use engine::{Entitlement, LogFormat, LogLevel, RegistryConfig, TlsConfig};

use super::lowering::Lowered;
use crate::environment::{Environment, Terminals};

use super::{BUILDKITD, DOCKERD, Daemon, given};

fn environment(is_root: bool, variables: &[(&str, &str)]) -> Environment {
    let variables = variables.iter();
    Environment {
        arguments: Vec::new(),
        variables: variables
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        working_directory: "/".into(),
        is_root,
        terminals: Terminals::default(),
        now: || std::time::SystemTime::UNIX_EPOCH,
    }
}

fn lower(daemon: &Daemon, file: &str, line: &[&str]) -> Result<Lowered, String> {
    lower_in(&environment(true, &[]), daemon, file, line)
}

fn lower_in(
    environment: &Environment,
    daemon: &Daemon,
    file: &str,
    line: &[&str],
) -> Result<Lowered, String> {
    let line: Vec<OsString> = line.iter().map(OsString::from).collect();
    let flags = given::of_flags(daemon.settings, &line)?;
    let file = (daemon.parse)(file)?;
    daemon.lower_given(environment, Path::new("/etc/file"), &file, flags)
}

fn refused(daemon: &Daemon, file: &str, line: &[&str]) -> String {
    match lower(daemon, file, line) {
        Ok(lowered) => format!("nothing: {:?}", lowered.warnings),
        Err(error) => error,
    }
}

/// What a machine may have that was set up for BuildKit.
const BUILDKITD_TOML: &str = r#"
debug = true
root = "/srv/buildkit"
insecure-entitlements = [ "network.host", "security.insecure" ]
provenanceEnvDir = "/etc/buildkit/provenance.d"

[log]
  format = "json"

[dns]
  nameservers = ["1.1.1.1", "8.8.8.8"]
  options = ["edns0"]
  searchDomains = ["example.com"]

[grpc]
  address = [ "unix:///run/buildkit/buildkitd.sock", "tcp://0.0.0.0:1234" ]
  debugAddress = "127.0.0.1:6060"
  uid = 0
  gid = 1000
  [grpc.tls]
    cert = "/etc/buildkit/tls.crt"
    key = "/etc/buildkit/tls.key"
    ca = "/etc/buildkit/tlsca.crt"

[otel]
  socketPath = "/tmp/otel-grpc.sock"

[cdi]
  specDirs = ["/etc/cdi"]

[history]
  maxAge = 172800
  maxEntries = 50

[worker.oci]
  enabled = true
  platforms = [ "linux/amd64", "linux/arm64" ]
  snapshotter = "auto"
  rootless = false
  gc = true
  reservedSpace = "30%"
  maxUsedSpace = "60%"
  minFreeSpace = "20GB"
  max-parallelism = 4
  networkMode = "host"
  [worker.oci.labels]
    "foo" = "bar"
  [[worker.oci.gcpolicy]]
    reservedSpace = "512MB"
    keepDuration = "48h"
    filters = [ "type==source.local", "type==exec.cachemount" ]
  [[worker.oci.gcpolicy]]
    all = true
    keepBytes = 1024000000
    keepDuration = 3600

[worker.containerd]
  enabled = false
  namespace = "buildkit"

[registry."docker.io"]
  mirrors = ["yourmirror.local:5000", "core.harbor.domain/proxy.docker.io"]
  http = true
  insecure = true
  ca=["/etc/config/myca.pem"]
  [[registry."docker.io".keypair]]
    key="/etc/config/key.pem"
    cert="/etc/config/cert.pem"

[frontend."dockerfile.v0"]
  enabled = true

[frontend."gateway.v0"]
  enabled = true
  allowedRepositories = []

[system]
  platformsCacheMaxAge = "1h"
  brandNew = 1
"#;

#[test]
fn a_file_of_buildkitds() {
    let lowered = lower(&BUILDKITD, BUILDKITD_TOML, &[]).unwrap();
    let config = lowered.config;
    assert_eq!(lowered.root.as_deref(), Some(Path::new("/srv/buildkit")));
    let serve = &config.serve;
    let hosts = ["unix:///run/buildkit/buildkitd.sock", "tcp://0.0.0.0:1234"];
    assert_eq!(serve.hosts, hosts);
    assert_eq!(
        (serve.user, serve.group.as_deref()),
        (Some(0), Some("1000"))
    );
    assert_eq!(serve.metrics.as_deref(), Some("127.0.0.1:6060"));
    let tls = TlsConfig {
        ca: "/etc/buildkit/tlsca.crt".into(),
        certificate: "/etc/buildkit/tls.crt".into(),
        key: "/etc/buildkit/tls.key".into(),
    };
    assert_eq!(serve.tls, Some(tls));
    let log = (serve.log_format, serve.log_level);
    assert_eq!(log, (LogFormat::Json, LogLevel::Debug));
    let granted = [Entitlement::NetworkHost, Entitlement::SecurityInsecure];
    assert_eq!(serve.entitlements, granted);
    let dns = &config.build.dns;
    assert_eq!(dns.nameservers.len(), 2);
    assert_eq!(
        (&dns.options[..], &dns.search[..]),
        (&["edns0".to_owned()][..], &["example.com".to_owned()][..])
    );
    assert_eq!(config.cdi.spec_dirs, Some(vec!["/etc/cdi".into()]));
    assert_eq!(config.history.builds, 50);
    assert_eq!(config.limits.parallel_steps, Some(4));
    // A policy takes the place of the bounds.
    let policy = "[gc]\nenabled = true\n[[gc.policy]]\nreserved-space = \"512MB\"\nkeep-duration = \"48h\"\n\
         filters = [\"type==source.local\", \"type==exec.cachemount\"]\n\
         [[gc.policy]]\nall = true\nreserved-space = 1024000000\nkeep-duration = 3600\n";
    assert_eq!(config.gc, engine::Config::parse(policy).unwrap().gc);
    let registry = RegistryConfig {
        mirrors: vec![
            "yourmirror.local:5000".to_owned(),
            "core.harbor.domain/proxy.docker.io".to_owned(),
        ],
        http: true,
        insecure: true,
        ca: vec!["/etc/config/myca.pem".into()],
        certificate: Some("/etc/config/cert.pem".into()),
        key: Some("/etc/config/key.pem".into()),
        ..RegistryConfig::default()
    };
    assert_eq!(config.registry["docker.io"], registry);
    let warned = [
        "grpc.debugAddress answers /metrics and /healthz, and none of Go's profiles",
        "history.maxAge has no effect: old builds go by number and size",
        "otel.socketPath has no effect: steps are given no socket for traces",
        "provenanceEnvDir has no effect: provenance says what was asked for, and not what the builder has around it",
        "system.brandNew in /etc/file has no effect: kiln does not know it",
        "system.platformsCacheMaxAge has no effect: platforms are looked at for every build",
        "worker.oci.labels has no effect: the worker has labels of its own",
        "worker.oci.platforms has no effect: kiln builds for what the machine can run",
        "worker.oci.snapshotter has no effect: kiln runs steps and keeps layers itself",
    ];
    let mut warnings = lowered.warnings;
    warnings.sort();
    assert_eq!(warnings, warned);
}

#[test]
fn flags_of_buildkitds_are_stronger_than_its_file() {
    let line = [
        "--addr",
        "unix:///a.sock",
        "--addr=unix:///b.sock",
        "-root",
        "/var/lib/buildkit",
        "--oci-worker-gc=false",
        "--oci-worker-gc-keepstorage",
        "1000,500,2000",
        "--group",
        "docker",
        "--containerd-worker=false",
        "--oci-worker-net",
        "auto",
        "--log-level=warning",
    ];
    let lowered = lower(
        &BUILDKITD,
        "[grpc]\naddress = [\"unix:///c.sock\"]\n",
        &line,
    )
    .unwrap();
    let serve = &lowered.config.serve;
    assert_eq!(serve.hosts, ["unix:///a.sock", "unix:///b.sock"]);
    assert_eq!(
        (lowered.root, serve.group.as_deref()),
        (None, Some("docker"))
    );
    assert_eq!(serve.log_level, LogLevel::Warn);
    assert_eq!(serve.entitlements, []);
    let gc = "[gc]\nenabled = false\nreserved-space = \"1000MB\"\nmin-free-space = \"500MB\"\nmax-used-space = \"2000MB\"\n";
    assert_eq!(lowered.config.gc, engine::Config::parse(gc).unwrap().gc);
    assert_eq!(lowered.warnings, Vec::<String>::new());
}

#[test]
fn what_buildkitd_can_be_told_and_kiln_cannot() {
    for (file, line, message) in [
        (
            "proxyNetwork = true",
            &[][..],
            "proxyNetwork: true is not provided by kiln",
        ),
        (
            "[worker.oci]\nnetworkMode = \"wire\"",
            &[],
            "worker.oci.networkMode: invalid network mode: \"wire\"",
        ),
        (
            "[frontend.\"gateway.v0\"]\nallowedRepositories = [\"x\"]",
            &[],
            "frontend.gateway.v0: front ends",
        ),
        (
            "",
            &["--oci-worker-selinux"],
            "--oci-worker-selinux: true is not provided by kiln: leave",
        ),
        (
            "",
            &["--tlscert", "a", "--tlskey", "b"],
            "clients without certificates are not served",
        ),
        (
            "[worker.containerd]\nselinux = true",
            &[],
            "worker.containerd: selinux = true is not provided by kiln: leave it out",
        ),
        (
            "",
            &["--containerd-worker-net=wire"],
            "--containerd-worker-net: invalid network mode: \"wire\"",
        ),
        ("", &["--adr", "x"], "unknown flag or argument: --adr"),
        ("", &["serve"], "unknown flag or argument: serve"),
        ("", &["--addr"], "flag needs an argument: --addr"),
        (
            "",
            &["--debug=maybe"],
            "invalid argument \"maybe\" for \"--debug\" flag",
        ),
        ("debug = 1", &[], "debug: 1 is not true or false"),
        (
            "insecure-entitlements = [\"all\"]",
            &[],
            "invalid entitlement : all",
        ),
        (
            "[worker.oci]\nmaxUsedSpace = \"10GX\"",
            &[],
            "invalid size \"10GX\"",
        ),
        ("[grpc", &[], "TOML parse error"),
    ] {
        let error = refused(&BUILDKITD, file, line);
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn networks_of_buildkitds_steps() {
    use engine::{CniConfig, StepNetwork};

    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("cni.json");
    let here = scratch.path().to_str().unwrap();
    let shown = path.to_str().unwrap();
    let build = |line: &[&str]| {
        let lowered = lower(&BUILDKITD, "", line)?;
        Ok::<_, String>((lowered.config.build.network, lowered.config.build.cni))
    };
    let config = format!("--oci-cni-config-path={shown}");
    let host = (StepNetwork::Host, CniConfig::default());
    // What is not there is not taken unless it is asked for.
    assert_eq!(build(&[&config]).unwrap(), host);
    let error = build(&[&config, "--oci-worker-net=cni"]).unwrap_err();
    assert!(error.starts_with("failed to read cni config"), "{error}");
    std::fs::write(&path, "{}").unwrap();
    let cni = CniConfig {
        config: Some(path.clone()),
        ..CniConfig::default()
    };
    let expected = (StepNetwork::Cni, cni.clone());
    assert_eq!(build(&[&config]).unwrap(), expected);
    assert_eq!(
        build(&[&config, "--oci-worker-net=auto"]).unwrap(),
        expected
    );
    assert_eq!(build(&[&config, "--oci-worker-net=host"]).unwrap(), host);
    let binaries = format!("--oci-cni-binary-dir={here}");
    let with_binaries = CniConfig {
        plugins: Some(vec![here.into()]),
        ..cni
    };
    assert_eq!(
        build(&[&config, &binaries]).unwrap(),
        (StepNetwork::Cni, with_binaries)
    );
    let error = build(&[&config, "--oci-cni-binary-dir=/nowhere"]).unwrap_err();
    assert!(
        error.starts_with("failed to read cni binary dir \"/nowhere\""),
        "{error}"
    );
    let file = format!(
        "[worker.oci]\nnetworkMode = \"bridge\"\nbridgeSubnet = \"10.9.0.0/16\"\n\
         cniPoolSize = 4\ncniConfigPath = \"{shown}\"\n"
    );
    let lowered = lower(&BUILDKITD, &file, &[]).unwrap();
    let bridge = CniConfig {
        bridge: Some("buildkit0".into()),
        subnet: Some("10.9.0.0/16".into()),
        ..CniConfig::default()
    };
    assert_eq!(lowered.config.build.cni, bridge);
    assert_eq!(
        lowered.warnings,
        ["worker.oci.cniPoolSize has no effect: a network is made for each step, and for it alone"]
    );
    // Who is not root gets none, and is not left without steps when it has not asked.
    let user = environment(false, &[]);
    let lowered = lower_in(&user, &BUILDKITD, "", &[&config]).unwrap();
    assert_eq!(lowered.config.build.network, StepNetwork::Host);
    assert!(lowered.warnings[0].ends_with("since \"cni\" takes root"));
    let error = lower_in(&user, &BUILDKITD, &file, &[])
        .map(|_| ())
        .unwrap_err();
    assert!(error.contains("\"bridge\" takes root"), "{error}");
    let asks = environment(true, &[("BUILDKIT_NETWORK_BRIDGE_AUTO", "true")]);
    let lowered = lower_in(&asks, &BUILDKITD, "", &[]).unwrap();
    let name = lowered.config.build.cni.bridge;
    assert_eq!(name.as_deref(), Some("buildkit0"));
}

#[test]
fn flags_take_back_what_buildkitds_file_says_of_networks() {
    use engine::StepNetwork;

    let file = "[worker.oci]\nnetworkMode = \"bridge\"\ncniConfigPath = \"/etc/hosts\"\n";
    for (worker, value) in [("oci", "auto"), ("oci", ""), ("containerd", "auto")] {
        let mode = format!("--{worker}-worker-net={value}");
        let nowhere = format!("--{worker}-cni-config-path=/nowhere");
        let lowered = lower(&BUILDKITD, file, &[&mode, &nowhere]).unwrap();
        assert_eq!(lowered.config.build.network, StepNetwork::Host, "{mode}");
        let file = "[worker.oci]\nnetworkMode = \"bridge\"\ncniBinaryPath = \"/nowhere\"\n";
        let directory = format!("--{worker}-cni-binary-dir=");
        let lowered = lower(&BUILDKITD, file, &[&directory]).unwrap();
        assert_eq!(lowered.config.build.cni.plugins, None, "{directory}");
    }
    let named = "[worker.oci]\nbridgeName = \"a/b\"\nnetworkMode = \"bridge\"\n";
    let error = refused(&BUILDKITD, named, &[]);
    assert!(error.contains("`bridge` is no name that"), "{error}");
}

/// What a machine may have that was set up for Docker.
const DAEMON_JSON: &str = r#"{
  "data-root": "/srv/docker",
  "hosts": ["unix:///var/run/docker.sock", "fd://"],
  "exec-opts": ["native.cgroupdriver=systemd"],
  "log-driver": "json-file",
  "log-opts": {"max-size": "10m"},
  "log-level": "warn",
  "log-format": "json",
  "storage-driver": "overlay2",
  "registry-mirrors": ["https://mirror.example.com/", "http://10.0.0.1:5000"],
  "insecure-registries": ["registry.local:5000"],
  "dns": ["10.0.0.2"],
  "dns-search": ["example.com"],
  "live-restore": true,
  "userland-proxy": false,
  "shutdown-timeout": 30,
  "metrics-addr": "127.0.0.1:9323",
  "pidfile": "/run/docker.pid",
  "features": {"buildkit": true, "containerd-snapshotter": true},
  "cdi-spec-dirs": ["/etc/cdi"],
  "proxies": {"http-proxy": "http://proxy:3128", "no-proxy": "localhost"},
  "default-runtime": "runc",
  "userns-remap": "",
  "builder": {
    "gc": {
      "enabled": true,
      "defaultKeepStorage": "20GB",
      "policy": [
        {"keepStorage": "10GB", "filter": ["unused-for=2200h"]},
        {"keepStorage": "50GB", "filter": ["unused-for=3300h", "type=source.local", "shared"]},
        {"reservedSpace": "100GB", "all": true}
      ]
    },
    "entitlements": {"network-host": false, "security-insecure": true}
  },
  "brand-new": 1
}"#;

#[test]
fn a_file_of_dockerds() {
    let lowered = lower(&DOCKERD, DAEMON_JSON, &["--group", "root"]).unwrap();
    let config = lowered.config;
    assert_eq!(lowered.root.as_deref(), Some(Path::new("/srv/docker")));
    assert_eq!(
        lowered.pid_file.as_deref(),
        Some(Path::new("/run/docker.pid"))
    );
    let serve = &config.serve;
    assert_eq!(serve.hosts, ["unix:///var/run/docker.sock", "fd://"]);
    assert_eq!(serve.group.as_deref(), Some("root"));
    assert_eq!(serve.stop_timeout, Duration::from_secs(30));
    let log = (serve.log_format, serve.log_level);
    assert_eq!(log, (LogFormat::Json, LogLevel::Warn));
    assert_eq!(serve.metrics.as_deref(), Some("127.0.0.1:9323"));
    assert_eq!(serve.entitlements, [Entitlement::SecurityInsecure]);
    let mirrors = ["https://mirror.example.com", "http://10.0.0.1:5000"];
    assert_eq!(config.registry["docker.io"].mirrors, mirrors);
    let insecure = &config.registry["registry.local:5000"];
    assert!(insecure.http && insecure.insecure);
    assert_eq!(config.build.dns.search, ["example.com"]);
    let proxies = [
        ("HTTP_PROXY", "http://proxy:3128"),
        ("NO_PROXY", "localhost"),
    ];
    let proxies = proxies.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(lowered.fetch_variables, proxies);
    let policy = "[[gc.policy]]\nreserved-space = \"10GB\"\nkeep-duration = \"2200h\"\n\
         [[gc.policy]]\nreserved-space = \"50GB\"\nkeep-duration = \"3300h\"\nfilters = [\"type==source.local,shared\"]\n\
         [[gc.policy]]\nreserved-space = \"100GB\"\nall = true\n";
    assert_eq!(config.gc, engine::Config::parse(policy).unwrap().gc);
    let mut warnings = lowered.warnings;
    warnings.sort();
    assert_eq!(
        warnings,
        [
            "brand-new in /etc/file has no effect: kiln does not know it",
            "exec-opts has no effect: kiln runs containers itself",
            "features has no effect for containerd-snapshotter: kiln has no such switch",
            "live-restore has no effect: containers end with the daemon",
            "log-opts has no effect: a container's log has 32 MiB at most",
            "storage-driver has no effect: kiln keeps layers itself",
        ]
    );
}

#[test]
fn flags_of_dockerds() {
    let line = [
        "-H",
        "unix:///a.sock",
        "-Hunix:///b.sock",
        "-D",
        "--containerd=/run/containerd/containerd.sock",
        "--data-root",
        "/var/lib/docker",
        "-p",
        "/run/d.pid",
        "--insecure-registry",
        "r:5000",
    ];
    let lowered = lower(&DOCKERD, "", &line).unwrap();
    let serve = &lowered.config.serve;
    assert_eq!(serve.hosts, ["unix:///a.sock", "unix:///b.sock"]);
    assert_eq!(serve.log_level, LogLevel::Debug);
    assert_eq!(serve.entitlements, [Entitlement::NetworkHost]);
    assert_eq!(serve.stop_timeout, Duration::from_secs(15));
    assert_eq!(
        (lowered.root, lowered.pid_file),
        (None, Some("/run/d.pid".into()))
    );
    assert!(lowered.config.registry["r:5000"].http);
    assert_eq!(
        lowered.warnings,
        ["--containerd has no effect: kiln needs no containerd"]
    );
}

#[test]
fn what_dockerd_can_be_told_and_kiln_cannot() {
    for (file, line, message) in [
        (
            "{\"userns-remap\": \"default\"}",
            &[][..],
            "userns-remap: \"default\" is not provided by kiln: run kiln as",
        ),
        (
            "{\"default-runtime\": \"nvidia\"}",
            &[],
            "default-runtime: \"nvidia\" is not provided",
        ),
        (
            "{\"log-driver\": \"journald\"}",
            &[],
            "log-driver: \"journald\" is not provided by kiln: kiln keeps",
        ),
        (
            "{\"insecure-registries\": [\"10.0.0.0/8\"]}",
            &[],
            "\"10.0.0.0/8\" is a range of addresses",
        ),
        (
            "{\"features\": {\"buildkit\": false}}",
            &[],
            "kiln always answers BuildKit's clients",
        ),
        (
            "{\"tlscert\": \"a\"}",
            &[],
            "give tlscacert, tlscert and tlskey together",
        ),
        (
            "{\"default-ulimits\": {\"nofile\": {}}}",
            &[],
            "default-ulimits: ",
        ),
        (
            "{\"hosts\": [\"fd://\"], \"debug\": true}",
            &["-H", "unix:///x"],
            "the following directives are specified both as a flag and in the configuration file: hosts",
        ),
        ("[]", &[], "invalid JSON: it is no object"),
        ("{", &[], "invalid JSON: "),
    ] {
        let error = refused(&DOCKERD, file, line);
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn every_flag_and_key_is_there_once() {
    for daemon in [&BUILDKITD, &DOCKERD] {
        let names = |of: fn(&super::Setting) -> &'static str| {
            let all = daemon.settings.iter().map(of);
            let mut names: Vec<&str> = all.filter(|name| !name.is_empty()).collect();
            names.sort_unstable();
            names
        };
        for names in [names(|setting| setting.flag), names(|setting| setting.key)] {
            let mut once = names.clone();
            once.dedup();
            assert_eq!(names, once);
        }
    }
}
