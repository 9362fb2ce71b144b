//! Manifests and indexes into a repository, and the list of its tags.

use std::sync::Arc;

use bytes::Bytes;
use oci::{Descriptor, MediaType, Reference};
use reqwest::header::{self, HeaderValue};
use reqwest::{Method, Url};

use crate::auth::Scopes;
use crate::client::slot;
use crate::endpoint::Endpoint;
use crate::error::{What, read_bounded};
use crate::exchange::{Body, Call, Target};
use crate::pull::{document_call, stated_digest};
use crate::{Client, Error};

const MAX_TAGS_PAGE: u64 = 4 << 20;
const MAX_TAGS: usize = 100_000;

impl Client {
    /// Puts a manifest or an index under the tag of `reference`, or under its own digest when
    /// there is no tag.
    ///
    /// # Errors
    /// The registry does not take it, or takes it for something else.
    pub async fn put_manifest(
        &self,
        reference: &Reference,
        media_type: &MediaType,
        bytes: Bytes,
    ) -> Result<Descriptor, Error> {
        let descriptor = Descriptor::of(media_type.clone(), &bytes);
        let put = |endpoint| self.try_put(endpoint, reference, &descriptor, bytes.clone());
        self.on_registry(reference, put).await?;
        Ok(descriptor)
    }

    /// Whether the repository of `reference` itself, and not only a mirror of it, has the manifest or
    /// index that it names.
    ///
    /// # Errors
    /// The registry does not say.
    pub async fn has_manifest(&self, reference: &Reference) -> Result<bool, Error> {
        let ask = |endpoint| self.ask_for_manifest(endpoint, reference);
        self.on_registry(reference, ask).await
    }

    /// The tags of the repository of `reference`, in the registry's order.
    ///
    /// # Errors
    /// The registry does not say.
    pub async fn tags(&self, reference: &Reference) -> Result<Vec<String>, Error> {
        let mut tags = Vec::new();
        let mut next = Some(Target::Path(format!(
            "{}/tags/list",
            reference.repository()
        )));
        while let Some(target) = next {
            let ask = |endpoint| self.page_of_tags(endpoint, reference, target.clone());
            let (page, link) = self.on_registry(reference, ask).await?;
            // A list that never ends, or goes in circles, would be read forever.
            let goes_on = page.last().is_some_and(|last| tags.last() != Some(last));
            if !goes_on {
                break;
            }
            next = link.filter(|_| tags.len() < MAX_TAGS).map(Target::Url);
            tags.extend(page);
        }
        Ok(tags)
    }

    async fn ask_for_manifest(
        &self,
        endpoint: Arc<Endpoint>,
        reference: &Reference,
    ) -> Result<bool, Error> {
        let _slot = slot(&endpoint.requests).await;
        let mut call = document_call(&endpoint, reference, Method::HEAD);
        call.scopes = Scopes::push(reference);
        let answer = self.exchange(&call).await?;
        // A registry that does not answer such a question is sent the manifest.
        if matches!(answer.response.status().as_u16(), 400 | 404 | 405 | 501) {
            return Ok(false);
        }
        answer.success(What::Manifest).await.map(|_| true)
    }

    async fn try_put(
        &self,
        endpoint: Arc<Endpoint>,
        reference: &Reference,
        descriptor: &Descriptor,
        bytes: Bytes,
    ) -> Result<(), Error> {
        let _slot = slot(&endpoint.requests).await;
        let name = match reference.tag() {
            Some(tag) => tag.to_owned(),
            None => descriptor.digest.to_string(),
        };
        if let Some(expected) = reference.digest().filter(|d| *d != descriptor.digest) {
            return Err(Error::Digest {
                at: Box::new(endpoint.at(reference)),
                expected,
                found: descriptor.digest,
            });
        }
        let path = format!("manifests/{name}");
        let mut call = Call::new(&endpoint, reference, Method::PUT, &path);
        call.scopes = Scopes::push(reference);
        let media_type = HeaderValue::try_from(descriptor.media_type.as_str());
        call.headers
            .extend(media_type.ok().map(|text| (header::CONTENT_TYPE, text)));
        call.body = Body::Bytes(bytes);
        let (response, at) = self.exchange(&call).await?.success(What::Manifest).await?;
        match stated_digest(response.headers()) {
            Some(found) if found != descriptor.digest => Err(Error::Digest {
                at: Box::new(at),
                expected: descriptor.digest,
                found,
            }),
            _ => Ok(()),
        }
    }

    async fn page_of_tags(
        &self,
        endpoint: Arc<Endpoint>,
        reference: &Reference,
        target: Target,
    ) -> Result<(Vec<String>, Option<Url>), Error> {
        #[derive(serde::Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let _slot = slot(&endpoint.requests).await;
        let mut call = Call::new(&endpoint, reference, Method::GET, "");
        call.target = target;
        let (response, at) = self.exchange(&call).await?.success(What::Tags).await?;
        let link = response.headers().get(header::LINK);
        let link = link
            .and_then(|value| value.to_str().ok())
            .and_then(next_link)
            .and_then(|link| response.url().join(link).ok());
        let stall = self.wire.limits.stall_timeout;
        let body = read_bounded(&at, MAX_TAGS_PAGE, stall, response).await?;
        let page: Page = serde_json::from_slice(&body).map_err(|_| Error::Unexpected {
            at: Box::new(at),
            found: "something else".to_owned(),
            expected: "a list of tags",
        })?;
        Ok((page.tags.unwrap_or_default(), link))
    }
}

/// The target of `<…>; rel="next"` (RFC 8288).
fn next_link(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters
            .split(';')
            .any(|p| matches!(p.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then_some(target)
    })
}
