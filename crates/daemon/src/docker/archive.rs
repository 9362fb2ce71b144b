//! Files in and out of containers, as tars.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::Overwrite;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};

use super::Daemon;
use crate::answer::{Answer, Refusal, empty, typed, with};
use crate::query::Query;
use crate::{stream, view};

impl Daemon {
    /// `HEAD`: what is at a path.
    pub(super) async fn stat(
        self: &Arc<Self>,
        name: &str,
        query: Query,
    ) -> Result<Answer, Refusal> {
        let mut answer = empty(StatusCode::OK);
        self.tell_stat(&mut answer, name, &path(query)?).await?;
        Ok(answer)
    }

    /// `GET`: what is at a path, and below.
    pub(super) async fn read(
        self: &Arc<Self>,
        name: &str,
        query: Query,
    ) -> Result<Answer, Refusal> {
        let path = path(query)?;
        let (sender, body) = stream::channel();
        let mut answer = with(StatusCode::OK, body);
        self.tell_stat(&mut answer, name, &path).await?;
        typed(&mut answer, "application/x-tar");
        let engine = self.with(Ok).await?;
        let (name, told) = (name.to_owned(), sender.clone());
        let output = told.clone().blocking();
        self.go_on(&sender, move || async move {
            if engine.container_read(&name, &path, output).await.is_err() {
                told.break_off().await;
            }
        });
        Ok(answer)
    }

    /// `PUT`: unpacks a tar at a path.
    pub(super) async fn write(
        self: &Arc<Self>,
        name: &str,
        mut query: Query,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        let overwrite = if query.flag("noOverwriteDirNonDir") {
            Overwrite::SameKind
        } else {
            Overwrite::Anything
        };
        let path = path(query)?;
        self.check_unmounted(name, &path).await?;
        let engine = self.with(Ok).await?;
        engine
            .container_write(name, &path, overwrite, stream::reader(body))
            .await?;
        Ok(empty(StatusCode::OK))
    }

    /// What is mounted in a container is not among its files.
    async fn check_unmounted(self: &Arc<Self>, name: &str, path: &str) -> Result<(), Refusal> {
        let container = self.find(name).await?;
        let settings = container.settings;
        let full = Path::new("/").join(&settings.cwd).join(path);
        let mut mounts = settings.more.mounts.iter();
        match mounts.find(|mount| full.starts_with(&mount.target)) {
            Some(mount) => Err(Refusal::not_provided(&format!(
                "copying from or to {}, which is mounted,",
                mount.target
            ))),
            None => Ok(()),
        }
    }

    async fn tell_stat(
        self: &Arc<Self>,
        answer: &mut Answer,
        name: &str,
        path: &str,
    ) -> Result<(), Refusal> {
        self.check_unmounted(name, path).await?;
        let engine = self.with(Ok).await?;
        let stat = view::path_stat(engine.container_stat(name, path).await?);
        // Texts and numbers are always written.
        let text = STANDARD.encode(serde_json::to_vec(&stat).unwrap_or_default());
        if let Ok(value) = HeaderValue::from_str(&text) {
            let header = HeaderName::from_static("x-docker-container-path-stat");
            answer.headers_mut().insert(header, value);
        }
        Ok(())
    }
}

fn path(mut query: Query) -> Result<String, Refusal> {
    let path = query.required("path")?;
    query.end()?;
    Ok(path)
}
