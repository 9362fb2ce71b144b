//! References and descriptors to the bytes of manifests and indexes.

use std::sync::Arc;

use bytes::Bytes;
use oci::{Descriptor, Digest, Document, MAX_DOCUMENT_SIZE, MediaType, Reference};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response};

use crate::client::slot;
use crate::endpoint::Endpoint;
use crate::error::{At, What, content_type, read_bounded};
use crate::exchange::Call;
use crate::{Client, Error};

pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");

/// OCI's and Docker's documents, and last anything, for registries that know no better.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    */*;q=0.1";

/// What a reference leads to.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Its media type, digest and size.
    pub descriptor: Descriptor,
    /// The exact bytes of the document.
    pub bytes: Bytes,
    /// The same, read.
    pub document: Document,
}

impl Client {
    /// The manifest or index that `reference` names; its digest is verified, and it is one if
    /// the reference has one.
    ///
    /// # Errors
    /// No host has it, or what came is not what was asked for.
    pub async fn resolve(&self, reference: &Reference) -> Result<Resolved, Error> {
        let ask = |endpoint| self.fetch_document(endpoint, reference);
        self.on_each_host(reference, ask).await
    }

    /// What `reference` names, without its document where the registry can say so. Docker Hub
    /// does not count this as a pull.
    ///
    /// # Errors
    /// As [`Client::resolve`].
    pub async fn descriptor(&self, reference: &Reference) -> Result<Descriptor, Error> {
        let ask = |endpoint| self.head_document(endpoint, reference);
        match self.on_each_host(reference, ask).await? {
            Some(descriptor) => Ok(descriptor),
            None => Ok(self.resolve(reference).await?.descriptor),
        }
    }

    /// The manifest or index of which the descriptor is known, from the repository of
    /// `reference`.
    ///
    /// # Errors
    /// As [`Client::resolve`]; also when size or media type are not the descriptor's.
    pub async fn manifest_by_descriptor(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Resolved, Error> {
        let exact = reference.without_tag().with_digest(descriptor.digest);
        let resolved = self.resolve(&exact).await?;
        let at = || {
            let endpoint = self.wire.endpoints.for_push(reference.domain());
            Box::new(endpoint.at(&exact))
        };
        if resolved.descriptor.size != descriptor.size {
            return Err(Error::Size {
                at: at(),
                expected: descriptor.size,
                found: resolved.descriptor.size,
            });
        }
        // The descriptor is trusted; a registry may have lost the type.
        let document = Document::parse(&resolved.bytes, Some(&descriptor.media_type))
            .map_err(|source| Error::Document { at: at(), source })?;
        Ok(Resolved {
            descriptor: descriptor.clone(),
            bytes: resolved.bytes,
            document,
        })
    }

    async fn fetch_document(
        &self,
        endpoint: Arc<Endpoint>,
        reference: &Reference,
    ) -> Result<Resolved, Error> {
        let _slot = slot(&endpoint.requests).await;
        let call = document_call(&endpoint, reference, Method::GET);
        let (response, at) = self.exchange(&call).await?.success(What::Manifest).await?;
        let headers = response.headers().clone();
        refuse_other_types(&at, &headers)?;
        let stall = self.wire.limits.stall_timeout;
        let bytes = read_bounded(&at, MAX_DOCUMENT_SIZE, stall, response).await?;
        let digest = Digest::of(&bytes);
        for expected in [reference.digest(), stated_digest(&headers)]
            .into_iter()
            .flatten()
        {
            if expected != digest {
                return Err(Error::Digest {
                    at: Box::new(at),
                    expected,
                    found: digest,
                });
            }
        }
        let stated = content_type(&headers).map(MediaType::parse);
        let document =
            Document::parse(&bytes, stated.as_ref()).map_err(|source| Error::Document {
                at: Box::new(at),
                source,
            })?;
        let descriptor = Descriptor::new(media_type(stated, &document), digest, bytes.len() as u64);
        Ok(Resolved {
            descriptor,
            bytes,
            document,
        })
    }

    /// `None` when the answer does not say enough.
    async fn head_document(
        &self,
        endpoint: Arc<Endpoint>,
        reference: &Reference,
    ) -> Result<Option<Descriptor>, Error> {
        let _slot = slot(&endpoint.requests).await;
        let call = document_call(&endpoint, reference, Method::HEAD);
        let answer = self.exchange(&call).await?;
        if matches!(answer.response.status().as_u16(), 400 | 405 | 501) {
            return Ok(None);
        }
        let (response, at) = answer.success(What::Manifest).await?;
        let described = described(&response);
        if let (Some(descriptor), Some(expected)) = (&described, reference.digest())
            && descriptor.digest != expected
        {
            return Err(Error::Digest {
                at: Box::new(at),
                expected,
                found: descriptor.digest,
            });
        }
        Ok(described)
    }
}

/// Asks for what `reference` names, in any form that kiln reads.
pub(crate) fn document_call<'a>(
    endpoint: &'a Arc<Endpoint>,
    reference: &Reference,
    method: Method,
) -> Call<'a> {
    let path = format!("manifests/{}", reference.tag_or_digest());
    let mut call = Call::new(endpoint, reference, method, &path);
    call.headers
        .insert(header::ACCEPT, HeaderValue::from_static(ACCEPT));
    call
}

fn described(response: &Response) -> Option<Descriptor> {
    let headers = response.headers();
    let media_type = MediaType::parse(content_type(headers)?);
    let is_document = media_type.is_index() || media_type.is_manifest();
    let size = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    let size = size.parse().ok().filter(|size| *size > 0)?;
    is_document.then_some(Descriptor::new(media_type, stated_digest(headers)?, size))
}

/// The registry's own word for the digest. One that kiln does not compute says nothing.
pub(crate) fn stated_digest(headers: &HeaderMap) -> Option<Digest> {
    headers
        .get(DOCKER_CONTENT_DIGEST)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// A login page of a captive network, or a web server that is no registry.
fn refuse_other_types(at: &At, headers: &HeaderMap) -> Result<(), Error> {
    match content_type(headers) {
        Some(found) if found.starts_with("text/html") => Err(Error::Unexpected {
            at: Box::new(at.clone()),
            found: found.to_owned(),
            expected: "a manifest",
        }),
        _ => Ok(()),
    }
}

/// What the registry says if it is a document's type, else what the document says.
fn media_type(stated: Option<MediaType>, document: &Document) -> MediaType {
    let (own, default) = match document {
        Document::Manifest(manifest) => (&manifest.media_type, MediaType::OciManifest),
        Document::Index(index) => (&index.media_type, MediaType::OciIndex),
    };
    stated
        .filter(|stated| stated.is_index() || stated.is_manifest())
        .or_else(|| own.clone())
        .unwrap_or(default)
}
