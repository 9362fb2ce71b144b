//! Bytes that a client sends of itself, such as an archive that it reads from its standard input: what
//! it names is a URL of a host that is its session.

use std::io;

use bollard_buildkit_proto::moby::upload::v1::upload_client::UploadClient;
use bytes::Bytes;
use engine::{ByteStream, Remote};
use futures_util::{TryStreamExt as _, stream};
use tokio_util::io::{StreamReader, SyncIoBridge};
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Status};
use wire::MAX_MESSAGE;

use super::Session;

/// The host.
const HOST: &str = "buildkit-session";
/// The method by which they come.
const METHOD: &str = "/moby.upload.v1.Upload/Pull";

/// What `remote` is: the client's own bytes, if its URL names some.
///
/// # Errors
/// The client does not have them.
pub(in crate::buildkit) async fn of_session(
    session: Option<&Session>,
    remote: &Remote,
) -> Result<Remote, Status> {
    let path = match remote {
        Remote::Url(url) => url
            .strip_prefix("http://")
            .and_then(|rest| rest.strip_prefix(HOST)),
        _ => None,
    };
    let Some(path) = path.filter(|path| path.starts_with('/')) else {
        return Ok(remote.clone());
    };
    let session = session
        .filter(|session| session.has(METHOD))
        .ok_or_else(|| {
            Status::failed_precondition(format!("method {METHOD} not supported by the client"))
        })?;
    let value = |text: &str| {
        let value = AsciiMetadataValue::try_from(text);
        value.map_err(|_| Status::invalid_argument("the upload's name is no ASCII"))
    };
    let mut request = Request::new(stream::empty());
    let metadata = request.metadata_mut();
    metadata.insert("urlpath", value(path)?);
    metadata.insert("urlhost", value(HOST)?);
    let (caller, origin) = session.caller();
    let mut client =
        UploadClient::with_origin(caller, origin).max_decoding_message_size(MAX_MESSAGE);
    let messages = client.pull(request).await?.into_inner();
    let pieces = messages.map_ok(|message| Bytes::from(message.data));
    let pieces = pieces.map_err(|status| io::Error::other(status.message().to_owned()));
    let bytes = SyncIoBridge::new(StreamReader::new(pieces));
    Ok(Remote::Stream(ByteStream::new(bytes)))
}
