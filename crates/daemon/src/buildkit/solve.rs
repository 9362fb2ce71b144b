//! `Solve`: one build from the client's request to what it exports.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::Result as Returned;
use bollard_buildkit_proto::moby::buildkit::v1::{SolveRequest, SolveResponse};
use engine::{
    ArchiveExport, ArchiveKind, BuildOutcome, ClientStream, Delivery, Destination, Engine,
    EngineError, Entitlement, Evaluated, Export, ExportedImage, FilesExport, KeptCopy,
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::builds::{Asked, Job};
use super::credentials::ClientCredentials;
use super::frontend::{Call, Made, Terms};
use super::output::Output;
use super::policy::{self, Policy};
use super::results::{Metadata, Results};
use super::session::send;
use super::session::send_files::send_files;
use super::{attestations, caches, errors, history, layouts, output, verify};
use crate::docker::Daemon;
use crate::trace::Recording;

/// By which clients know the manifest of a cache that they were sent.
const CACHE: &str = "cache.manifest";
/// How what front ends say begins that the client is told.
const FOR_CLIENT: &str = "frontend.";
/// What clients know the store by that takes a layout.
const STORE: &str = "export";

/// Builds, and notes in `trace` what happens.
///
/// # Errors
/// The request makes no sense to kiln, or the build failed.
pub(super) async fn solve(
    daemon: &Arc<Daemon>,
    mut request: SolveRequest,
    trace: Option<&Recording>,
) -> Result<SolveResponse, Status> {
    if request.r#ref.is_empty() {
        return Err(Status::invalid_argument("the build has no ref"));
    }
    let engine = daemon.open().await?;
    let policy = Policy::of(daemon, &mut request).await?;
    let terms = Terms {
        policy,
        ..terms(&mut request, &engine)?
    };
    let builds = &daemon.buildkit.builds;
    let session = match request.session.as_str() {
        "" => None,
        id => Some(daemon.buildkit.sessions.get(id).await?),
    };
    if let Some(credentials) = session.as_ref().and_then(ClientCredentials::of) {
        engine.use_credentials(Arc::new(credentials));
    }
    let asked = (!request.internal).then(|| Asked {
        frontend: request.frontend.clone(),
        options: request.frontend_attrs.clone(),
    });
    let (job, events, returned) = Job::new(daemon, engine, session.clone(), terms, asked);
    policy::hold(&job);
    let _registered = builds.register(&request.r#ref, Arc::clone(&job))?;
    let done = CancellationToken::new();
    let work = async {
        let _done = done.clone().drop_guard();
        tokio::select! {
            built = run(&job, request, returned) => built,
            () = gone(&job) => Err(Status::cancelled("the client is gone")),
            () = daemon.cancelled() => Err(Status::cancelled("the daemon stops")),
        }
    };
    tokio::join!(work, job.tell(events, trace, done.clone())).0
}

/// What holds for the whole build.
fn terms(request: &mut SolveRequest, engine: &Engine) -> Result<Terms, Status> {
    let refuse = |what: &str| Err(not_provided(what));
    if request.enable_session_exporter {
        return refuse("an exporter of the client's");
    }
    let granted = granted(&request.entitlements, engine)?;
    let mut caches = request.cache.take().unwrap_or_default();
    let imports = std::mem::take(&mut caches.imports).into_iter();
    let imports = imports.map(|import| (import.r#type, import.attrs));
    caches::add_imports(&mut request.frontend_attrs, imports);
    Ok(Terms {
        id: request.r#ref.clone(),
        outputs: output::outputs(request)?,
        caches: caches::exports(&mut caches, engine)?,
        host_network: granted.contains(&Entitlement::NetworkHost),
        insecure: granted.contains(&Entitlement::SecurityInsecure),
        policy: None,
        provenance: attestations::provenance(&request.frontend_attrs)?,
        sbom: attestations::sbom(&request.frontend_attrs)?,
        platforms: request.frontend_attrs.get("platform").cloned(),
    })
}

/// What the client asks for and the configuration lets builds have. Neither is enough alone.
fn granted(asked: &[String], engine: &Engine) -> Result<Vec<Entitlement>, Status> {
    let grant = |name: &String| {
        let entitlement = match name.as_str() {
            "network.host" => Entitlement::NetworkHost,
            "security.insecure" => Entitlement::SecurityInsecure,
            other => return Err(not_provided(&format!("the entitlement {other:?}"))),
        };
        match engine.grants(entitlement) {
            true => Ok(entitlement),
            false => Err(Status::permission_denied(format!(
                "granting entitlement {name} is not allowed by build daemon configuration"
            ))),
        }
    };
    asked.iter().map(grant).collect()
}

fn not_provided(what: &str) -> Status {
    Status::unimplemented(format!("{what} is not provided by kiln"))
}

/// Returns when the client that the build is for is gone.
async fn gone(job: &Job) {
    match &job.session {
        Some(session) => session.ended.cancelled().await,
        None => std::future::pending().await,
    }
}

/// Makes the result, which a client's front end may do itself, and what is wanted of it.
async fn run(
    job: &Arc<Job>,
    request: SolveRequest,
    returned: tokio::sync::oneshot::Receiver<super::builds::Returned>,
) -> Result<SolveResponse, Status> {
    let outcome = match request.frontend.as_str() {
        "" if !request.frontend_inputs.is_empty() => Err(Status::unimplemented(
            "an input without a front end is not provided by kiln",
        )),
        "" => match request.definition {
            Some(definition) => {
                let made = super::bridge::define(job, definition, request.frontend_attrs).await;
                by_front_end(job, made).await
            }
            None => match returned.await {
                Ok(Ok(result)) => by_client(job, result).await,
                Ok(Err(status)) => Err(status),
                Err(_) => Err(Status::aborted("the client made no result")),
            },
        },
        name => {
            let call = Call {
                options: request.frontend_attrs,
                inputs: request.frontend_inputs,
                depth: 0,
            };
            by_front_end(job, super::bridge::by_name(job, name, call).await).await
        }
    };
    end(job, outcome).await
}

/// Exports what a front end made, if that is a result.
async fn by_front_end(job: &Arc<Job>, made: Result<Made, Status>) -> Result<Exported, Status> {
    let made = made?;
    deliver(job, made.results, made.metadata).await
}

/// Exports what the client returned; nothing when that is nothing.
async fn by_client(job: &Arc<Job>, result: Returned) -> Result<Exported, Status> {
    deliver(job, Results::named(job, &result)?, result.metadata).await
}

/// What a front end in an image returned.
///
/// # Errors
/// It is something that kiln does not have.
pub(super) fn made(job: &Job, result: Returned) -> Result<Made, Status> {
    Ok(Made {
        results: Results::named(job, &result)?,
        metadata: result.metadata,
    })
}

/// What exports came to.
#[derive(Default)]
struct Exported {
    response: HashMap<String, String>,
    outcome: BuildOutcome,
}

async fn deliver(job: &Arc<Job>, results: Results, metadata: Metadata) -> Result<Exported, Status> {
    verify::check(&metadata)?;
    let asked = job.terms.platforms.as_deref();
    for warning in verify::mismatch(asked, &results, &metadata) {
        job.log.warn(warning);
    }
    let mut exported = Exported::default();
    if let Some(evaluated) = results.made(job, &metadata).await? {
        let (job, told) = (Arc::clone(job), Arc::clone(job));
        let export = move || async move { export(&job, &results, &evaluated).await };
        exported = told.offload(export).await??;
    }
    let for_client = metadata
        .into_iter()
        .filter(|(name, _)| name.starts_with(FOR_CLIENT));
    let for_client = for_client.map(|(name, value)| {
        let value = String::from_utf8_lossy(&value).into_owned();
        (name, value)
    });
    exported.response.extend(for_client);
    Ok(exported)
}

async fn export(job: &Job, results: &Results, evaluated: &Evaluated) -> Result<Exported, Status> {
    let dockerfile = results.iter().next().map(|result| result.dockerfile());
    let failed = |error: &EngineError| errors::status(error, dockerfile);
    let Some(build) = job.begun() else {
        return Err(Status::internal("a result without a build"));
    };
    let scanned = match &job.terms.sbom {
        Some(sbom) => {
            let scanned = build.scan(evaluated, sbom).await;
            Some(scanned.map_err(|error| failed(&error))?)
        }
        None => None,
    };
    let (exports, parcels) = exports(job)?;
    let delivery = Delivery {
        exports,
        provenance: attestations::about(job.terms.provenance.as_ref(), results.iter().next()),
        ..Delivery::default()
    };
    let outcome = build
        .deliver(scanned.as_ref().unwrap_or(evaluated), &delivery)
        .await;
    let outcome = outcome.map_err(|error| failed(&error))?;
    for parcel in parcels {
        parcel.send(job).await?;
    }
    let mut response = match &outcome.image {
        Some(image) => response(image)?,
        None => HashMap::new(),
    };
    for cache in &job.terms.caches.local {
        let sent = cache.send(job).await;
        match sent {
            Ok(Some(manifest)) => drop(response.insert(CACHE.to_owned(), manifest)),
            Ok(None) => {}
            Err(_) if cache.ignore_error => {}
            Err(status) => return Err(status),
        }
    }
    Ok(Exported { response, outcome })
}

/// What is made in a directory of the daemon's and sent to the client afterwards.
enum Parcel {
    /// As files, for the client's exporter at this place.
    Files(usize, KeptCopy),
    /// As blobs.
    Layout(KeptCopy),
}

impl Parcel {
    async fn send(self, job: &Job) -> Result<(), Status> {
        match self {
            Self::Files(place, copy) => send_files(job.session()?, copy.path(), place).await,
            Self::Layout(copy) => layouts::send(job, STORE, copy.path()).await,
        }
    }
}

/// What the engine is asked for.
fn exports(job: &Job) -> Result<(Vec<Export>, Vec<Parcel>), Status> {
    let (mut exports, mut parcels) = (Vec::new(), Vec::new());
    for (place, output) in job.terms.outputs.iter().enumerate() {
        let stream = || {
            let stream = send::archive(job.session.as_ref(), place);
            Destination::Stream(ClientStream::new(stream))
        };
        if let Some(export) = output.export(stream) {
            exports.push(export);
            continue;
        }
        let copy = job.engine.kept_copy(None);
        let copy = copy.map_err(|error| errors::status(&error, None))?;
        let path = copy.path().to_owned();
        if let Output::Layout {
            names,
            layers,
            attestations,
            times,
            annotations,
        } = output
        {
            parcels.push(Parcel::Layout(copy));
            exports.push(Export::Archive(ArchiveExport {
                kind: ArchiveKind::Oci,
                names: names.clone(),
                destination: Destination::Directory(path),
                layers: *layers,
                attestations: *attestations,
                times: *times,
                annotations: annotations.clone(),
            }));
        } else if let Output::Files {
            split,
            latest,
            statement_prefix,
        } = output
        {
            parcels.push(Parcel::Files(place, copy));
            exports.push(Export::Files(FilesExport::Directory {
                path,
                split: *split,
                latest: *latest,
                statement_prefix: statement_prefix.clone(),
            }));
        }
    }
    Ok((exports, parcels))
}

/// What clients write into their metadata files.
///
/// # Errors
/// It cannot be written as JSON.
pub(super) fn response(image: &ExportedImage) -> Result<HashMap<String, String>, Status> {
    let descriptor = serde_json::to_vec(&image.manifest);
    let descriptor = descriptor.map_err(|error| Status::internal(error.to_string()))?;
    let names: Vec<String> = image.names.iter().map(ToString::to_string).collect();
    let mut response = HashMap::new();
    let mut put = |name: &str, value| response.insert(format!("containerimage.{name}"), value);
    put("digest", image.manifest.digest.to_string());
    // Of several images there is none to tell.
    if image.manifest.media_type.is_manifest() {
        put("config.digest", image.id.to_string());
    }
    put("descriptor", STANDARD.encode(descriptor));
    if !names.is_empty() {
        response.insert("image.name".to_owned(), names.join(","));
    }
    Ok(response)
}

/// Notes how the build ended.
async fn end(job: &Arc<Job>, outcome: Result<Exported, Status>) -> Result<SolveResponse, Status> {
    if let Some(build) = job.begun() {
        let failure = outcome.as_ref().err();
        failure
            .into_iter()
            .for_each(|status| build.attach(history::attached(status)));
        let noted = match &outcome {
            Ok(exported) => Ok(exported.outcome.clone()),
            Err(status) if status.code() == tonic::Code::Cancelled => Err(EngineError::Cancelled),
            Err(status) => Err(EngineError::Solve(status.message().to_owned())),
        };
        let ended = job.offload(move || async move { build.end(&noted).await });
        ended.await?.map_err(|error| errors::status(&error, None))?;
    }
    let exported = outcome?;
    Ok(SolveResponse {
        exporter_response: exported.response,
    })
}
