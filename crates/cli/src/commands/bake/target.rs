//! A target as the build that it is: the flags of `build` that say the same, and its request.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bake::{Entry, Selection, TARGET, Target};
use engine::{BuildRequest, NamedContext, NoCache, PullPolicy};

use crate::args::bake::Bake;
use crate::args::build::Build;
use crate::build::plan::context_key;
use crate::build::{ProgressMode, load, plan};
use crate::environment::Environment;
use crate::error::Error;

/// The builds of all targets, in an order in which none comes before those that it needs.
pub(super) struct Requests {
    pub(super) each: Vec<Wanted>,
    pub(super) progress: ProgressMode,
}

/// The build of a target.
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) typed: Build,
    pub(super) request: BuildRequest,
    /// Targets whose results are contexts of it.
    pub(super) needs: Vec<String>,
}

pub(super) fn requests(
    args: &Bake,
    selection: &Selection,
    environment: &Environment,
) -> Result<Requests, Error> {
    let mut requests = Requests {
        each: Vec::new(),
        progress: ProgressMode::Plain,
    };
    for name in selection.targets.keys() {
        add(name, (args, selection), environment, &mut requests)
            .map_err(|error| error.context(&format!("target {name}")))?;
    }
    Ok(requests)
}

fn add(
    name: &str,
    (args, selection): (&Bake, &Selection),
    environment: &Environment,
    requests: &mut Requests,
) -> Result<(), Error> {
    if requests.each.iter().any(|known| known.name == name) {
        return Ok(());
    }
    let target = &selection.targets[name];
    let needs: BTreeMap<&String, &str> = linked(target).collect();
    for needed in needs.values() {
        add(needed, (args, selection), environment, requests)?;
    }
    let typed = typed(args, target)?;
    let plan = plan(&typed, environment)?;
    requests.progress = plan.progress;
    let mut request = load(plan, environment, io::empty())?;
    for (context, needed) in &needs {
        let known = requests.each.iter().find(|known| known.name == **needed);
        if let Some(known) = known {
            same_offers(target, &selection.targets[*needed])?;
            let context = context_key(context)?;
            let inner = NamedContext::Build(Box::new(made_before(&known.request)));
            request.named_contexts.insert(context, inner);
        }
    }
    requests.each.push(Wanted {
        name: name.to_owned(),
        typed,
        request,
        needs: needs.values().map(|needed| (*needed).to_owned()).collect(),
    });
    Ok(())
}

/// Contexts of a target that are other targets, by their names.
fn linked(target: &Target) -> impl Iterator<Item = (&String, &str)> {
    let contexts = target.contexts.iter();
    contexts.filter_map(|(name, from)| Some((name, from.strip_prefix(TARGET)?)))
}

/// The same build, which was made already: what was asked for anew is not made twice.
fn made_before(request: &BuildRequest) -> BuildRequest {
    let pull = match request.pull {
        PullPolicy::Always | PullPolicy::Newer => PullPolicy::Missing,
        other => other,
    };
    BuildRequest {
        no_cache: NoCache::Off,
        pull,
        exports: Vec::new(),
        cache_to: Vec::new(),
        ..request.clone()
    }
}

/// Steps of both are steps of one build, in which a name stands for one secret and one agent.
fn same_offers(target: &Target, needed: &Target) -> Result<(), Error> {
    let secret = target.secret.iter().find(|secret| {
        let other = needed.secret.iter().find(|other| other.id == secret.id);
        other.is_some_and(|other| other != *secret)
    });
    let agent = target.ssh.iter().find(|agent| {
        let other = needed.ssh.iter().find(|other| other.id == agent.id);
        other.is_some_and(|other| other != *agent)
    });
    let (what, id) = match (secret, agent) {
        (Some(secret), _) => ("secret", &secret.id),
        (None, Some(agent)) => ("SSH agent", &agent.id),
        (None, None) => return Ok(()),
    };
    let name = &needed.name;
    let message =
        format!("{what} {id:?} is another one in target {name}, which is a context of it");
    Err(Error::new(message).hint("give one of them another id"))
}

/// The flags of `build` that say what `target` says.
pub(super) fn typed(args: &Bake, target: &Target) -> Result<Build, Error> {
    if !target.annotations.is_empty() {
        let error = Error::new("kiln does not support annotations: use labels");
        return Err(error.context(&format!("target {}", target.name)));
    }
    let pairs = |map: &BTreeMap<String, String>| {
        let pairs = map.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<String>>()
    };
    let (output, no_output) = outputs(target);
    let context = target.context.clone().unwrap_or_else(|| ".".to_owned());
    let mut own = target.contexts.clone();
    own.retain(|_, from| !from.starts_with(TARGET));
    for from in own.values_mut() {
        if let Some(local) = from.strip_prefix("cwd://") {
            *from = local.to_owned();
        }
    }
    let is_sbom_off = |attest: &&bake::Attest| !(attest.kind == "sbom" && attest.disabled);
    let attests = target.attest.iter().filter(is_sbom_off);
    Ok(Build {
        add_host: pairs(&target.extra_hosts),
        allow: target.entitlements.clone(),
        attest: attests.map(bake::Attest::to_flag).collect(),
        build_arg: pairs(&target.args),
        build_context: pairs(&own),
        builder: args.builder.clone(),
        cache_from: target.cache_from.iter().map(Entry::to_flag).collect(),
        cache_to: target
            .cache_to
            .iter()
            .flatten()
            .map(Entry::to_flag)
            .collect(),
        call: "build".to_owned(),
        dockerfile_text: target.dockerfile_inline.clone(),
        file: Some(dockerfile(target, &context)),
        context,
        label: pairs(&target.labels),
        network: target
            .network
            .clone()
            .unwrap_or_else(|| "default".to_owned()),
        no_cache: target.no_cache == Some(true),
        no_cache_filter: target.no_cache_filter.clone(),
        no_output,
        output,
        platform: target.platforms.clone().unwrap_or_default(),
        progress: args.progress.clone(),
        result_contexts: linked(target).map(|(name, _)| name.clone()).collect(),
        pull: (target.pull == Some(true)).then(|| "always".to_owned()),
        secret: target.secret.iter().map(bake::Secret::to_flag).collect(),
        shm_size: target.shm_size.clone(),
        ssh: target.ssh.iter().map(bake::Ssh::to_flag).collect(),
        tag: target.tags.clone().unwrap_or_default(),
        target: target.target.clone().into_iter().collect(),
        ulimit: target.ulimits.clone(),
        ..Build::default()
    })
}

/// The Dockerfile, which is looked for in the context alone.
fn dockerfile(target: &Target, context: &str) -> String {
    let name = target.dockerfile.clone().unwrap_or_default();
    if let Some(local) = name.strip_prefix("cwd://") {
        return local.to_owned();
    }
    match bake::is_remote(context) || bake::is_remote(&name) {
        true => name,
        false => Path::new(context).join(name).to_string_lossy().into_owned(),
    }
}

/// Outputs, and whether there is to be none.
fn outputs(target: &Target) -> (Vec<String>, bool) {
    let outputs = target.output.iter().flatten();
    let (nothing, some): (Vec<&Entry>, Vec<&Entry>) =
        outputs.partition(|output| output.kind == "cacheonly");
    let some: Vec<String> = some.into_iter().map(Entry::to_flag).collect();
    let is_nothing = !nothing.is_empty() && some.is_empty();
    (some, is_nothing)
}
