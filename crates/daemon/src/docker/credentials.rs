//! Credentials that clients send. They are used for the request that they come with, and for the
//! registries that they are for; the daemon keeps none.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use engine::Engine;
use hyper::body::Incoming;
use hyper::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::Daemon;
use crate::answer::{Answer, Refusal, found};
use crate::query::Query;
use crate::stream;

/// Gives the engine what the client sent with a request about images of `domain`.
///
/// # Errors
/// It is malformed.
pub(super) fn offer(engine: &Engine, headers: &HeaderMap, domain: &str) -> Result<(), Refusal> {
    let mut auths = Map::new();
    if let Some(Value::Object(all)) = header(headers, "x-registry-config")? {
        auths.extend(all);
    }
    if let Some(one) = header(headers, "x-registry-auth")?
        && says_something(&one)
    {
        auths.insert(domain.to_owned(), one);
    }
    if auths.is_empty() {
        return Ok(());
    }
    let text = json!({ "auths": auths }).to_string();
    let invalid = |_| Refusal::bad("invalid credentials in a header");
    engine.offer_credentials(&text).map_err(invalid)
}

fn header(headers: &HeaderMap, name: &str) -> Result<Option<Value>, Refusal> {
    let Some(header) = headers.get(name).filter(|header| !header.is_empty()) else {
        return Ok(None);
    };
    let decoders = [&URL_SAFE, &URL_SAFE_NO_PAD, &STANDARD];
    let bytes = decoders
        .iter()
        .find_map(|decoder| decoder.decode(header.as_bytes()).ok());
    let document = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let invalid = || Refusal::bad(format!("invalid {name} header"));
    document.map(Some).ok_or_else(invalid)
}

/// Clients send an empty document when they have nothing.
fn says_something(one: &Value) -> bool {
    const FIELDS: [&str; 5] = [
        "auth",
        "password",
        "identitytoken",
        "registrytoken",
        "username",
    ];
    let filled = |name: &str| one[name].as_str().is_some_and(|text| !text.is_empty());
    FIELDS.into_iter().any(filled)
}

impl Daemon {
    /// `POST /auth`: whether a registry takes credentials.
    pub(super) async fn log_in(
        self: &Arc<Self>,
        query: Query,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        query.end()?;
        let asked: Value = stream::document(body, "credentials").await?;
        let server = asked["serveraddress"].as_str().unwrap_or_default();
        let domain = domain(server).to_owned();
        let engine = self.with(Ok).await?;
        let text = json!({ "auths": { domain.clone(): asked } }).to_string();
        let invalid = |_| Refusal::bad("invalid credentials");
        engine.offer_credentials(&text).map_err(invalid)?;
        let refused =
            |error: engine::EngineError| Refusal::new(StatusCode::UNAUTHORIZED, error.chain());
        engine.log_in(&domain).await.map_err(refused)?;
        Ok(found(
            &json!({"Status": "Login Succeeded", "IdentityToken": ""}),
        ))
    }
}

/// The domain of a registry's address, as names of images have it.
fn domain(server: &str) -> &str {
    let bare = server
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    match bare.split('/').next().unwrap_or_default() {
        "" | "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}
