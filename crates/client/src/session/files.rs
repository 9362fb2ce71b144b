//! Directories: which files the daemon wants of which.

use std::sync::Arc;

use bollard_buildkit_proto::fsutil::types::Packet;
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server::FileSync;
use futures_util::StreamExt as _;
use percent_encoding::percent_decode_str;
use tonic::codegen::async_trait;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::{Messages, send};
use crate::offers::{Offers, Selection};

/// Offers directories.
#[derive(Debug)]
pub(super) struct Service(pub(super) Arc<Offers>);

#[async_trait]
impl FileSync for Service {
    type DiffCopyStream = Messages<Packet>;
    type TarStreamStream = Messages<Packet>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Messages<Packet>>, Status> {
        let selection = selection(request.metadata())?;
        let name = &selection.directory;
        let directory = self.0.directories.get(name);
        let directory = directory
            .ok_or_else(|| Status::not_found(format!("no access allowed to dir {name:?}")))?;
        let files = directory.files(&selection).map_err(send::unreadable)?;
        let sent = send::send(files.all, request.into_inner());
        let mut response = Response::new(sent.boxed());
        let modified = files.modified.into();
        response.metadata_mut().insert(filesync::MODIFIED, modified);
        Ok(response)
    }

    async fn tar_stream(
        &self,
        _: Request<Streaming<Packet>>,
    ) -> Result<Response<Messages<Packet>>, Status> {
        Err(Status::unimplemented("the client sends no tars"))
    }
}

fn selection(metadata: &MetadataMap) -> Result<Selection, Status> {
    let directory = values(metadata, "dir-name")?;
    Ok(Selection {
        directory: directory.into_iter().next().unwrap_or_default(),
        include: values(metadata, "include-patterns")?,
        follow: values(metadata, "followpaths")?,
        exclude: values(metadata, "exclude-patterns")?,
    })
}

/// The values of this name, which are encoded when one has what a header cannot carry.
fn values(metadata: &MetadataMap, name: &str) -> Result<Vec<String>, Status> {
    let is_encoded = metadata.get(format!("{name}-encoded").as_str()).is_some();
    let invalid = || Status::invalid_argument(format!("invalid {name}"));
    let values = metadata.get_all(name).iter();
    values
        .map(|value| {
            let text = value.to_str().map_err(|_| invalid())?;
            if !is_encoded {
                return Ok(text.to_owned());
            }
            // As in the query of a URL, a plus is a space.
            let text = text.replace('+', " ");
            let decoded = percent_decode_str(&text).decode_utf8();
            decoded.map(String::from).map_err(|_| invalid())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_values() {
        let mut metadata = MetadataMap::new();
        metadata.insert("dir-name", "context".parse().unwrap());
        metadata.append("exclude-patterns", "a%2Bb+c".parse().unwrap());
        metadata.append("exclude-patterns", "%C3%A4".parse().unwrap());
        metadata.insert("exclude-patterns-encoded", "1".parse().unwrap());
        metadata.append("followpaths", "a+b%20".parse().unwrap());
        let expected = Selection {
            directory: "context".to_owned(),
            include: Vec::new(),
            follow: vec!["a+b%20".to_owned()],
            exclude: vec!["a+b c".to_owned(), "ä".to_owned()],
        };
        assert_eq!(selection(&metadata).unwrap(), expected);
        metadata.append("exclude-patterns", "%FF".parse().unwrap());
        assert!(selection(&metadata).is_err());
    }
}
