//! Requests to answers (distribution-spec, "Endpoints").

use std::io::{self, BufRead as _, BufReader};
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oci::{Descriptor, Digest, Document, MediaType};

use super::Effect;
use super::http::{Request, Response, wait_for_client};
use super::state::{Noted, State, Upload};

/// The first byte of a client that tries TLS.
const TLS_HANDSHAKE: u8 = 22;

/// Answers all requests of one connection.
pub(super) fn serve(stream: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    if reader.fill_buf()?.first() == Some(&TLS_HANDSHAKE) {
        // What servers say to a client that tries TLS.
        Response::new(400).write(stream, false, None)?;
        return Ok(());
    }
    while let Some(request) = Request::read(&mut reader)? {
        if !serve_one(&request, &mut reader, stream, state)? {
            return Ok(());
        }
    }
    Ok(())
}

/// `false` when the connection is of no more use.
fn serve_one(
    request: &Request,
    reader: &mut BufReader<&TcpStream>,
    stream: &TcpStream,
    state: &Mutex<State>,
) -> io::Result<bool> {
    let (index, effect, max) = note(&mut lock(state), request);
    let is_head = request.method == "HEAD";
    match &effect {
        Some(Effect::Drop) => return Ok(false),
        Some(Effect::Stall) => return wait_for_client(stream),
        Some(Effect::DropUpload(length)) => {
            let part = request.body(reader, *length)?;
            lock(state).keep_upload(request, &part);
            return Ok(false);
        }
        Some(Effect::LoseUpload(length)) => {
            request.body(reader, *length)?;
            lock(state).uploads.clear();
            return Ok(false);
        }
        _ => {}
    }
    // Answers before the body came, as front ends do, and takes no more of it.
    let is_too_much = request.length() > max;
    let mut response = Response::new(413).with("Connection", "close");
    if !is_too_much {
        let body = request.body(reader, usize::MAX)?;
        response = match &effect {
            Some(Effect::Answer {
                status,
                headers,
                body,
            }) => Response {
                status: *status,
                headers: headers.clone(),
                body: body.clone().into_bytes(),
            },
            _ => lock(state).answer(request, body, matches!(effect, Some(Effect::IgnoreRange))),
        };
    }
    lock(state).noted[index].status = Some(response.status);
    let can_go_on = response.write(stream, is_head, effect.as_ref())?;
    if is_too_much {
        // Closing while the client still sends would take the answer away from it.
        request.body(reader, usize::MAX)?;
        return Ok(false);
    }
    Ok(can_go_on)
}

fn note(state: &mut State, request: &Request) -> (usize, Option<Effect>, usize) {
    state.noted.push(Noted {
        method: request.method.clone(),
        target: request.target.clone(),
        headers: request.headers.clone(),
        status: None,
    });
    let fault = state.faults.iter_mut().find_map(|fault| {
        fault
            .hits(&request.method, &request.target)
            .then(|| fault.effect.clone())
    });
    (state.noted.len() - 1, fault, state.rules.max_request)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn answer(&mut self, request: &Request, body: Vec<u8>, ignore_range: bool) -> Response {
        if request.path() == "/token" {
            return self.token(request, &body);
        }
        if let Some(refusal) = self.refuse(request) {
            return refusal;
        }
        let Some(rest) = request.path().strip_prefix("/v2/") else {
            return Response::new(404);
        };
        let reads = matches!(request.method.as_str(), "GET" | "HEAD");
        if rest.is_empty() {
            Response::new(200)
        } else if let Some((repository, id)) = rest.split_once("/blobs/uploads/") {
            self.upload(request, repository, id, body)
        } else if let (Some((repository, digest)), true) = (rest.split_once("/blobs/"), reads) {
            self.get_blob(request, repository, digest, ignore_range)
        } else if let Some((repository, name)) = rest.split_once("/manifests/") {
            if reads {
                self.get_manifest(repository, name)
            } else {
                self.put_manifest(request, repository, name, &body)
            }
        } else if let Some(repository) = rest.strip_suffix("/tags/list") {
            self.list_tags(request, repository)
        } else {
            Response::error(405, "UNSUPPORTED", "no such endpoint")
        }
    }

    fn get_blob(
        &mut self,
        request: &Request,
        repository: &str,
        digest: &str,
        ignore_range: bool,
    ) -> Response {
        let found = digest
            .parse()
            .ok()
            .and_then(|d| self.repository(repository).blob(d));
        let Some(bytes) = found else {
            return Response::error(404, "BLOB_UNKNOWN", "blob unknown to registry");
        };
        let response = Response::new(200)
            .with("Content-Type", "application/octet-stream")
            .with("ETag", format!("\"{digest}\""));
        let start = request
            .header("range")
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'))
            .and_then(|start| start.parse::<usize>().ok());
        match start {
            Some(start) if !ignore_range && start >= bytes.len() => Response::new(416),
            Some(start) if !ignore_range => {
                let (last, size) = (bytes.len() - 1, bytes.len());
                Response {
                    status: 206,
                    ..response
                }
                .with("Content-Range", format!("bytes {start}-{last}/{size}"))
                .body(bytes[start..].to_vec())
            }
            _ => response.body(bytes),
        }
    }

    fn get_manifest(&mut self, repository: &str, name: &str) -> Response {
        let Some((descriptor, bytes)) = self.repository(repository).manifest(name) else {
            return Response::error(404, "MANIFEST_UNKNOWN", "manifest unknown");
        };
        let response = Response::new(200).with("Content-Type", descriptor.media_type.as_str());
        self.with_digest(response, descriptor.digest).body(bytes)
    }

    fn put_manifest(
        &mut self,
        request: &Request,
        repository: &str,
        name: &str,
        body: &[u8],
    ) -> Response {
        let media_type = request.header("content-type").map(MediaType::parse);
        let named = match Document::parse(body, media_type.as_ref()) {
            Ok(Document::Manifest(manifest)) => {
                let config = std::iter::once(&manifest.config);
                config.chain(&manifest.layers).map(|d| d.digest).collect()
            }
            Ok(Document::Index(index)) => index.manifests.iter().map(|d| d.digest).collect(),
            Err(_) => Vec::new(),
        };
        let target = self.repository(repository);
        if named.is_empty() || named.into_iter().any(|digest| !target.has(digest)) {
            return Response::error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
        }
        let descriptor = Descriptor::of(media_type.unwrap_or(MediaType::OciManifest), body);
        let digest = descriptor.digest;
        let tag = name.parse::<Digest>().is_err().then_some(name);
        target.put_manifest(tag, descriptor, body);
        self.with_digest(Response::new(201), digest)
    }

    fn list_tags(&mut self, request: &Request, repository: &str) -> Response {
        let last = request.query("last");
        let mut tags = self.repository(repository).tags();
        tags.retain(|tag| last.as_ref().is_none_or(|last| tag > last));
        let has_more = tags.len() > self.rules.tags_page;
        tags.truncate(self.rules.tags_page);
        let body = serde_json::json!({"name": repository, "tags": tags}).to_string();
        let mut response = Response::new(200).body(body.into_bytes());
        if let (true, Some(last)) = (has_more, tags.last()) {
            let link = format!("</v2/{repository}/tags/list?last={last}>; rel=\"next\"");
            response = response.with("Link", link);
        }
        response
    }

    fn with_digest(&self, response: Response, digest: Digest) -> Response {
        if self.rules.states_digest {
            response.with("Docker-Content-Digest", digest.to_string())
        } else {
            response
        }
    }
}

/// Uploads: the POST that begins or mounts, PATCH and PUT that carry, GET that asks how far.
impl State {
    fn upload(&mut self, request: &Request, repository: &str, id: &str, body: Vec<u8>) -> Response {
        match request.method.as_str() {
            "POST" => self.begin_upload(request, repository),
            "DELETE" => {
                self.uploads.remove(id);
                Response::new(204)
            }
            "GET" if self.uploads.contains_key(id) => self.upload_answer(204, repository, id),
            "PATCH" | "PUT" => self.carry_upload(request, repository, id, &body),
            _ => Response::error(404, "BLOB_UPLOAD_UNKNOWN", "upload unknown"),
        }
    }

    fn begin_upload(&mut self, request: &Request, repository: &str) -> Response {
        if let (Some(digest), Some(from), true) = (
            request
                .query("mount")
                .and_then(|digest| digest.parse().ok()),
            request.query("from"),
            self.rules.mounts,
        ) && let Some(bytes) = self.repository(&from).blob(digest)
        {
            self.repository(repository).put_blob(&bytes);
            return self.with_digest(Response::new(201), digest);
        }
        let id = format!("upload-{}", self.noted.len());
        self.uploads.insert(id.clone(), Upload::default());
        self.upload_answer(202, repository, &id)
    }

    fn carry_upload(
        &mut self,
        request: &Request,
        repository: &str,
        id: &str,
        body: &[u8],
    ) -> Response {
        let Some(upload) = self.uploads.get_mut(id) else {
            return Response::error(404, "BLOB_UPLOAD_UNKNOWN", "upload unknown");
        };
        let start = request
            .header("content-range")
            .and_then(|range| range.split('-').next()?.parse::<usize>().ok());
        let is_in_turn = request.query("turn") == Some(upload.turn.to_string());
        if !is_in_turn || start.is_some_and(|start| start != upload.bytes.len()) {
            return Response::error(416, "RANGE_INVALID", "out of order");
        }
        upload.bytes.extend_from_slice(body);
        upload.turn += 1;
        if request.method == "PATCH" {
            return self.upload_answer(202, repository, id);
        }
        let bytes = std::mem::take(&mut upload.bytes);
        self.uploads.remove(id);
        let stated = request
            .query("digest")
            .and_then(|digest| digest.parse().ok());
        if stated != Some(Digest::of(&bytes)) {
            return Response::error(400, "DIGEST_INVALID", "digest does not match");
        }
        let digest = self.repository(repository).put_blob(&bytes);
        self.with_digest(Response::new(201), digest)
    }

    fn upload_answer(&self, status: u16, repository: &str, id: &str) -> Response {
        let (length, turn) = self
            .uploads
            .get(id)
            .map_or((0, 0), |upload| (upload.bytes.len(), upload.turn));
        let prefix = if self.rules.absolute_location {
            format!("http://{}", self.address)
        } else {
            String::new()
        };
        Response::new(status)
            .with(
                "Location",
                format!("{prefix}/v2/{repository}/blobs/uploads/{id}?turn={turn}"),
            )
            .with("Range", format!("0-{}", length.saturating_sub(1)))
    }

    fn keep_upload(&mut self, request: &Request, part: &[u8]) {
        let id = request.path().rsplit('/').next().unwrap_or_default();
        if let Some(upload) = self.uploads.get_mut(id) {
            upload.bytes.extend_from_slice(part);
            upload.turn += 1;
        }
    }
}
