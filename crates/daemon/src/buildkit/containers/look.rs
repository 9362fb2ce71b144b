//! Files in containers: `ReadFileContainer`, `ReadDirContainer`, `StatFileContainer`. They are as
//! they are at that moment.

use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::frontend::{
    ReadDirRequest, ReadDirResponse, ReadFileRequest, ReadFileResponse, StatFileRequest,
    StatFileResponse,
};
use engine::{EngineError, Files};
use tonic::Status;

use crate::buildkit::builds::Job;
use crate::buildkit::look;

/// The bytes of a file, or of a part of it.
///
/// # Errors
/// There is no such container, mount or file.
pub(in crate::buildkit) async fn read_file(
    job: &Arc<Job>,
    request: ReadFileRequest,
) -> Result<ReadFileResponse, Status> {
    let range = look::range(request.range)?;
    let path = request.file_path;
    let read = move |files: &Files, part: &str| files.read(&within(part, &path), range);
    let data = look_in(job, (&request.r#ref, request.mount_index), read).await?;
    Ok(ReadFileResponse { data })
}

/// What is in a directory.
///
/// # Errors
/// As [`read_file`].
pub(in crate::buildkit) async fn read_dir(
    job: &Arc<Job>,
    request: ReadDirRequest,
) -> Result<ReadDirResponse, Status> {
    let (path, pattern) = (request.dir_path, request.include_pattern);
    let list = move |files: &Files, part: &str| {
        let pattern = Some(pattern.as_str()).filter(|pattern| !pattern.is_empty());
        files.list(&within(part, &path), pattern)
    };
    let found = look_in(job, (&request.r#ref, request.mount_index), list).await?;
    Ok(ReadDirResponse {
        entries: found.into_iter().map(look::stat).collect(),
    })
}

/// What a file is.
///
/// # Errors
/// As [`read_file`].
pub(in crate::buildkit) async fn stat_file(
    job: &Arc<Job>,
    request: StatFileRequest,
) -> Result<StatFileResponse, Status> {
    let path = request.path;
    let stat = move |files: &Files, part: &str| files.stat(&within(part, &path));
    let found = look_in(job, (&request.r#ref, request.mount_index), stat).await?;
    Ok(StatFileResponse {
        stat: Some(look::stat(found)),
    })
}

async fn look_in<T: Send + 'static>(
    job: &Arc<Job>,
    (id, mount): (&str, i32),
    work: impl FnOnce(&Files, &str) -> Result<T, EngineError> + Send + 'static,
) -> Result<T, Status> {
    let container = job.containers.find(id)?;
    let target = usize::try_from(mount).ok();
    let target = target.and_then(|place| container.targets.get(place));
    let missing = || Status::invalid_argument(format!("the container has no mount {mount}"));
    let target = target.ok_or_else(missing)?.clone();
    let looked = job.offload(move || async move {
        let files = container.step.files(&target)?;
        work(&files, container.step.part(&target))
    });
    looked.await?.map_err(|error| look::status(&error))
}

/// `path` in the part that is mounted.
fn within(part: &str, path: &str) -> String {
    match part {
        "" => path.to_owned(),
        part => format!("{part}/{path}"),
    }
}
