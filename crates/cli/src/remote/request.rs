//! A build request in the words of BuildKit's front end for Dockerfiles.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use client::messages::SolveRequest;
use client::{Agent, Offers, Secrets};
use daemon::SourceRules;
use engine::{
    AllowedDevices, BuildRequest, ExtraHost, NetworkMode, NoCache, OfferedSecret, PullPolicy,
    SshAgent, Ulimit,
};
use oci::Reference;

use super::caches::{Caches, caches};
use super::contexts::{Contexts, contexts};
use super::credentials::CredentialFiles;
use super::key::shared_key;
use super::offers::{OfferedAgent, OfferedCredentials, OfferedSecrets};
use super::stores::Taken;
use super::{attributes, refuse};
use crate::args::build::Build;
use crate::build::source_rules;
use crate::environment::Environment;
use crate::error::Error;

/// What a builder is asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The request.
    pub(crate) request: SolveRequest,
    /// What its session offers.
    pub(crate) offers: Offers,
    /// The cache that it sends.
    pub(crate) taken: Option<Taken>,
}

impl Asked {
    /// The same for a docker's builder, which has its own word for its store and does not push; what
    /// is to be pushed when it is built.
    pub(crate) fn for_docker(&mut self) -> Vec<Reference> {
        let mut pushes = Vec::new();
        for exporter in &mut self.request.exporters {
            if exporter.r#type != "image" {
                continue;
            }
            exporter.r#type = "moby".to_owned();
            if exporter.attrs.remove("push").is_some() {
                let names = exporter.attrs.get("name").map(String::as_str);
                let names = names.unwrap_or_default().split(',');
                pushes.extend(names.filter_map(|name| name.parse::<Reference>().ok()));
            }
        }
        pushes
    }
}

/// What a builder is asked for to do what `build` asks for, which was typed as `typed`.
///
/// # Errors
/// It asks for something that BuildKit's API has no word for.
pub(crate) fn request(
    typed: &Build,
    mut build: BuildRequest,
    environment: &Environment,
) -> Result<Asked, Error> {
    check(&build)?;
    let contexts = contexts(typed, &mut build)?;
    let id = engine::new_id()?;
    let Caches {
        options: caches,
        stores: of_caches,
        taken,
    } = caches(&build.cache_from, &build.cache_to, environment.now)?;
    let mut request = SolveRequest {
        r#ref: id.clone(),
        session: id,
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: options(&build),
        entitlements: entitlements(&build)?,
        cache: Some(caches),
        source_policy: source_rules(environment)?.map(SourceRules::into_message),
        ..SolveRequest::default()
    };
    let mut outputs = HashMap::new();
    for (place, export) in build.exports.iter().enumerate() {
        let (exporter, output) = attributes::exporter(export, &build.tags)?;
        request.exporters.push(exporter);
        outputs.extend(output.map(|output| (place, output)));
    }
    let Contexts {
        options,
        directories,
        uploads,
        mut stores,
        main,
    } = contexts;
    stores.extend(of_caches);
    request.frontend_attrs.extend(options);
    let key = main.map(|main| shared_key(&main, environment));
    let offers = Offers {
        shared_key: key.unwrap_or_default(),
        directories,
        secrets: secrets(build.secrets)?,
        agents: agents(build.ssh),
        credentials: Some(Arc::new(OfferedCredentials(
            CredentialFiles::of(environment).read()?,
        ))),
        outputs,
        uploads,
        stores,
    };
    Ok(Asked {
        request,
        offers,
        taken,
    })
}

/// Refuses what there is no word for.
fn check(build: &BuildRequest) -> Result<(), Error> {
    for (is_asked, what, instead) in [
        (
            !build.more_targets.is_empty(),
            "several targets (--target)",
            "build one after the other",
        ),
        (
            !build.require.is_empty(),
            "--require",
            "build that stage as a target of its own",
        ),
        (
            !build.cache_mounts_from.is_empty(),
            "--cache-mounts-from",
            "build in this process",
        ),
        (
            !build.cache_mounts_to.is_empty(),
            "--cache-mounts-to",
            "build in this process",
        ),
        (
            build.jobs.is_some(),
            "--jobs",
            "set it in the builder's configuration",
        ),
        (
            matches!(build.pull, PullPolicy::Newer | PullPolicy::Never),
            "--pull=newer or --pull=never",
            "use --pull, or leave it out",
        ),
        (
            build.resources.to_clients().is_none(),
            "--resource with pids, time, output, disk or unlimited",
            "set it in the builder's configuration",
        ),
        (build.explain, "--explain", "ask there: kiln history why"),
        (
            build.default_network.is_some(),
            "a network of this kind",
            "what its default network is, the builder is told where it runs",
        ),
        (
            build.keep_failed.is_some(),
            "--on-failure",
            "build in this process",
        ),
    ] {
        if is_asked {
            return Err(refuse(what, instead));
        }
    }
    Ok(())
}

/// The attributes as one record; a value with a comma stands in quotes.
fn record<'a>(attributes: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let field = |(name, value): (&str, String)| match value.contains(',') {
        true => format!("\"{name}={value}\""),
        false => format!("{name}={value}"),
    };
    let fields: Vec<String> = attributes.into_iter().map(field).collect();
    fields.join(",")
}

/// What the front end is told, contexts aside.
fn options(build: &BuildRequest) -> HashMap<String, String> {
    let mut options = HashMap::new();
    let mut put = |name: &str, value: String| options.insert(name.to_owned(), value);
    for (name, value) in &build.build_args {
        put(&format!("build-arg:{name}"), value.clone());
    }
    for (name, value) in &build.labels {
        put(&format!("label:{name}"), value.clone());
    }
    let texts = [
        ("target", build.target.clone()),
        (
            "platform",
            list(build.platforms.iter().map(ToString::to_string)),
        ),
        ("no-cache", no_cache(&build.no_cache)),
        ("image-resolve-mode", pull(build.pull)),
        ("force-network-mode", network(build.network)),
        ("add-hosts", hosts(&build.extra_hosts)),
        ("ulimit", ulimits(&build.ulimits)),
        ("shm-size", build.shm_size.map(|size| size.to_string())),
        (
            "attest:provenance",
            build.provenance.as_ref().map(|it| record(it.attributes())),
        ),
        (
            "attest:sbom",
            build.sbom.as_ref().map(|it| record(it.attributes())),
        ),
    ];
    let limits = build.resources.to_clients().unwrap_or_default();
    let limits = limits.into_iter().map(|(name, value)| (name, Some(value)));
    for (name, value) in texts.into_iter().chain(limits) {
        if let Some(value) = value {
            put(name, value);
        }
    }
    options
}

fn no_cache(no_cache: &NoCache) -> Option<String> {
    match no_cache {
        NoCache::Off => None,
        NoCache::All => Some(String::new()),
        NoCache::Stages(stages) => Some(stages.join(",")),
    }
}

fn pull(pull: PullPolicy) -> Option<String> {
    match pull {
        PullPolicy::Always => Some("pull".to_owned()),
        PullPolicy::Missing | PullPolicy::Newer | PullPolicy::Never => None,
    }
}

fn network(network: NetworkMode) -> Option<String> {
    match network {
        NetworkMode::Default => None,
        NetworkMode::None => Some("none".to_owned()),
        NetworkMode::Host => Some("host".to_owned()),
    }
}

fn hosts(hosts: &[ExtraHost]) -> Option<String> {
    let hosts = hosts
        .iter()
        .map(|ExtraHost { host, address }| format!("{host}={address}"));
    list(hosts)
}

fn ulimits(ulimits: &[Ulimit]) -> Option<String> {
    let one = |Ulimit { name, soft, hard }: &Ulimit| format!("{name}={soft}:{hard}");
    list(ulimits.iter().map(one))
}

fn list(values: impl Iterator<Item = String>) -> Option<String> {
    let values: Vec<String> = values.collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// What steps may ask for beyond what all have.
fn entitlements(build: &BuildRequest) -> Result<Vec<String>, Error> {
    let AllowedDevices {
        all,
        names,
        aliases,
    } = &build.allow_devices;
    if !aliases.is_empty() {
        return Err(refuse(
            "a device under another name (--allow device=…,alias=…)",
            "call it in the Dockerfile what the builder calls it",
        ));
    }
    let mut wanted = Vec::new();
    if build.network == NetworkMode::Host || build.allow_host_network {
        wanted.push("network.host".to_owned());
    }
    if build.allow_insecure {
        wanted.push("security.insecure".to_owned());
    }
    if *all {
        wanted.push("device".to_owned());
    }
    wanted.extend(names.iter().map(|name| format!("device={name}")));
    Ok(wanted)
}

fn secrets(secrets: BTreeMap<String, OfferedSecret>) -> Result<Option<Arc<dyn Secrets>>, Error> {
    if let Some((id, _)) = secrets.iter().find(|(_, secret)| secret.keyed) {
        return Err(refuse(
            &format!("cache=digest of the secret {id}"),
            "give its digest as a build argument",
        ));
    }
    if secrets.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(OfferedSecrets(secrets))))
}

fn agents(agents: BTreeMap<String, SshAgent>) -> HashMap<String, Arc<dyn Agent>> {
    let offered = agents.into_iter().map(|(id, agent)| {
        let agent: Arc<dyn Agent> = Arc::new(OfferedAgent(agent));
        (id, agent)
    });
    offered.collect()
}
