//! What a call asks for that its message does not know: fields that are newer than those of
//! `bollard-buildkit-proto`. A decoder passes over them; here nothing is passed over.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use prost::Message as _;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use tonic::Status;
use tonic::body::Body;
use wire::MAX_MESSAGE;

/// The call that has such fields.
const SOLVE: &str = "/moby.buildkit.v1.Control/Solve";
/// The flag and the length before a message of gRPC.
const PREFIX: usize = 5;
/// The last field of a solve that anybody knows of.
const LAST_FIELD: u32 = 17;
/// How BuildKit builds today, by the number that it gives to that.
const COMPATIBILITY: i64 = 30;

/// The newer fields of `SolveRequest` in BuildKit's `control.proto`.
#[derive(Clone, PartialEq, prost::Message)]
struct NewerSolve {
    #[prost(int64, tag = "16")]
    compatibility_version: i64,
    #[prost(bool, tag = "17")]
    proxy_network: bool,
}

/// The request as it came, if it asks for nothing that kiln does not have.
///
/// # Errors
/// It does, or there is no end to it.
pub(super) async fn check(request: Request<Body>) -> Result<Request<Body>, Status> {
    if request.uri().path() != SOLVE {
        return Ok(request);
    }
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_MESSAGE + PREFIX).collect().await;
    let body = body.map_err(|error| Status::out_of_range(error.to_string()))?;
    let body = body.to_bytes();
    // What is no whole message, or compressed, which was not offered, is refused behind us.
    if let Some(message) = body.get(PREFIX..).filter(|_| body[0] == 0) {
        check_solve(message)?;
    }
    Ok(Request::from_parts(
        head,
        Body::new(Full::<Bytes>::new(body)),
    ))
}

fn check_solve(message: &[u8]) -> Result<(), Status> {
    let refuse = |what: String| Status::unimplemented(format!("{what} is not provided by kiln"));
    // What is malformed is told behind us, too.
    let (Ok(newer), Ok(last)) = (NewerSolve::decode(message), last_field(message)) else {
        return Ok(());
    };
    if last > LAST_FIELD {
        return Err(refuse(format!("field {last} of a solve request")));
    }
    if newer.proxy_network {
        return Err(refuse("a network that goes through a proxy".to_owned()));
    }
    match newer.compatibility_version {
        0 | COMPATIBILITY => Ok(()),
        other => Err(refuse(format!("compatibility-version {other}"))),
    }
}

/// The largest number of a field.
fn last_field(mut message: &[u8]) -> Result<u32, prost::DecodeError> {
    let mut last = 0;
    while !message.is_empty() {
        let (number, wire) = decode_key(&mut message)?;
        skip_field(wire, number, &mut message, DecodeContext::default())?;
        last = last.max(number);
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_newer_is_refused_by_name() {
        for (fields, expected) in [
            (&[][..], ""),
            (&[(5, b"session".as_slice())], ""),
            (
                &[(18, b"later")],
                "field 18 of a solve request is not provided by kiln",
            ),
        ] {
            let mut message = Vec::new();
            for (number, text) in fields {
                prost::encoding::bytes::encode(*number, &text.to_vec(), &mut message);
            }
            assert_eq!(asked(SOLVE, message).await, expected);
        }
        for (version, proxy_network, expected) in [
            (0, false, ""),
            (30, false, ""),
            (
                10,
                false,
                "compatibility-version 10 is not provided by kiln",
            ),
            (
                0,
                true,
                "a network that goes through a proxy is not provided by kiln",
            ),
        ] {
            let newer = NewerSolve {
                compatibility_version: version,
                proxy_network,
            };
            assert_eq!(asked(SOLVE, newer.encode_to_vec()).await, expected);
            assert_eq!(asked("/other", newer.encode_to_vec()).await, "");
        }
        // Not a message: not ours to tell.
        assert_eq!(asked(SOLVE, vec![0xff; 3]).await, "");
    }

    /// Why a call with this message is refused. One that is not comes as it was.
    async fn asked(path: &str, message: Vec<u8>) -> String {
        let length = (message.len() as u32).to_be_bytes();
        let body = [&[0][..], &length, &message].concat();
        let given = Body::new(Full::<Bytes>::from(body.clone()));
        let mut request = Request::new(given);
        *request.uri_mut() = path.parse().unwrap();
        match check(request).await {
            Ok(request) => {
                let whole = request.into_body().collect().await.unwrap();
                assert_eq!(whole.to_bytes(), body);
                String::new()
            }
            Err(status) => status.message().to_owned(),
        }
    }
}
