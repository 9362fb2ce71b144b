//! What a build has to do with this machine: the files that it opens here, by the names that they
//! have in the plan. Whoever does not trust what asked for the build looks here before it is loaded.

use std::path::PathBuf;

use engine::{
    CacheFrom, CacheTo, Destination, Export, FilesExport, NamedContext, OfferedSecret, SecretSource,
};

use super::load::{dockerfile_path, ignore_files, remote};
use super::plan::{AgentAt, BuildPlan, ContextAt};
use crate::environment::Environment;

impl BuildPlan {
    /// What it reads: absolute paths, as they were written, so links and `..` may be in them.
    #[must_use]
    pub fn reads(&self, environment: &Environment) -> Vec<PathBuf> {
        let mut paths = self.source_paths(environment);
        paths.extend(self.request.named_contexts.values().filter_map(of_context));
        let caches = self
            .request
            .cache_from
            .iter()
            .chain(&self.request.cache_mounts_from);
        paths.extend(caches.filter_map(of_cache));
        paths.extend(self.request.secrets.values().filter_map(of_secret));
        for agent in self.ssh.values() {
            if let AgentAt::Paths(own) = agent {
                paths.extend(own.iter().cloned());
            }
        }
        paths
    }

    /// What it writes, in the same way.
    #[must_use]
    pub fn writes(&self) -> Vec<PathBuf> {
        let caches = self.request.cache_to.iter().filter_map(|to| match to {
            CacheTo::Export(export) => of_cache(&export.to),
            CacheTo::Inline => None,
        });
        let mounts = self.request.cache_mounts_to.iter();
        let mounts = mounts.filter_map(|mounts| of_cache(&mounts.to));
        let exports = self.request.exports.iter().filter_map(of_export);
        let files = self.iidfile.iter().chain(&self.metadata_file).cloned();
        exports.chain(caches).chain(mounts).chain(files).collect()
    }

    /// Whether its steps may use the agent that the environment names.
    #[must_use]
    pub fn uses_default_agent(&self) -> bool {
        let mut agents = self.ssh.values();
        agents.any(|agent| matches!(agent, AgentAt::Default(_)))
    }

    /// The context, the Dockerfile, and the ignore files that are there.
    fn source_paths(&self, environment: &Environment) -> Vec<PathBuf> {
        let dockerfile = dockerfile_path(self, environment);
        let mut paths = Vec::new();
        if let ContextAt::Path { path, .. } = &self.context
            && remote(self).is_none()
        {
            let ignores = ignore_files(dockerfile.as_deref(), path).into_iter();
            paths.extend(ignores.filter(|path| path.is_symlink() || path.exists()));
            paths.push(path.clone());
        }
        paths.extend(dockerfile);
        paths
    }
}

fn of_context(context: &NamedContext) -> Option<PathBuf> {
    match context {
        NamedContext::Directory(path) => Some(path.clone()),
        NamedContext::Layout(layout) => Some(layout.path.clone()),
        NamedContext::Image(_)
        | NamedContext::Remote(_)
        | NamedContext::Source(_)
        | NamedContext::Steps(_)
        | NamedContext::EachSteps(_)
        | NamedContext::Build(_) => None,
    }
}

fn of_cache(cache: &CacheFrom) -> Option<PathBuf> {
    match cache {
        CacheFrom::Layout(layout) => Some(layout.path.clone()),
        CacheFrom::Registry(_) => None,
    }
}

fn of_secret(secret: &OfferedSecret) -> Option<PathBuf> {
    match &secret.source {
        SecretSource::File(path) => Some(path.clone()),
        SecretSource::Value(_) => None,
    }
}

fn of_export(export: &Export) -> Option<PathBuf> {
    let of_destination = |destination: &Destination| match destination {
        Destination::File(path) | Destination::Directory(path) => Some(path.clone()),
        Destination::Stdout | Destination::Stream(_) => None,
    };
    match export {
        Export::Image(_) => None,
        Export::Archive(archive) => of_destination(&archive.destination),
        Export::Files(FilesExport::Directory { path, .. }) => Some(path.clone()),
        Export::Files(FilesExport::Tar { destination, .. }) => of_destination(destination),
    }
}
