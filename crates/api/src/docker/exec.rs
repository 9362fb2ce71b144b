//! Further processes in containers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of `POST /containers/{id}/exec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateExec {
    /// Whether standard input comes from the client.
    pub attach_stdin: bool,
    /// Whether standard output goes to the client.
    pub attach_stdout: bool,
    /// Whether standard error goes to the client.
    pub attach_stderr: bool,
    /// Which keys detach.
    pub detach_keys: String,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Rows and columns of the terminal.
    pub console_size: Option<[u16; 2]>,
    /// `NAME=value`.
    pub env: Option<Vec<String>>,
    /// Program and arguments.
    pub cmd: Vec<String>,
    /// Who.
    pub user: String,
    /// Where.
    pub working_dir: String,
    /// What else was asked for.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// The body of `POST /exec/{id}/start`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StartExec {
    /// Whether the client does not wait.
    pub detach: bool,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Rows and columns of the terminal.
    pub console_size: Option<[u16; 2]>,
}

/// `GET /exec/{id}/json`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Exec {
    /// 64 hexadecimal characters.
    #[serde(rename = "ID")]
    pub id: String,
    /// Whether it runs.
    pub running: bool,
    /// How it ended.
    pub exit_code: Option<i32>,
    /// What it runs.
    pub process_config: ExecProcess,
    /// Whether standard input comes from a client.
    pub open_stdin: bool,
    /// Whether standard error goes to a client.
    pub open_stderr: bool,
    /// Whether standard output goes to a client.
    pub open_stdout: bool,
    /// Whether it can be removed.
    pub can_remove: bool,
    /// Where it runs.
    #[serde(rename = "ContainerID")]
    pub container_id: String,
    /// Its process; 0 where there is none.
    pub pid: i32,
}

/// What a further process runs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "lowercase")]
pub struct ExecProcess {
    /// Whether it has a terminal.
    pub tty: bool,
    /// The program.
    pub entrypoint: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Never.
    pub privileged: bool,
    /// Who.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
}
