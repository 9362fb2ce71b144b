//! A target as the build that it is: the flags of `build` that say the same, what they mean, and its
//! request.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bake::{Entry, Selection, TARGET, Target};
use engine::{BuildRequest, NamedContext, NoCache, PullPolicy, SecretSource};

use crate::args::bake::Bake;
use crate::args::build::Build;
use crate::build::plan::context_key;
use crate::build::{BuildPlan, ProgressMode, load, plan};
use crate::environment::Environment;
use crate::error::Error;

/// A build has no more builds in it, those of its contexts and of theirs.
const MAX_BUILDS: u64 = 1000;

/// The build of a target of which nothing was opened yet.
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) typed: Build,
    pub(super) plan: BuildPlan,
    /// Targets whose results are contexts of it, by what they are called there.
    needs: BTreeMap<String, String>,
    /// How many builds it is made of.
    builds: u64,
}

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

/// The build of the target `name`.
pub(super) fn planned(
    args: &Bake,
    target: &Target,
    environment: &Environment,
) -> Result<Planned, Error> {
    let of_target = |error: Error| error.context(&format!("target {}", target.name));
    let typed = typed(args, target, environment).map_err(of_target)?;
    let plan = plan(&typed, environment).map_err(of_target)?;
    let needs = linked(target).map(|(name, needed)| (name.clone(), needed.to_owned()));
    Ok(Planned {
        name: target.name.clone(),
        typed,
        plan,
        needs: needs.collect(),
        builds: 1,
    })
}

/// The builds of the targets that `is_wanted`, each after those that it needs.
pub(super) fn plans(
    args: &Bake,
    selection: &Selection,
    environment: &Environment,
    is_wanted: impl Fn(&Target) -> bool,
) -> Result<Vec<Planned>, Error> {
    let mut plans = Vec::new();
    for target in selection
        .targets
        .values()
        .filter(|target| is_wanted(target))
    {
        add(target, (args, selection), environment, &mut plans)?;
    }
    Ok(plans)
}

fn add(
    target: &Target,
    (args, selection): (&Bake, &Selection),
    environment: &Environment,
    plans: &mut Vec<Planned>,
) -> Result<(), Error> {
    if plans.iter().any(|known| known.name == target.name) {
        return Ok(());
    }
    for (_, needed) in linked(target) {
        let needed = &selection.targets[needed];
        add(needed, (args, selection), environment, plans)?;
    }
    let mut planned = planned(args, target, environment)?;
    for (_, needed) in linked(target) {
        let known = plans.iter().find(|known| known.name == needed);
        let builds = known.map_or(0, |known| known.builds);
        planned.builds = planned.builds.saturating_add(builds);
    }
    if planned.builds > MAX_BUILDS {
        let message = format!("needs more than {MAX_BUILDS} builds");
        return Err(Error::new(message).context(&format!("target {}", target.name)));
    }
    plans.push(planned);
    Ok(())
}

/// Opens what the builds name.
pub(super) fn requests(plans: Vec<Planned>, environment: &Environment) -> Result<Requests, Error> {
    let mut requests = Requests {
        each: Vec::new(),
        progress: ProgressMode::Plain,
    };
    for planned in plans {
        let name = planned.name.clone();
        request(planned, environment, &mut requests)
            .map_err(|error| error.context(&format!("target {name}")))?;
    }
    Ok(requests)
}

fn request(
    planned: Planned,
    environment: &Environment,
    requests: &mut Requests,
) -> Result<(), Error> {
    let Planned {
        name,
        typed,
        plan,
        needs,
        builds: _,
    } = planned;
    requests.progress = plan.progress;
    let mut request = load(plan, environment, io::empty())?;
    read_secrets(&mut request)?;
    for (context, needed) in &needs {
        let known = requests.each.iter().find(|known| known.name == *needed);
        if let Some(known) = known {
            let context = context_key(context)?;
            let inner = NamedContext::Build(Box::new(made_before(&known.request)));
            request.named_contexts.insert(context, inner);
        }
    }
    requests.each.push(Wanted {
        name,
        typed,
        request,
        needs: needs.into_values().collect(),
    });
    Ok(())
}

/// Reads secrets that are in files before any build begins, one of which could put a link in the place
/// of a file.
fn read_secrets(request: &mut BuildRequest) -> Result<(), Error> {
    for (id, secret) in &mut request.secrets {
        let of_secret = |error| Error::from(error).context(&format!("secret {id}"));
        secret.source = SecretSource::Value(secret.source.read().map_err(of_secret)?);
    }
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

/// The flags of `build` that say what `target` says.
fn typed(args: &Bake, target: &Target, environment: &Environment) -> Result<Build, Error> {
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
    Ok(Build {
        add_host: pairs(&target.extra_hosts),
        allow: target.entitlements.clone(),
        annotation: target.annotations.clone(),
        attest: target.attest.iter().map(bake::Attest::to_flag).collect(),
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
        call: target.call.clone().unwrap_or_default(),
        dockerfile_text: target.dockerfile_inline.clone(),
        file: Some(dockerfile(target, &context, environment)),
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
fn dockerfile(target: &Target, context: &str, environment: &Environment) -> String {
    let name = target.dockerfile.clone().unwrap_or_default();
    let here = |path: &str| environment.absolute(Path::new(path));
    let path = match name.strip_prefix("cwd://") {
        // Absolute, so that it is no file of a context that is elsewhere.
        Some(local) => here(local),
        None if here(context).is_dir() => Path::new(context).join(name),
        // In the repository or archive.
        None => return name,
    };
    path.to_string_lossy().into_owned()
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
