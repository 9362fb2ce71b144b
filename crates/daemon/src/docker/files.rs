//! What a container has beside its image: its changes, its whole file system, an image of both.

use std::sync::Arc;

use engine::{CommitContainer, FileChangeKind};
use hyper::StatusCode;
use hyper::body::Incoming;
use serde_json::json;

use super::images::reference;
use super::{Daemon, created};
use crate::answer::{Answer, Refusal, found, json as document, typed, with};
use crate::query::Query;
use crate::stream;

impl Daemon {
    /// `GET /containers/{id}/changes`.
    pub(super) async fn changes(
        self: &Arc<Self>,
        name: &str,
        query: Query,
    ) -> Result<Answer, Refusal> {
        query.end()?;
        let engine = self.with(Ok).await?;
        let changes = engine.container_changes(name).await?;
        let shown = changes.iter().map(|change| {
            let kind = match change.kind {
                FileChangeKind::Modified => 0,
                FileChangeKind::Added => 1,
                FileChangeKind::Deleted => 2,
            };
            json!({"Path": change.path.display().to_string(), "Kind": kind})
        });
        Ok(found(&shown.collect::<Vec<_>>()))
    }

    /// `GET /containers/{id}/export`.
    pub(super) async fn export(
        self: &Arc<Self>,
        name: &str,
        query: Query,
    ) -> Result<Answer, Refusal> {
        query.end()?;
        let id = self.find(name).await?.id;
        let engine = self.with(Ok).await?;
        let (sender, body) = stream::channel();
        let mut answer = with(StatusCode::OK, body);
        typed(&mut answer, "application/x-tar");
        let told = sender.clone();
        let output = told.clone().blocking();
        self.go_on(&sender, move || async move {
            if engine.container_export(&id, output).await.is_err() {
                told.break_off().await;
            }
        });
        Ok(answer)
    }

    /// `POST /commit`.
    pub(super) async fn commit(
        self: &Arc<Self>,
        mut query: Query,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        let container = query.required("container")?;
        let (repository, tag) = (query.one("repo"), query.one("tag"));
        let name = repository
            .map(|name| reference(&name, tag.as_deref()))
            .transpose()?;
        // A container that runs is refused, so there is nothing to pause.
        query.flag("pause");
        let new = CommitContainer {
            name,
            comment: query.one("comment").unwrap_or_default(),
            author: query.one("author").unwrap_or_default(),
        };
        query.end()?;
        let body = stream::whole(body).await?;
        if !matches!(body.trim_ascii(), b"" | b"null" | b"{}") {
            return Err(Refusal::not_provided(
                "a committed image's own configuration",
            ));
        }
        let engine = self.with(Ok).await?;
        let id = engine.commit_container(&container, &new).await?;
        let found = self.find(&container).await?;
        self.tell_container("commit", &found, &[]);
        Ok(document(created(), &json!({"Id": id.to_string()})))
    }
}
