//! Front ends in images: processes that speak to whoever asked for them over their standard input
//! and output. They see what a step would see, and nothing of what they change is kept.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use graph::{ExecOp, Mount, MountSource, NetworkMode, Process, SecurityMode};
use sandbox::Stdio;
use tokio::sync::mpsc;

use super::mounts::Prepared;
use super::{start, wait_for};
use crate::cache_mount::Seeds;
use crate::engine::Inner;
use crate::error::{EngineError, ProcessExit};
use crate::op::InputTree;
use crate::output::Stack;
use crate::session::Session;

/// The process of a front end.
#[derive(Debug)]
pub struct FrontEnd {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `KEY=value`, in order.
    pub env: Vec<String>,
    /// Where it starts; made when it is missing.
    pub cwd: String,
    /// It sees no network but a loopback device of its own.
    pub without_network: bool,
    /// Standard input.
    pub stdin: OwnedFd,
    /// Standard output.
    pub stdout: OwnedFd,
    /// Standard error.
    pub stderr: OwnedFd,
}

impl Inner {
    /// Runs a front end on `stack` to its end. Dropping the future kills it.
    pub(crate) async fn front_end(
        self: &Arc<Self>,
        stack: Stack,
        front_end: FrontEnd,
    ) -> Result<ProcessExit, EngineError> {
        let directories = self.snapshots(&stack, None).await?;
        let op = op(&front_end);
        let engine = Arc::clone(self);
        let prepare = move || {
            let root = InputTree::Layers { stack, directories };
            Prepared::new(&engine, &Session::default(), &op, vec![root], Seeds::new())
        };
        let prepared = crate::blocking(prepare).await??;
        let stdio = Stdio::Files {
            stdin: front_end.stdin,
            stdout: front_end.stdout,
            stderr: front_end.stderr,
        };
        let running = start(self, &prepared.spec, stdio).await?;
        let (_nobody, mut signals) = mpsc::channel(1);
        let exit = wait_for(running, &mut signals).await;
        crate::blocking(move || drop(prepared)).await?;
        exit
    }
}

fn op(front_end: &FrontEnd) -> ExecOp {
    ExecOp {
        process: Process {
            args: front_end.args.clone(),
            env: front_end.env.iter().cloned().collect(),
            cwd: front_end.cwd.clone(),
            user: String::new(),
        },
        mounts: vec![Mount {
            target: "/".to_owned(),
            source: MountSource::Bind {
                input: Some(0),
                selector: String::new(),
                output: Some(0),
            },
            read_only: false,
        }],
        network: match front_end.without_network {
            true => NetworkMode::None,
            false => NetworkMode::Default,
        },
        security: SecurityMode::Sandbox,
        devices: Vec::new(),
        extra_hosts: Vec::new(),
        hostname: None,
        shm_size: None,
        ulimits: Vec::new(),
        proxy: std::collections::BTreeMap::new(),
        valid_exit_codes: Vec::new(),
    }
}
