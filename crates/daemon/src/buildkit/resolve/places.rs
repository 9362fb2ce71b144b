//! What is asked about repositories and URLs.

use std::sync::Arc;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::{
    ResolveSourceGitResponse, ResolveSourceHttpResponse, ResolveSourceMetaRequest,
    ResolveSourceMetaResponse,
};
use bollard_buildkit_proto::pb;
use engine::{About, BuildRequest, FoundFile, FoundSource};
use graph::{HttpSource, SourceOp};
use tonic::Status;

use super::refuse;
use crate::buildkit::builds::Job;
use crate::buildkit::{errors, frontend};

/// What is known of a repository or a URL; none when the source is something else.
///
/// # Errors
/// It cannot be had, or more of it is asked for than kiln has.
pub(super) async fn meta(
    job: &Arc<Job>,
    source: &pb::SourceOp,
    request: &ResolveSourceMetaRequest,
) -> Result<Option<ResolveSourceMetaResponse>, Status> {
    let (scheme, _) = source.identifier.split_once("://").unwrap_or_default();
    if !matches!(scheme, "git" | "http" | "https") {
        return Ok(None);
    }
    let checksum = request
        .http
        .as_ref()
        .and_then(|http| http.checksum_request.as_ref());
    if checksum.is_some() {
        return Err(refuse("a checksum of a file with something behind it"));
    }
    // Neither has a platform to take over.
    let op = llb::read_source(source, &SourceOp::Http(HttpSource::default()));
    let op = op.map_err(|problem| Status::new(frontend::code(&problem), problem.to_string()))?;
    let with_objects = request.git.is_some_and(|git| git.return_object);
    let name = match request.log_name.as_str() {
        "" => format!("resolve {}", source.identifier),
        name => name.to_owned(),
    };
    let found = find(job, op, name, with_objects).await?;
    let mut answer = ResolveSourceMetaResponse {
        source: Some(source.clone()),
        ..ResolveSourceMetaResponse::default()
    };
    match found {
        FoundSource::Git(git) => {
            answer.git = Some(ResolveSourceGitResponse {
                commit_checksum: git
                    .tag
                    .as_ref()
                    .map_or(String::new(), |_| git.commit.clone()),
                checksum: git.tag.unwrap_or(git.commit),
                r#ref: git.reference,
                commit_object: git.commit_object,
                tag_object: git.tag_object,
            });
        }
        FoundSource::File(FoundFile {
            digest,
            name,
            modified,
        }) => {
            let time = |seconds| Timestamp { seconds, nanos: 0 };
            answer.http = Some(ResolveSourceHttpResponse {
                checksum: digest.to_string(),
                filename: name,
                last_modified: modified.map(time),
                checksum_response: None,
            });
        }
    }
    Ok(Some(answer))
}

/// Looks on a thread that may block, with what the client offers.
async fn find(
    job: &Arc<Job>,
    op: SourceOp,
    name: String,
    with_objects: bool,
) -> Result<FoundSource, Status> {
    let for_thread = Arc::clone(job);
    let found = job.offload(move || async move {
        let job = &for_thread;
        let failed = |error| errors::status(&error, None);
        let build = job.build(About::default).map_err(failed)?;
        let agents = match &op {
            SourceOp::Git(_) => vec!["default".to_owned()],
            _ => Vec::new(),
        };
        let request = BuildRequest {
            ssh: frontend::agents(job, agents).await?,
            ..frontend::plain_request(job)
        };
        let found = build.find_source(&request, &op, with_objects, &name);
        found.await.map_err(failed)
    });
    found.await?
}
