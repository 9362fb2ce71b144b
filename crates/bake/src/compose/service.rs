//! A service as a target.

use serde_json::Value as Json;

use super::build::{Fields, bytes, kind, list, map, text, ulimits};
use super::environment;
use crate::definitions::TARGET;
use crate::error::Problem;
use crate::given::Given;
use crate::target::{Attest, Entry, Secret, Ssh, Target};

/// The target that a service is; none when nothing is built for it.
pub(super) fn target(
    name: &str,
    service: &Json,
    secrets: Option<&Json>,
    given: &Given,
) -> Result<Option<Target>, Problem> {
    if service.get("extends").is_some() {
        return Err(Problem::Unsupported {
            what: format!("extends of service {name}"),
            instead: "write out what it builds, or use YAML's anchors",
        });
    }
    let Some(build) = service.get("build").filter(|build| !build.is_null()) else {
        return Ok(None);
    };
    let mut fields = Fields::new(name, build)?;
    let mut target = Target {
        name: name.replace('.', "_"),
        ..Target::default()
    };
    crate::module::check_name(&target.name).map_err(|error| error.problem)?;
    if let Some(args) = fields.take("args") {
        target.args = environment::arguments(name, service, &args, given)?;
    }
    simple(&mut target, &mut fields)?;
    entries(&mut target, &mut fields, secrets)?;
    if target.tags.as_ref().is_none_or(Vec::is_empty)
        && let Some(image) = service.get("image")
    {
        target.tags = Some(vec![text("image", image)?]);
    }
    if let Some(more) = fields.take("x-bake") {
        super::build::x_bake(&mut target, name, &more)?;
    }
    fields.end()?;
    Ok(Some(target))
}

fn simple(target: &mut Target, fields: &mut Fields) -> Result<(), Problem> {
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    target.context = filled(fields.text("context")?);
    target.dockerfile = filled(fields.text("dockerfile")?);
    target.dockerfile_inline = filled(fields.text("dockerfile_inline")?);
    target.target = filled(fields.text("target")?);
    target.network = filled(fields.text("network")?);
    target.no_cache = fields.bool("no_cache")?.filter(|is_on| *is_on);
    target.pull = fields.bool("pull")?.filter(|is_on| *is_on);
    target.tags = fields
        .take("tags")
        .map(|tags| list("tags", &tags))
        .transpose()?;
    let platforms = fields.take("platforms");
    target.platforms = platforms
        .map(|list_of| list("platforms", &list_of))
        .transpose()?;
    if let Some(size) = fields.take("shm_size") {
        target.shm_size = Some(bytes(&size)?);
    }
    if let Some(limits) = fields.take("ulimits") {
        target.ulimits = ulimits(&limits)?;
    }
    if let Some(labels) = fields.take("labels") {
        let labels = map("labels", &labels)?.into_iter();
        target.labels = labels
            .map(|(key, value)| (key, value.unwrap_or_default()))
            .collect();
    }
    if let Some(contexts) = fields.take("additional_contexts") {
        for (key, value) in map("additional_contexts", &contexts)? {
            target
                .contexts
                .insert(key, context(value.unwrap_or_default()));
        }
    }
    if let Some(hosts) = fields.take("extra_hosts") {
        target.extra_hosts = super::build::hosts(&hosts)?;
    }
    Ok(())
}

/// A further context; another service is another target.
pub(super) fn context(value: String) -> String {
    let other = value
        .strip_prefix("service:")
        .or_else(|| value.strip_prefix(TARGET));
    match other {
        Some(name) => format!("{TARGET}{}", name.replace('.', "_")),
        None => value,
    }
}

fn entries(
    target: &mut Target,
    fields: &mut Fields,
    secrets: Option<&Json>,
) -> Result<(), Problem> {
    let refuse = |what: &'static str| move |why| Problem::value(what, why);
    for text in fields.list("cache_from")? {
        target
            .cache_from
            .extend(Entry::caches(&text).map_err(refuse("cache_from"))?);
    }
    for text in fields.list("cache_to")? {
        let caches = Entry::caches(&text).map_err(refuse("cache_to"))?;
        target.cache_to.get_or_insert_default().extend(caches);
    }
    if let Some(agents) = fields.take("ssh") {
        target.ssh = ssh(&agents)?;
    }
    for what in ["sbom", "provenance"] {
        if let Some(said) = fields.text(what)? {
            target
                .attest
                .push(Attest::shorthand(what, &said).map_err(refuse("attest"))?);
        }
    }
    if let Some(wanted) = fields.take("secrets") {
        let Json::Array(wanted) = &wanted else {
            return Err(kind("secrets", "a list", &wanted));
        };
        for secret in wanted {
            target.secret.push(self::secret(secret, secrets)?);
        }
    }
    if let Some(entitlements) = fields.take("entitlements") {
        target.entitlements = list("entitlements", &entitlements)?;
    }
    Ok(())
}

/// Agents: a list, or a map of their paths.
fn ssh(agents: &Json) -> Result<Vec<Ssh>, Problem> {
    let mut ssh: Vec<Ssh> = match agents {
        Json::Object(_) => {
            let pair = |(id, path): (String, Option<String>)| Ssh {
                id,
                paths: path.into_iter().filter(|path| !path.is_empty()).collect(),
            };
            map("ssh", agents)?.into_iter().map(pair).collect()
        }
        other => list("ssh", other)?
            .iter()
            .map(|text| Ssh::read(text))
            .collect(),
    };
    ssh.sort();
    Ok(ssh)
}

/// A secret of a service, which the file defines elsewhere.
fn secret(wanted: &Json, secrets: Option<&Json>) -> Result<Secret, Problem> {
    let source = wanted.get("source").unwrap_or(wanted);
    let id = text("secrets", source)?;
    let defined = secrets.and_then(|secrets| secrets.get(&id));
    let missing = || {
        let names = secrets
            .and_then(Json::as_object)
            .into_iter()
            .flat_map(|map| map.keys());
        Problem::unknown("secret", &id, names.map(String::as_str))
    };
    let defined = defined.ok_or_else(missing)?;
    let Json::Object(map) = defined else {
        return Err(kind(&format!("secret {id}"), "a map", defined));
    };
    let is_nothing = |value: &Json| matches!(value, Json::Null | Json::Bool(false));
    for elsewhere in ["external", "content", "driver"] {
        if map.get(elsewhere).is_some_and(|value| !is_nothing(value)) {
            return Err(Problem::Unsupported {
                what: format!("{elsewhere} of secret {id}"),
                instead: "give the secret a file or an environment variable",
            });
        }
    }
    let part = |key| defined.get(key).map(|value| text(key, value)).transpose();
    Ok(Secret {
        src: part("file")?.unwrap_or_default(),
        env: part("environment")?.unwrap_or_default(),
        id,
    })
}
