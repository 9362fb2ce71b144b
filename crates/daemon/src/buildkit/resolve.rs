//! Sources that front ends and policies ask about: `ResolveImageConfig`, `ResolveSourceMeta`.

mod places;

use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::frontend::{
    ResolveImageConfigRequest, ResolveImageConfigResponse, ResolveSourceImageResponse,
    ResolveSourceMetaRequest, ResolveSourceMetaResponse,
};
use bollard_buildkit_proto::pb;
use engine::{About, FoundImage, PullPolicy};
use llb::Problem;
use oci::{Platform, Reference};
use tonic::Status;

use super::builds::Job;
use super::layouts::{NAMELESS, StoredImage};
use super::{errors, frontend, policy};

/// What images are named by that registries have.
const REGISTRY: &str = "docker-image://";
/// What images are named by that stores of clients have.
const LAYOUT: &str = "oci-layout://";

/// An image, as front ends name it.
enum Image {
    /// In a registry, or in the daemon's store already; with when the registry is asked.
    Registry(Reference, PullPolicy),
    /// In a store of the client's.
    Layout(llb::Layout),
}

/// What else is asked of it.
struct Asked {
    platform: Option<Platform>,
    /// As people are told it.
    log: String,
}

/// The config of an image, and what it is named by.
///
/// # Errors
/// It cannot be had, or is asked for in a way that kiln does not have.
pub(super) async fn image_config(
    job: &Arc<Job>,
    request: ResolveImageConfigRequest,
) -> Result<ResolveImageConfigResponse, Status> {
    if !request.source_policies.is_empty() {
        return Err(refuse("a source policy"));
    }
    let (scheme, attrs) = match request.resolver_type {
        0 => (REGISTRY, Vec::new()),
        1 => (
            LAYOUT,
            vec![
                ("oci.store".to_owned(), request.store_id),
                ("oci.session".to_owned(), request.session_id),
            ],
        ),
        other => return Err(Status::invalid_argument(format!("resolver type {other}"))),
    };
    let source = pb::SourceOp {
        identifier: format!("{scheme}{}", request.r#ref),
        attrs: attrs.into_iter().collect(),
    };
    let source = policy::decide(job, source, request.platform.as_ref()).await?;
    let image = Image::read(job, &source, &request.resolve_mode)?;
    let asked = Asked::new(&source, request.platform.as_ref(), request.log_name);
    let found = find(job, image, asked).await?;
    let name = source.identifier.strip_prefix(scheme);
    Ok(ResolveImageConfigResponse {
        digest: found.digest.to_string(),
        config: found.config,
        r#ref: name.unwrap_or(&source.identifier).to_owned(),
    })
}

/// The same for a source, which may be a repository or at a URL.
///
/// # Errors
/// As [`image_config`].
pub(super) async fn source_meta(
    job: &Arc<Job>,
    mut request: ResolveSourceMetaRequest,
) -> Result<ResolveSourceMetaResponse, Status> {
    if !request.source_policies.is_empty() {
        return Err(refuse("a source policy"));
    }
    let source = request.source.take().unwrap_or_default();
    let source = policy::decide(job, source, request.platform.as_ref()).await?;
    meta_of(job, source, request).await
}

/// The same for a source that was decided about.
///
/// # Errors
/// As [`image_config`].
pub(super) async fn meta_of(
    job: &Arc<Job>,
    source: pb::SourceOp,
    request: ResolveSourceMetaRequest,
) -> Result<ResolveSourceMetaResponse, Status> {
    if let Some(found) = places::meta(job, &source, &request).await? {
        return Ok(found);
    }
    let wanted = request.image.unwrap_or_default();
    if wanted.attestation_chain || !wanted.resolve_attestations.is_empty() {
        return Err(refuse("resolving attestations"));
    }
    let image = Image::read(job, &source, &request.resolve_mode)?;
    let asked = Asked::new(&source, request.platform.as_ref(), request.log_name);
    let found = find(job, image, asked).await?;
    Ok(ResolveSourceMetaResponse {
        source: Some(source),
        image: Some(ResolveSourceImageResponse {
            digest: found.digest.to_string(),
            config: match wanted.no_config {
                true => Vec::new(),
                false => found.config,
            },
            attestation_chain: None,
        }),
        ..ResolveSourceMetaResponse::default()
    })
}

impl Image {
    /// What a source names, resolved as `mode` says unless the source itself says how.
    fn read(job: &Job, source: &pb::SourceOp, mode: &str) -> Result<Self, Status> {
        let invalid = |problem: Problem| {
            let code = frontend::code(&problem);
            Status::new(code, problem.to_string())
        };
        if let Some(rest) = source.identifier.strip_prefix(LAYOUT) {
            let session = job.session.as_ref().map(|session| session.id.as_str());
            let store = llb::layout_attributes(&source.attrs, session).map_err(invalid)?;
            let layout = llb::Layout::read(rest, store).map_err(invalid)?;
            return Ok(Self::Layout(layout));
        }
        let name = source.identifier.strip_prefix(REGISTRY);
        let name = name.ok_or_else(|| refuse(&format!("resolving {:?}", source.identifier)))?;
        let reference: Result<Reference, _> = name.parse();
        let reference = reference.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let read = llb::image_attributes(&source.attrs, reference.with_default_tag(), pull(mode)?);
        let (reference, pull) = read.map_err(invalid)?;
        Ok(Self::Registry(reference, pull))
    }
}

impl Asked {
    fn new(source: &pb::SourceOp, platform: Option<&pb::Platform>, log: String) -> Self {
        Self {
            platform: platform.map(llb::normalised),
            log: match log.as_str() {
                "" => format!("resolve image config for {}", source.identifier),
                _ => log,
            },
        }
    }
}

fn pull(mode: &str) -> Result<PullPolicy, Status> {
    match mode {
        "" | "default" | "local" => Ok(PullPolicy::Missing),
        "pull" => Ok(PullPolicy::Always),
        other => Err(Status::invalid_argument(format!(
            "invalid resolvemode: {other}"
        ))),
    }
}

/// Looks on a thread that may block: in the store, and what is in none of the daemon's is brought
/// there.
async fn find(job: &Arc<Job>, image: Image, asked: Asked) -> Result<FoundImage, Status> {
    let for_thread = Arc::clone(job);
    let found = job.offload(move || async move {
        let job = &for_thread;
        let failed = |error| errors::status(&error, None);
        let build = job.build(About::default).map_err(failed)?;
        let platform = asked.platform;
        let (reference, pull) = match image {
            Image::Registry(reference, pull) => (reference, pull),
            Image::Layout(layout) => {
                let image = StoredImage {
                    name: NAMELESS.to_owned(),
                    layout,
                    platforms: platform.iter().cloned().collect(),
                };
                let reference = job.stored_image(&build, image).await?;
                (reference, PullPolicy::Missing)
            }
        };
        let found = build.look_at_image(&reference, platform.as_ref(), pull, &asked.log);
        found.await.map_err(failed)
    });
    found.await?
}

fn refuse(what: &str) -> Status {
    Status::unimplemented(format!("{what} is not provided by kiln"))
}
