//! What is asked of containers.

use std::io::{Read, Write};

use api::docker::{ContainerSummary, CreateContainer, Created, PathStat};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde::Deserialize;

use super::rows::Rows;
use super::{Answer, Asked, Docker, DockerError, MAX_REFUSAL};

/// The header in which is said what is at a path.
const STAT: &str = "x-docker-container-path-stat";

/// How a container ended.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ended {
    /// The exit code of its process.
    status_code: i64,
    /// Why that is not known.
    #[serde(default)]
    error: Option<Unknown>,
}

/// Why it is not known how a container ended.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Unknown {
    /// In words.
    #[serde(default)]
    message: String,
}

/// A container's end, which is waited for.
pub struct Waiting {
    docker: Docker,
    answer: Answer,
}

impl Docker {
    /// Containers: those that run, or `all`.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn containers(&self, all: bool) -> Result<Vec<ContainerSummary>, DockerError> {
        let asked = Asked::new(Method::GET, "/containers/json");
        let Rows(containers) = self.document(asked.when("all", all)).await?;
        Ok(containers)
    }

    /// All that is known of a container: the document as it came.
    ///
    /// # Errors
    /// There is none.
    pub async fn container(&self, name: &str) -> Result<String, DockerError> {
        self.text_of(Asked::container(Method::GET, name, "json")?)
            .await
    }

    /// Creates a container and does not start it; its ID.
    ///
    /// # Errors
    /// There is no such image, the name is taken, or it asks for what the daemon does not have.
    pub async fn create_container(
        &self,
        new: &CreateContainer,
        name: Option<&str>,
    ) -> Result<String, DockerError> {
        let asked = Asked::new(Method::POST, "/containers/create").maybe("name", name);
        let created: Created = self.document(asked.json(new)).await?;
        Ok(created.id)
    }

    /// Removes a container.
    ///
    /// # Errors
    /// There is none, or it runs.
    pub async fn remove_container(
        &self,
        name: &str,
        force: bool,
        volumes: bool,
    ) -> Result<(), DockerError> {
        let asked = Asked::container(Method::DELETE, name, "")?;
        let asked = asked.when("force", force).when("v", volumes);
        self.send(asked).await.map(drop)
    }

    /// What is at a path of a container.
    ///
    /// # Errors
    /// There is no such container, or nothing is there.
    pub async fn path_stat(&self, name: &str, path: &str) -> Result<PathStat, DockerError> {
        let asked = Asked::container(Method::HEAD, name, "archive")?;
        let answer = self.send(asked.with("path", path)).await?;
        let header = answer.response.headers().get(STAT);
        let bytes = header.and_then(|header| STANDARD.decode(header.as_bytes()).ok());
        let stat = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        stat.ok_or_else(|| self.strange(format!("no {STAT}")))
    }

    /// Writes what is at a path of a container, and below, as a tar. May block.
    ///
    /// # Errors
    /// Nothing is there, or the tar broke off.
    pub async fn read_path(
        &self,
        name: &str,
        path: &str,
        output: impl Write,
    ) -> Result<(), DockerError> {
        let asked = Asked::container(Method::GET, name, "archive")?;
        let answer = self.send(asked.with("path", path)).await?;
        self.save_to(answer, output).await
    }

    /// Unpacks a tar in a directory of a container, where nothing becomes another kind of file.
    ///
    /// # Errors
    /// There is no such directory, or the tar is none.
    pub async fn write_path(
        &self,
        name: &str,
        path: &str,
        input: impl Read + Send + 'static,
    ) -> Result<(), DockerError> {
        let asked = Asked::container(Method::PUT, name, "archive")?;
        let asked = asked.with("path", path).when("noOverwriteDirNonDir", true);
        self.upload(asked, input).await.map(drop)
    }

    /// Starts a container.
    ///
    /// # Errors
    /// There is none, or its process cannot be started.
    pub async fn start(&self, name: &str) -> Result<(), DockerError> {
        let asked = Asked::container(Method::POST, name, "start")?;
        self.send(asked).await.map(drop)
    }

    /// Sends a signal to the container's process.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill(&self, name: &str, signal: i32) -> Result<(), DockerError> {
        let asked = Asked::container(Method::POST, name, "kill")?;
        let asked = asked.with("signal", &signal.to_string());
        self.send(asked).await.map(drop)
    }

    /// Makes the container's terminal so large.
    ///
    /// # Errors
    /// It does not run.
    pub async fn resize(&self, name: &str, rows: u16, columns: u16) -> Result<(), DockerError> {
        let asked = Asked::container(Method::POST, name, "resize")?;
        let asked = asked.with("h", &rows.to_string());
        self.send(asked.with("w", &columns.to_string()))
            .await
            .map(drop)
    }

    /// From now on waits for `condition`, as Docker calls it; nothing that happens later is missed.
    ///
    /// # Errors
    /// There is no such container.
    pub async fn wait(&self, name: &str, condition: &str) -> Result<Waiting, DockerError> {
        let asked = Asked::container(Method::POST, name, "wait")?;
        let answer = self.send(asked.with("condition", condition)).await?;
        Ok(Waiting {
            docker: self.clone(),
            answer,
        })
    }
}

impl Waiting {
    /// The exit code of its process, when that has ended.
    ///
    /// # Errors
    /// The daemon is gone, or does not know how it ended.
    pub async fn ended(self) -> Result<i64, DockerError> {
        let text = self.docker.text(self.answer, MAX_REFUSAL).await?;
        let ended: Result<Ended, _> = serde_json::from_str(&text);
        let ended = ended.map_err(|error| self.docker.strange(error))?;
        match ended.error.map(|unknown| unknown.message) {
            Some(message) if !message.is_empty() => Err(DockerError::Failed(message)),
            _ => Ok(ended.status_code),
        }
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting")
    }
}
