//! Images in and out: pull, load, save.

use std::sync::Arc;

use api::docker::Message;
use engine::events::{Progress, ProgressReceiver, channel};
use engine::{Engine, EngineError};
use hyper::body::Incoming;
use hyper::{HeaderMap, StatusCode};
use oci::{Platform, Reference};
use tokio::sync::oneshot;

use super::images::reference;
use super::{Daemon, credentials, narration};
use crate::answer::{Answer, Refusal, typed, with};
use crate::query::Query;
use crate::stream::{self, Sender};
use crate::view;

impl Daemon {
    /// `POST /images/create`.
    pub(super) async fn pull(
        self: &Arc<Self>,
        mut query: Query,
        headers: &HeaderMap,
    ) -> Result<Answer, Refusal> {
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
        credentials::offer(&engine, headers, reference.domain())?;
        let (sender, body) = stream::channel();
        let told = sender.clone();
        let daemon = Arc::clone(self);
        let (begin, begun) = oneshot::channel();
        self.go_on(&sender, move || async move {
            let mut pulling = Pulling {
                begin: Some(begin),
                told,
            };
            match pulling.pull(&engine, &reference, &platform).await {
                Ok(()) => {
                    let name = reference.familiar();
                    let attributes = [("name".to_owned(), name.clone())].into();
                    daemon.tell("image", "pull", &name, attributes);
                }
                Err(error) => pulling.fail(error).await,
            }
        });
        // What cannot even begin is told while there is a status to tell it by.
        match begun.await {
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(())) | Err(_) => Ok(streamed(body)),
        }
    }

    /// `POST /images/{name}/push`: one tag, or all of the repository's.
    pub(super) async fn push(
        self: &Arc<Self>,
        name: String,
        mut query: Query,
        headers: &HeaderMap,
    ) -> Result<Answer, Refusal> {
        let tag = query.one("tag");
        if query.one("platform").is_some() {
            return Err(Refusal::not_provided("pushing one platform of several"));
        }
        query.end()?;
        let wanted = reference(&name, tag.as_deref())?;
        let engine = self.with(Ok).await?;
        credentials::offer(&engine, headers, wanted.domain())?;
        let all = tag.is_none();
        let missing = wanted.clone();
        let (engine, names) = self
            .with(move |_| {
                let mut names: Vec<Reference> = engine
                    .images()?
                    .into_iter()
                    .filter_map(|image| image.reference)
                    .filter(|known| {
                        *known == wanted || (all && known.familiar_name() == wanted.familiar_name())
                    })
                    .collect();
                names.sort_by_key(Reference::familiar);
                Ok((engine, names))
            })
            .await?;
        if names.is_empty() {
            let kind = if all {
                missing.familiar_name()
            } else {
                missing.familiar()
            };
            let message = format!("An image does not exist locally with the tag: {kind}");
            return Err(Refusal::new(StatusCode::NOT_FOUND, message));
        }
        let (sender, body) = stream::channel();
        let told = sender.clone();
        let daemon = Arc::clone(self);
        self.go_on(&sender, move || async move {
            for name in &names {
                if let Err(error) = push(&engine, name, &told).await {
                    told.send(Message::error(&error.chain(), None).line()).await;
                    return;
                }
                let familiar = name.familiar();
                let attributes = [("name".to_owned(), familiar.clone())].into();
                daemon.tell("image", "push", &familiar, attributes);
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
                let shown = format!("{}\n", view::loaded(name));
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

/// A pull, of which the client hears once it has begun.
struct Pulling {
    begin: Option<oneshot::Sender<Result<(), EngineError>>>,
    told: Sender,
}

impl Pulling {
    async fn pull(
        &mut self,
        engine: &Engine,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<(), EngineError> {
        let before = engine.inspect_image(&reference.to_string()).ok();
        let (progress, mut events) = channel(narration::LOG_BYTES);
        let pulled = async move { engine.pull(reference, platform, &progress).await };
        let words = Words {
            begun: "Pulling fs layer",
            goes_on: "Downloading",
            done: "Pull complete",
        };
        let telling = async {
            while let Some(event) = events.recv().await {
                if let Some(message) = words.message(event) {
                    self.begin(reference).await;
                    self.told.send(message.line()).await;
                }
            }
        };
        let digest = tokio::join!(pulled, telling).0?;
        self.begin(reference).await;
        let name = reference.familiar();
        let state = match before {
            Some(before) if before.summary.digest == digest => {
                format!("Status: Image is up to date for {name}")
            }
            _ => format!("Status: Downloaded newer image for {name}"),
        };
        for status in [format!("Digest: {digest}"), state] {
            self.told.send(Message::status(status).line()).await;
        }
        Ok(())
    }

    async fn begin(&mut self, reference: &Reference) {
        let Some(begin) = self.begin.take() else {
            return;
        };
        // A client that is gone hears nothing.
        let _ = begin.send(Ok(()));
        let first = Message::Status {
            status: format!("Pulling from {}", reference.repository()),
            id: Some(reference.tag().unwrap_or("latest").to_owned()),
        };
        self.told.send(first.line()).await;
    }

    async fn fail(self, error: EngineError) {
        match self.begin {
            Some(begin) => drop(begin.send(Err(error))),
            None => {
                let message = Message::error(&error.chain(), None);
                self.told.send(message.line()).await;
            }
        }
    }
}

async fn push(engine: &Engine, name: &Reference, told: &Sender) -> Result<(), EngineError> {
    let to = format!("{}/{}", name.domain(), name.repository());
    let first = format!("The push refers to repository [{to}]");
    told.send(Message::status(first).line()).await;
    let (progress, mut events) = channel(narration::LOG_BYTES);
    let pushed = async move { engine.push(name, &progress).await };
    let words = Words {
        begun: "Preparing",
        goes_on: "Pushing",
        done: "Pushed",
    };
    let manifest = tokio::join!(pushed, words.tell(&mut events, told)).0?;
    let tag = name.tag().unwrap_or("latest");
    let (digest, size) = (manifest.digest, manifest.size);
    let last = format!("{tag}: digest: {digest} size: {size}");
    told.send(Message::status(last).line()).await;
    told.send(Message::pushed(tag, &digest.to_string(), size).line())
        .await;
    Ok(())
}

/// What is said of a layer on its way.
struct Words {
    begun: &'static str,
    goes_on: &'static str,
    done: &'static str,
}

impl Words {
    /// Tells how far the layers are until there is no more to tell.
    async fn tell(&self, events: &mut ProgressReceiver, told: &Sender) {
        while let Some(event) = events.recv().await {
            if let Some(message) = self.message(event) {
                // A client that is gone ends the transfer by other means.
                told.send(message.line()).await;
            }
        }
    }

    fn message(&self, event: Progress) -> Option<Message> {
        let Progress::Status { status, .. } = event else {
            return None;
        };
        let (_, hex) = status.id.split_once("sha256:")?;
        let id: String = hex.chars().take(12).collect();
        let word = match (status.done, status.current) {
            (true, _) => self.done,
            (false, 0) => self.begun,
            (false, _) => self.goes_on,
        };
        let amount = (word == self.goes_on).then_some((status.current, status.total));
        Some(Message::progress(&id, word, amount))
    }
}

/// An answer of documents, one a line.
pub(super) fn streamed(body: crate::answer::Body) -> Answer {
    let mut answer = with(StatusCode::OK, body);
    typed(&mut answer, "application/json");
    answer
}
