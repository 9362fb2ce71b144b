//! Files of a result, which front ends look at: `ReadFile`, `ReadDir`, `StatFile`.

use std::sync::Arc;

use bollard_buildkit_proto::fsutil::types::Stat;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::{
    FileRange, ReadDirRequest, ReadDirResponse, ReadFileRequest, ReadFileResponse, StatFileRequest,
    StatFileResponse,
};
use engine::{EngineError, FileKind, FileStat, Files, FilesError};
use filesync::mode;
use tonic::Status;

use super::builds::Job;

/// The bytes of a file, or of a part of it.
///
/// # Errors
/// There is no such result or file, or a step of the result failed.
pub(super) async fn read_file(
    job: &Arc<Job>,
    request: ReadFileRequest,
) -> Result<ReadFileResponse, Status> {
    let range = range(request.range)?;
    let path = request.file_path;
    let data = look(job, &request.r#ref, move |files| files.read(&path, range)).await?;
    Ok(ReadFileResponse { data })
}

/// What is in a directory.
///
/// # Errors
/// As [`read_file`].
pub(super) async fn read_dir(
    job: &Arc<Job>,
    request: ReadDirRequest,
) -> Result<ReadDirResponse, Status> {
    let (path, pattern) = (request.dir_path, request.include_pattern);
    let list = move |files: &Files| {
        let pattern = Some(pattern.as_str()).filter(|pattern| !pattern.is_empty());
        files.list(&path, pattern)
    };
    let found = look(job, &request.r#ref, list).await?;
    Ok(ReadDirResponse {
        entries: found.into_iter().map(stat).collect(),
    })
}

/// What a file is.
///
/// # Errors
/// As [`read_file`].
pub(super) async fn stat_file(
    job: &Arc<Job>,
    request: StatFileRequest,
) -> Result<StatFileResponse, Status> {
    let path = request.path;
    let found = look(job, &request.r#ref, move |files| files.stat(&path)).await?;
    Ok(StatFileResponse {
        stat: Some(stat(found)),
    })
}

/// A part of a file: where it begins, and how long it is.
///
/// # Errors
/// There is no such part.
pub(super) fn range(range: Option<FileRange>) -> Result<Option<(u64, u64)>, Status> {
    let number = |number: i64| {
        let negative = |_| Status::invalid_argument("a range that begins before a file");
        u64::try_from(number).map_err(negative)
    };
    match range {
        None => Ok(None),
        Some(range) => Ok(Some((number(range.offset)?, number(range.length)?))),
    }
}

/// Looks at a result, which is made if it was not.
async fn look<T: Send + 'static>(
    job: &Arc<Job>,
    id: &str,
    work: impl FnOnce(&Files) -> Result<T, EngineError> + Send + 'static,
) -> Result<T, Status> {
    let evaluated = job.find(id)?.evaluate(job).await?;
    let build = job.begun();
    let build = build.ok_or_else(|| Status::internal("a result without a build"))?;
    let looked = job.offload(move || async move {
        let files = build.files(&evaluated).await?;
        work(&files)
    });
    looked.await?.map_err(|error| status(&error))
}

/// Why something cannot be looked at.
pub(super) fn status(error: &EngineError) -> Status {
    match error {
        EngineError::Files(FilesError::Missing { .. }) => Status::not_found(error.chain()),
        EngineError::Files(FilesError::TooLarge { .. }) => {
            Status::resource_exhausted(error.chain())
        }
        _ => super::errors::status(error, None),
    }
}

/// In the words of BuildKit's protocol.
pub(super) fn stat(file: FileStat) -> Stat {
    let kind = match file.kind {
        FileKind::File => 0,
        FileKind::Directory => mode::DIRECTORY,
        FileKind::Symlink => mode::SYMLINK,
        FileKind::Character => mode::DEVICE | mode::CHAR_DEVICE,
        FileKind::Block => mode::DEVICE,
        FileKind::Fifo => mode::FIFO,
        FileKind::Socket => mode::SOCKET,
    };
    Stat {
        path: file.name,
        mode: kind | mode::from_permissions(file.mode),
        uid: file.uid,
        gid: file.gid,
        size: i64::try_from(file.size).unwrap_or(i64::MAX),
        mod_time: file.modified,
        linkname: file
            .link
            .map_or(String::new(), |link| link.to_string_lossy().into_owned()),
        devmajor: i64::from(file.device.0),
        devminor: i64::from(file.device.1),
        ..Stat::default()
    }
}
