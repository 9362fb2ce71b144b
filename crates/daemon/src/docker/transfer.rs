//! Images in and out: pull, load, save.

use std::sync::Arc;

use api::docker::Message;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use engine::events::channel;
use engine::{Engine, EngineError};
use hyper::body::Incoming;
use hyper::{HeaderMap, StatusCode};
use oci::{Platform, Reference};
use serde_json::Value;

use super::images::reference;
use super::{Daemon, narration};
use crate::answer::{Answer, Refusal, typed, with};
use crate::query::Query;
use crate::stream::{self, Sender};

impl Daemon {
    /// `POST /images/create`.
    pub(super) async fn pull(
        self: &Arc<Self>,
        mut query: Query,
        headers: &HeaderMap,
    ) -> Result<Answer, Refusal> {
        refuse_credentials(headers)?;
        let name = query.required("fromImage")?;
        let tag = query.one("tag");
        let platform = match query.one("platform") {
            Some(text) => text
                .parse()
                .map_err(|_| Refusal::bad(format!("invalid platform {text:?}")))?,
            None => Platform::host(),
        };
        query.end()?;
        let reference = reference(&name, tag.as_deref())?;
        let engine = self.with(Ok).await?;
        let (sender, body) = stream::channel();
        let told = sender.clone();
        self.go_on(&sender, move || async move {
            if let Err(error) = pull(&engine, &reference, &platform, &told).await {
                told.send(Message::error(&error.chain(), None).line()).await;
            }
        });
        Ok(streamed(body))
    }

    /// `POST /images/load`.
    pub(super) async fn load(
        self: &Arc<Self>,
        mut query: Query,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        // It is about how far loading has come, of which nothing is told.
        query.flag("quiet");
        query.end()?;
        let engine = self.with(Ok).await?;
        let loaded = engine.load(stream::reader(body)).await?;
        let (sender, body) = stream::channel();
        let told = sender.clone();
        self.go_on(&sender, move || async move {
            for name in &loaded {
                let shown = match name.tag() {
                    Some(_) => format!("Loaded image: {}\n", name.familiar()),
                    None => format!("Loaded image ID: {}\n", name.familiar()),
                };
                told.send(Message::text(shown).line()).await;
            }
        });
        Ok(streamed(body))
    }

    /// `GET /images/get`.
    pub(super) async fn save(self: &Arc<Self>, names: Vec<String>) -> Result<Answer, Refusal> {
        if names.is_empty() {
            return Err(Refusal::bad("no image to save was named"));
        }
        // What is not there is told while there is a status to tell it by.
        let (engine, names) = self
            .with(move |engine| {
                for name in &names {
                    engine.inspect_image(name)?;
                }
                Ok((engine, names))
            })
            .await?;
        let (sender, body) = stream::channel();
        let told = sender.clone();
        let output = told.clone().blocking();
        self.go_on(&sender, move || async move {
            if engine.save(&names, output).await.is_err() {
                told.break_off().await;
            }
        });
        let mut answer = with(StatusCode::OK, body);
        typed(&mut answer, "application/x-tar");
        Ok(answer)
    }
}

async fn pull(
    engine: &Engine,
    reference: &Reference,
    platform: &Platform,
    told: &Sender,
) -> Result<(), EngineError> {
    let tag = reference.tag().unwrap_or("latest").to_owned();
    let from = format!("Pulling from {}", reference.repository());
    let first = Message::Status {
        status: from,
        id: Some(tag),
    };
    told.send(first.line()).await;
    let before = engine.inspect_image(&reference.to_string()).ok();
    let (progress, mut events) = channel(narration::LOG_BYTES);
    let pulled = async move { engine.pull(reference, platform, &progress).await };
    // What is told of layers is not passed on; the end is.
    let digest = tokio::join!(pulled, async { while events.recv().await.is_some() {} }).0?;
    told.send(Message::status(format!("Digest: {digest}")).line())
        .await;
    let name = reference.familiar();
    let state = match before {
        Some(before) if before.summary.digest == digest => {
            format!("Status: Image is up to date for {name}")
        }
        _ => format!("Status: Downloaded newer image for {name}"),
    };
    told.send(Message::status(state).line()).await;
    Ok(())
}

/// Clients send what their own configuration has for a registry.
///
/// # Errors
/// They send credentials, which kiln does not pass on.
pub(super) fn refuse_credentials(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(header) = headers
        .get("x-registry-auth")
        .or(headers.get("x-registry-config"))
    else {
        return Ok(());
    };
    let decoders = [&STANDARD, &URL_SAFE, &URL_SAFE_NO_PAD];
    let decoded = decoders
        .iter()
        .find_map(|decoder| decoder.decode(header.as_bytes()).ok());
    let document: Option<Value> = decoded.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if document.is_none_or(|document| has_secret(&document)) {
        return Err(Refusal::not_provided(
            "a registry's credentials from clients (put them in the config.json of the daemon's user)",
        ));
    }
    Ok(())
}

fn has_secret(document: &Value) -> bool {
    const SECRETS: [&str; 5] = [
        "auth",
        "password",
        "identitytoken",
        "registrytoken",
        "username",
    ];
    match document {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            let filled = value.as_str().is_some_and(|text| !text.is_empty());
            (filled && SECRETS.contains(&name.as_str())) || has_secret(value)
        }),
        _ => false,
    }
}

/// An answer of documents, one a line.
pub(super) fn streamed(body: crate::answer::Body) -> Answer {
    let mut answer = with(StatusCode::OK, body);
    typed(&mut answer, "application/json");
    answer
}
