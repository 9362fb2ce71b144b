//! Builds whose results are contexts of others: their steps become steps of the build that needs them.

use std::collections::BTreeSet;

use oci::Platform;

use super::results::Planned;
use super::stages::Build;
use crate::error::EngineError;
use crate::request::{BuildRequest, Context, NamedContext, Steps};

impl Build {
    /// Puts the steps of builds that are contexts in their place, for each platform of `request`,
    /// with what they ask of the client.
    ///
    /// # Errors
    /// As [`Build::plan`], or such a build makes nothing for a platform, or asks for something else
    /// by a name that `request` has too.
    pub(super) async fn join(&self, request: &mut BuildRequest) -> Result<(), EngineError> {
        let is_build = |context: &NamedContext| matches!(context, NamedContext::Build(_));
        let contexts = request.named_contexts.iter();
        let names = contexts.filter(|(_, context)| is_build(context));
        let names: BTreeSet<String> = names.map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(NamedContext::Build(mut inner)) = request.named_contexts.remove(&name) else {
                continue;
            };
            // What it makes becomes no image of its own.
            inner.sbom = None;
            let planned = Box::pin(self.plan(&mut inner)).await?;
            let each = request.runs_on();
            let each = each.iter().map(|on| steps(&name, &planned, on));
            let each = NamedContext::EachSteps(each.collect::<Result<_, _>>()?);
            offer(request, &name, planned.request())?;
            request.named_contexts.insert(name, each);
        }
        Ok(())
    }
}

/// Offers what the steps of `inner` may ask for, which is the context `name`. Steps of both are steps
/// of one build, in which an ID stands for one secret and one agent.
fn offer(request: &mut BuildRequest, name: &str, inner: &BuildRequest) -> Result<(), EngineError> {
    let conflict = |what, id: &str| EngineError::ContextOffer {
        name: name.to_owned(),
        what,
        id: id.to_owned(),
    };
    for (id, secret) in &inner.secrets {
        let secrets = request.secrets.entry(id.clone());
        if secrets.or_insert_with(|| secret.clone()) != secret {
            return Err(conflict("secret", id));
        }
    }
    for (id, agent) in &inner.ssh {
        let agents = request.ssh.entry(id.clone());
        if agents.or_insert_with(|| agent.clone()) != agent {
            return Err(conflict("SSH agent", id));
        }
    }
    request.allow_host_network |= inner.allow_host_network;
    request.cache_from.extend(inner.cache_from.iter().cloned());
    Ok(())
}

/// What `planned` makes for `on`; the one thing that it makes, if that is one.
fn steps(name: &str, planned: &Planned, on: &Platform) -> Result<Steps, EngineError> {
    let platforms: Vec<&Platform> = planned.configs().map(|(platform, _)| platform).collect();
    let place = platforms.iter().position(|platform| *platform == on);
    let place = place.or((platforms.len() == 1).then_some(0));
    let place = place.ok_or_else(|| EngineError::ContextPlatform {
        name: name.to_owned(),
        platform: on.to_string(),
    })?;
    // No context that a Dockerfile may name has a space in its name.
    let rename = |context: &str| format!("build {name} {context}");
    let request = planned.request();
    let mut directories = Vec::new();
    if let Context::Directory { path, .. } = &request.context {
        directories.push((rename(""), path.clone()));
    }
    for (inner, context) in &request.named_contexts {
        if let NamedContext::Directory(path) = context {
            directories.push((rename(inner), path.clone()));
        }
    }
    let further = request.steps().flat_map(|steps| &steps.directories);
    directories.extend(further.map(|(inner, path)| (rename(inner), path.clone())));
    Ok(Steps {
        definition: planned.definition(place, rename)?,
        directories: directories.into_iter().collect(),
        config: Some(Box::new(planned.config(place).clone())),
        allow_insecure: request.may_be_insecure(),
    })
}
