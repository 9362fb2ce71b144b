//! The predicates of SLSA: what is known of a build as JSON. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::Platform;
use serde_json::{Map, Value, json};

use super::steps::Steps;
use super::{Asked, Provenance, ProvenanceMode, ProvenanceVersion};
use crate::clock::rfc3339;
use crate::request::Dockerfile;

/// The type of predicates of SLSA 1 and of SLSA 0.2.
const SLSA_1: &str = "https://slsa.dev/provenance/v1";
const SLSA_02: &str = "https://slsa.dev/provenance/v0.2";
/// By which readers know what the parameters of a build mean: they are BuildKit's.
const BUILD_TYPE_1: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
const BUILD_TYPE_02: &str = "https://mobyproject.org/buildkit@v1";

/// All that is known of how something was made.
#[derive(Debug, Clone)]
pub(crate) struct Capture {
    pub(super) asked: Asked,
    /// By their URIs, as the others.
    pub(super) images: BTreeMap<String, Dependency>,
    pub(super) git: BTreeMap<String, Dependency>,
    pub(super) http: BTreeMap<String, Dependency>,
    /// Directories of the client's.
    pub(super) locals: BTreeSet<String>,
    /// Whether the build fails without them.
    pub(super) secrets: BTreeMap<String, bool>,
    pub(super) ssh: BTreeMap<String, bool>,
    /// A step had a network.
    pub(super) network: bool,
    pub(super) dockerfile: Option<Dockerfile>,
    pub(super) steps: Steps,
    pub(super) invocation: String,
    pub(super) started: SystemTime,
    pub(super) finished: SystemTime,
}

/// Something that a build needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dependency {
    pub(super) uri: String,
    algorithm: &'static str,
    digest: String,
}

impl Dependency {
    pub(super) const fn new(uri: String, algorithm: &'static str, digest: String) -> Self {
        Self {
            uri,
            algorithm,
            digest,
        }
    }

    fn digests(&self) -> Value {
        Value::Object(Map::from_iter([(
            self.algorithm.to_owned(),
            Value::from(self.digest.as_str()),
        )]))
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            asked: Asked::default(),
            images: BTreeMap::new(),
            git: BTreeMap::new(),
            http: BTreeMap::new(),
            locals: BTreeSet::new(),
            secrets: BTreeMap::new(),
            ssh: BTreeMap::new(),
            network: false,
            dockerfile: None,
            steps: Steps::default(),
            invocation: String::new(),
            started: SystemTime::UNIX_EPOCH,
            finished: SystemTime::UNIX_EPOCH,
        }
    }
}

impl Provenance {
    /// What kind of predicate it is, as a URI.
    pub(crate) const fn predicate_type(&self) -> &'static str {
        match self.version {
            ProvenanceVersion::V1 => SLSA_1,
            ProvenanceVersion::V02 => SLSA_02,
        }
    }

    /// What is stated of what is known.
    pub(crate) fn predicate(&self, capture: &Capture) -> Value {
        let facts = Facts::of(self, capture);
        match self.version {
            ProvenanceVersion::V1 => facts.slsa_1(self, capture),
            ProvenanceVersion::V02 => facts.slsa_02(self, capture),
        }
    }
}

/// What both forms have, each in its place.
struct Facts {
    /// Where the Dockerfile came from, without its path.
    source: Map<String, Value>,
    path: Option<String>,
    request: Value,
    dependencies: Vec<Value>,
    /// The steps, where they are stated.
    config: Option<Value>,
    /// Nothing of what was asked for is left out.
    is_whole: bool,
    /// All that the build needed is named.
    is_complete: bool,
    metadata: Value,
}

impl Facts {
    fn of(provenance: &Provenance, capture: &Capture) -> Self {
        let mut options = capture.asked.telling();
        let key = capture.asked.context_key().to_owned();
        let source = config_source(capture);
        options.remove(&key);
        let path = options.remove("filename").filter(|path| !path.is_empty());
        let vcs = version_control(&mut options);
        let is_min = provenance.mode == ProvenanceMode::Min;
        let mut is_whole = !capture.asked.frontend.is_empty();
        if is_min {
            let before = options.len();
            options
                .retain(|name, _| !name.starts_with("build-arg:") && !name.starts_with("label:"));
            is_whole &= options.len() == before;
        }
        let mut request = Map::new();
        if !capture.asked.frontend.is_empty() {
            request.insert("frontend".to_owned(), json!(capture.asked.frontend));
        }
        if !options.is_empty() {
            request.insert("args".to_owned(), json!(options));
        }
        if !is_min {
            put_asked(&mut request, "secrets", &capture.secrets);
            put_asked(&mut request, "ssh", &capture.ssh);
        }
        if !capture.locals.is_empty() {
            let locals = capture.locals.iter().map(|name| json!({"name": name}));
            request.insert("locals".to_owned(), locals.collect());
        }
        let dependencies = [&capture.images, &capture.git, &capture.http];
        let dependencies = dependencies.into_iter().flat_map(BTreeMap::values);
        let dependency = |one: &Dependency| json!({"uri": one.uri, "digest": one.digests()});
        Self {
            source,
            path,
            request: Value::Object(request),
            dependencies: dependencies.map(dependency).collect(),
            config: (!is_min).then(|| capture.steps.config.clone()),
            is_whole,
            // Of a front end in an image, the image is not known here.
            is_complete: capture.locals.is_empty() && capture.asked.frontend != "gateway.v0",
            metadata: metadata(vcs, (!is_min).then_some(capture)),
        }
    }

    fn slsa_1(self, provenance: &Provenance, capture: &Capture) -> Value {
        let mut source = self.source;
        source.extend(self.path.map(|path| ("path".to_owned(), Value::from(path))));
        let mut internal = json!({"builderPlatform": Platform::host().to_string()});
        if let Some(config) = self.config {
            internal["buildConfig"] = config;
        }
        let mut definition = json!({
            "buildType": BUILD_TYPE_1,
            "externalParameters": {"configSource": source, "request": self.request},
            "internalParameters": internal,
        });
        if !self.dependencies.is_empty() {
            definition["resolvedDependencies"] = Value::Array(self.dependencies);
        }
        let mut metadata = json!({
            "invocationId": capture.invocation,
            "startedOn": rfc3339(capture.started),
            "finishedOn": rfc3339(capture.finished),
            "buildkit_metadata": self.metadata,
            "buildkit_completeness": {
                "request": self.is_whole,
                "resolvedDependencies": self.is_complete,
            },
        });
        if self.is_complete && !capture.network {
            metadata["buildkit_hermetic"] = json!(true);
        }
        if provenance.reproducible {
            metadata["buildkit_reproducible"] = json!(true);
        }
        json!({
            "buildDefinition": definition,
            "runDetails": {"builder": {"id": provenance.builder_id}, "metadata": metadata},
        })
    }

    fn slsa_02(self, provenance: &Provenance, capture: &Capture) -> Value {
        let mut source = self.source;
        source.extend(
            self.path
                .map(|path| ("entryPoint".to_owned(), Value::from(path))),
        );
        let mut metadata = json!({
            "buildInvocationID": capture.invocation,
            "buildStartedOn": rfc3339(capture.started),
            "buildFinishedOn": rfc3339(capture.finished),
            "completeness": {
                "parameters": self.is_whole,
                "environment": true,
                "materials": self.is_complete,
            },
            "reproducible": provenance.reproducible,
            "https://mobyproject.org/buildkit@v1#metadata": self.metadata,
        });
        if self.is_complete && !capture.network {
            metadata["https://mobyproject.org/buildkit@v1#hermetic"] = json!(true);
        }
        let mut predicate = json!({
            "builder": {"id": provenance.builder_id},
            "buildType": BUILD_TYPE_02,
            "invocation": {
                "configSource": source,
                "parameters": self.request,
                "environment": {"platform": Platform::host().to_string()},
            },
            "metadata": metadata,
        });
        if !self.dependencies.is_empty() {
            predicate["materials"] = Value::Array(self.dependencies);
        }
        if let Some(config) = self.config {
            predicate["buildConfig"] = config;
        }
        predicate
    }
}

/// Where the Dockerfile came from, when that is not the client; with its digest, when the context is
/// among what the build needed.
fn config_source(capture: &Capture) -> Map<String, Value> {
    let Some(uri) = capture.asked.context() else {
        return Map::new();
    };
    let url = uri.split('#').next().unwrap_or(&uri);
    let of_url = |one: &&Dependency| one.uri.split('#').next() == Some(url);
    let found = capture.git.values().find(of_url);
    let found = found.or_else(|| capture.http.get(&uri));
    let mut source = Map::from_iter([("uri".to_owned(), Value::from(uri.as_str()))]);
    source.extend(found.map(|found| ("digest".to_owned(), found.digests())));
    source
}

/// What a client says of where its directory is kept, which is no option of the front end's.
fn version_control(options: &mut BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    options.retain(|name, value| match name.strip_prefix("vcs:") {
        Some(name) if !value.is_empty() => {
            found.insert(name.to_owned(), value.clone());
            false
        }
        Some(_) => false,
        None => true,
    });
    found
}

fn put_asked(request: &mut Map<String, Value>, name: &str, all: &BTreeMap<String, bool>) {
    if all.is_empty() {
        return;
    }
    let one = |(id, required): (&String, &bool)| match required {
        true => json!({"id": id}),
        false => json!({"id": id, "optional": true}),
    };
    request.insert(name.to_owned(), all.iter().map(one).collect());
}

/// What readers of BuildKit's provenance look for beside the form.
fn metadata(vcs: BTreeMap<String, String>, stated: Option<&Capture>) -> Value {
    let mut metadata = Map::new();
    if !vcs.is_empty() {
        metadata.insert("vcs".to_owned(), json!(vcs));
    }
    if let Some(capture) = stated
        && let Some(dockerfile) = &capture.dockerfile
    {
        let info = json!({
            "filename": dockerfile.name,
            "language": "Dockerfile",
            "data": STANDARD.encode(&dockerfile.text),
        });
        let source = json!({"infos": [info], "locations": capture.steps.locations});
        metadata.insert("source".to_owned(), source);
    }
    Value::Object(metadata)
}

#[cfg(test)]
mod tests;
