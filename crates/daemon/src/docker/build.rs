//! `POST /build`: Docker's own protocol, which sends the context first and then tells what happens.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use api::docker::{Aux, Message};
use engine::events::channel;
use engine::{
    Annotations, AttestationFormat, BuildOutcome, BuildRequest, ByteStream, Context, Dockerfile,
    DockerfileIn, Engine, EngineError, Export, ImageExport, LayerFormat, NoCache, PullPolicy,
    Remote, Resources, Times, git_context,
};
use hyper::HeaderMap;
use hyper::body::Incoming;
use oci::{Platform, Reference};
use tokio_util::sync::CancellationToken;

use super::narration::{LOG_BYTES, Narration};
use super::transfer::streamed;
use super::{Daemon, create, credentials};
use crate::answer::{Answer, Refusal};
use crate::query::Query;
use crate::stream::{self, Sender};
use crate::trace::Recording;

impl Daemon {
    pub(super) async fn build(
        self: &Arc<Self>,
        query: Query,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        let (request, quiet) = request(query, body)?;
        let engine = self.with(Ok).await?;
        credentials::offer(&engine, headers, "docker.io")?;
        let (sender, body) = stream::channel();
        let told = sender.clone();
        let (daemon, trace) = (Arc::clone(self), self.begin_trace("POST /build", headers));
        self.go_on(&sender, move || async move {
            let failure = build(&engine, request, quiet, trace.as_deref(), &told).await;
            if let Some(trace) = trace {
                daemon.end_trace(&trace, failure.as_deref());
            }
        });
        Ok(streamed(body))
    }
}

/// Builds, and tells of it; nothing but the ID when it is to be quiet. What went wrong, if it did.
async fn build(
    engine: &Engine,
    mut request: BuildRequest,
    quiet: bool,
    trace: Option<&Recording>,
    told: &Sender,
) -> Option<String> {
    let tags = request.tags.clone();
    let (progress, mut events) = channel(LOG_BYTES);
    // When this is dropped, so is the build, which ends it.
    let built = engine.build(&mut request, progress, CancellationToken::new());
    let narrated = async {
        let mut narration = Narration::default();
        while let Some(event) = events.recv().await {
            if let Some(trace) = trace {
                trace.note(&event);
            }
            narration.take(event);
            let text = narration.say();
            if !quiet && !text.is_empty() {
                told.send(Message::text(text).line()).await;
            }
        }
        narration.finish()
    };
    let (built, rest) = tokio::join!(built, narrated);
    if !quiet && !rest.is_empty() {
        told.send(Message::text(rest).line()).await;
    }
    let failure = built.as_ref().err().map(EngineError::chain);
    for message in ending(built, &tags, quiet) {
        told.send(message.line()).await;
    }
    failure
}

/// What is said last.
fn ending(
    built: Result<BuildOutcome, EngineError>,
    tags: &[Reference],
    quiet: bool,
) -> Vec<Message> {
    let id = match built {
        Ok(outcome) => outcome.image.map(|image| image.id.to_string()),
        Err(error) => return vec![failure(&error)],
    };
    let Some(id) = id else {
        return Vec::new();
    };
    if quiet {
        return vec![Message::text(format!("{id}\n"))];
    }
    let short = id.trim_start_matches("sha256:");
    let built = format!("Successfully built {}\n", &short[..short.len().min(12)]);
    let mut messages = vec![Message::Aux { aux: Aux { id } }, Message::text(built)];
    let tagged = |tag: &Reference| format!("Successfully tagged {}\n", tag.familiar());
    messages.extend(tags.iter().map(|tag| Message::text(tagged(tag))));
    messages
}

/// A step that failed is told in Docker's words.
fn failure(error: &EngineError) -> Message {
    let EngineError::Step { step } = error else {
        return Message::error(&error.chain(), None);
    };
    match &*step.error {
        EngineError::Process {
            command,
            exit,
            disconnected,
        } => {
            let code = exit.code();
            let mut text = format!("The command '{command}' returned a non-zero code: {code}");
            if let Some(lost) = disconnected {
                text += &format!("; {lost}");
            }
            Message::error(&text, u8::try_from(code).ok())
        }
        other => Message::error(&other.chain(), None),
    }
}

/// What the parameters and the body ask for, and whether only the ID is wanted.
fn request(mut query: Query, body: Incoming) -> Result<(BuildRequest, bool), Refusal> {
    if query.one("version").is_some_and(|version| version != "1") {
        return Err(Refusal::not_provided(
            "version 2 of a build (it is asked for through /grpc)",
        ));
    }
    let remote = query.one("remote");
    let dockerfile = match query.one("dockerfile") {
        Some(path) => DockerfileIn::Path(PathBuf::from(path)),
        None => DockerfileIn::Default,
    };
    let quiet = query.flag("q");
    // There are no containers in between, so none stays.
    for name in ["rm", "forcerm"] {
        query.flag(name);
    }
    let request = BuildRequest {
        dockerfile: Dockerfile {
            name: "Dockerfile".to_owned(),
            path: None,
            text: String::new(),
        },
        context: Context::Remote {
            from: from(remote, body)?,
            dockerfile: Some(dockerfile),
            subdirectory: None,
        },
        target: query.one("target"),
        build_args: build_args(&mut query)?,
        labels: query.json("labels")?,
        no_cache: if query.flag("nocache") {
            NoCache::All
        } else {
            NoCache::Off
        },
        pull: if query.flag("pull") {
            PullPolicy::Always
        } else {
            PullPolicy::Missing
        },
        platforms: platform(&mut query)?.into_iter().collect(),
        network: create::network(&query.one("networkmode").unwrap_or_default())?,
        extra_hosts: create::hosts(&query.all("extrahosts"))?,
        shm_size: size(&mut query, "shmsize")?,
        resources: Resources::of_clients(|name| query.one(name))
            .map_err(|error| Refusal::bad(error.to_string()))?,
        tags: tags(&mut query)?,
        exports: vec![Export::Image(ImageExport {
            names: Vec::new(),
            push: false,
            by_digest: false,
            insecure: false,
            store: true,
            layers: LayerFormat::default(),
            attestations: AttestationFormat::IMAGE,
            times: Times::default(),
            annotations: Annotations::default(),
        })],
        ..BuildRequest::default()
    };
    query.end()?;
    Ok((request, quiet))
}

/// The context is the body, unless it is somewhere else.
fn from(remote: Option<String>, body: Incoming) -> Result<Remote, Refusal> {
    let Some(remote) = remote else {
        return Ok(Remote::Stream(ByteStream::new(stream::reader(body))));
    };
    match git_context(&remote, None) {
        Ok(Some(git)) => Ok(Remote::Git(git)),
        Ok(None) => Ok(Remote::Url(remote)),
        Err(error) => Err(Refusal::bad(error.to_string())),
    }
}

/// A name without a value says that the value is none.
fn build_args(query: &mut Query) -> Result<BTreeMap<String, String>, Refusal> {
    let all: BTreeMap<String, Option<String>> = query.json("buildargs")?;
    let given = all.into_iter();
    Ok(given
        .filter_map(|(name, value)| Some((name, value?)))
        .collect())
}

fn platform(query: &mut Query) -> Result<Option<Platform>, Refusal> {
    let Some(text) = query.one("platform") else {
        return Ok(Some(Platform::host()));
    };
    let parsed = text.parse();
    parsed
        .map(Some)
        .map_err(|_| Refusal::bad(format!("invalid platform {text:?}")))
}

fn size(query: &mut Query, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = query.one(name) else {
        return Ok(None);
    };
    let parsed: u64 = text
        .parse()
        .map_err(|_| Refusal::bad(format!("invalid {name}: {text:?}")))?;
    Ok(Some(parsed).filter(|size| *size > 0))
}

fn tags(query: &mut Query) -> Result<Vec<Reference>, Refusal> {
    let mut tags: Vec<Reference> = Vec::new();
    for text in query.all("t") {
        let tag: Reference = text.parse().map_err(EngineError::from)?;
        let tag = tag.with_default_tag();
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}
