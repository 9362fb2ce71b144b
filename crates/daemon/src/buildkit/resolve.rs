//! Images that front ends ask about: `ResolveImageConfig`, `ResolveSourceMeta`.

use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::frontend::{
    ResolveImageConfigRequest, ResolveImageConfigResponse, ResolveSourceImageResponse,
    ResolveSourceMetaRequest, ResolveSourceMetaResponse,
};
use bollard_buildkit_proto::pb;
use engine::{About, FoundImage, PullPolicy};
use oci::{Platform, Reference};
use tonic::Status;

use super::builds::Job;
use super::{errors, layouts};

/// What is asked about one image.
struct Asked {
    name: String,
    /// The client's store that it is in, if it is in none of a registry.
    store: Option<String>,
    platform: Option<pb::Platform>,
    mode: String,
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
    let found = find(
        job,
        Asked {
            name: request.r#ref.clone(),
            store: store(request.resolver_type, request.store_id)?,
            platform: request.platform,
            mode: request.resolve_mode,
            log: request.log_name,
        },
    );
    let found = found.await?;
    Ok(ResolveImageConfigResponse {
        digest: found.digest.to_string(),
        config: found.config,
        r#ref: request.r#ref,
    })
}

/// The same for a source, which has to be an image.
///
/// # Errors
/// As [`image_config`].
pub(super) async fn source_meta(
    job: &Arc<Job>,
    request: ResolveSourceMetaRequest,
) -> Result<ResolveSourceMetaResponse, Status> {
    if !request.source_policies.is_empty() {
        return Err(refuse("a source policy"));
    }
    let source = request.source.unwrap_or_default();
    let of_layout = source.identifier.strip_prefix("oci-layout://");
    let store = of_layout.map(|_| source.attrs.get("oci.store").cloned().unwrap_or_default());
    let name = source.identifier.strip_prefix("docker-image://");
    let name = name.or(of_layout);
    let name = name.ok_or_else(|| refuse(&format!("resolving {:?}", source.identifier)))?;
    let image = request.image.unwrap_or_default();
    if image.attestation_chain || !image.resolve_attestations.is_empty() {
        return Err(refuse("resolving attestations"));
    }
    let found = find(
        job,
        Asked {
            name: name.to_owned(),
            store,
            platform: request.platform,
            mode: request.resolve_mode,
            log: request.log_name,
        },
    );
    let found = found.await?;
    Ok(ResolveSourceMetaResponse {
        source: Some(source),
        image: Some(ResolveSourceImageResponse {
            digest: found.digest.to_string(),
            config: match image.no_config {
                true => Vec::new(),
                false => found.config,
            },
            attestation_chain: None,
        }),
        ..ResolveSourceMetaResponse::default()
    })
}

async fn find(job: &Arc<Job>, asked: Asked) -> Result<FoundImage, Status> {
    let invalid = |error: String| Status::invalid_argument(error);
    let reference: Result<Reference, _> = asked.name.parse();
    let reference = reference.map_err(|error| invalid(error.to_string()))?;
    let reference = reference.with_default_tag();
    let platform = asked.platform.map(|asked| {
        let platform = Platform::new(&asked.os, &asked.architecture, &asked.variant);
        platform.normalised()
    });
    let pull = match asked.mode.as_str() {
        "" | "default" | "local" => PullPolicy::Missing,
        "pull" => PullPolicy::Always,
        other => return Err(invalid(format!("invalid resolvemode: {other}"))),
    };
    let log = match asked.log.as_str() {
        "" if asked.store.is_some() => format!("resolve image config for oci-layout://{reference}"),
        "" => format!("resolve image config for docker-image://{reference}"),
        log => log.to_owned(),
    };
    let build = job.build(About::default);
    let build = build.map_err(|error| errors::status(&error, None))?;
    let reference = match (asked.store, reference.digest()) {
        (None, _) => reference,
        (Some(store), Some(digest)) => {
            let platforms: Vec<Platform> = platform.iter().cloned().collect();
            layouts::image(job, &build, (&store, &digest), &platforms).await?
        }
        (Some(_), None) => return Err(invalid(format!("{reference} without a digest"))),
    };
    let found = job.offload(move || async move {
        let found = build.find_image(&reference, platform.as_ref(), pull, &log);
        found.await
    });
    found.await?.map_err(|error| errors::status(&error, None))
}

/// The client's store that an image is in, by the kind of who resolves it: registries, or stores.
fn store(kind: i32, store: String) -> Result<Option<String>, Status> {
    match kind {
        0 => Ok(None),
        1 => Ok(Some(store)),
        other => Err(Status::invalid_argument(format!("resolver type {other}"))),
    }
}

fn refuse(what: &str) -> Status {
    Status::unimplemented(format!("{what} is not provided by kiln"))
}
