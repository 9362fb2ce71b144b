//! Running `docker-credential-NAME get`: the one place where this crate starts a program.
//!
//! Protocol: the server on standard input; JSON on standard output; a failure is a message on
//! standard output and an exit code that is not 0.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Child;

use crate::{Credential, Secret};

/// The name under which a helper hands out an identity token.
const TOKEN_USER: &str = "<token>";
/// What a helper says when it has nothing, in the protocol's own words.
const NOT_FOUND: &str = "credentials not found";

/// Why a credential helper gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// The config names something that is no program's name.
    #[error("invalid credential helper name {0:?}")]
    Name(String),
    /// No directory of the search path has it.
    #[error("{program} is not in PATH")]
    Missing {
        /// `docker-credential-NAME`.
        program: String,
    },
    /// It could not be started or talked to.
    #[error("cannot run {program}")]
    Run {
        /// `docker-credential-NAME`.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("{program} gave no answer for {} s", after.as_secs_f32())]
    Timeout {
        /// `docker-credential-NAME`.
        program: String,
        /// The limit.
        after: Duration,
    },
    /// It failed, and says so.
    #[error("{program} failed: {message}")]
    Failed {
        /// `docker-credential-NAME`.
        program: String,
        /// What it says.
        message: String,
    },
    /// Its answer is no credential.
    #[error("{program} gave an answer that is no credential")]
    Answer {
        /// `docker-credential-NAME`.
        program: String,
    },
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks `docker-credential-{name}`, the first of that name in `path`, for the credential of
/// `server`; [`Credential::Anonymous`] when it has none. The program is killed when this is
/// dropped.
///
/// # Errors
/// The program cannot be run, fails, or does not answer.
pub async fn run_helper(
    name: &str,
    server: &str,
    path: &[PathBuf],
    timeout: Duration,
) -> Result<Credential, HelperError> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(HelperError::Name(name.to_owned()));
    }
    let program = format!("docker-credential-{name}");
    let output = match tokio::time::timeout(timeout, get(&program, server, path)).await {
        Ok(Ok(Some(output))) => output,
        Ok(Ok(None)) => return Err(HelperError::Missing { program }),
        Ok(Err(source)) => return Err(HelperError::Run { program, source }),
        Err(_) => {
            return Err(HelperError::Timeout {
                program,
                after: timeout,
            });
        }
    };
    read(program, &output)
}

/// `None` when no directory has the program.
async fn get(program: &str, server: &str, path: &[PathBuf]) -> io::Result<Option<Output>> {
    for directory in path {
        match start(&directory.join(program)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(child) => return talk(child, server).await.map(Some),
        }
    }
    Ok(None)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that runs credential helpers"
)]
fn start(program: &Path) -> io::Result<Child> {
    tokio::process::Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

async fn talk(mut child: Child, server: &str) -> io::Result<Output> {
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(format!("{server}\n").as_bytes()).await {
            // It may answer without reading.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    child.wait_with_output().await
}

fn read(program: String, output: &Output) -> Result<Credential, HelperError> {
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return if text.contains(NOT_FOUND) {
            Ok(Credential::Anonymous)
        } else {
            Err(HelperError::Failed {
                program,
                message: text.trim().chars().take(200).collect(),
            })
        };
    }
    let Ok(Answer { username, secret }) = serde_json::from_slice(&output.stdout) else {
        return Err(HelperError::Answer { program });
    };
    Ok(match (username.as_str(), secret.as_str()) {
        ("", "") => Credential::Anonymous,
        (TOKEN_USER | "", _) => Credential::IdentityToken(Secret::new(secret)),
        _ => Credential::Basic {
            username,
            password: Secret::new(secret),
        },
    })
}
