//! `POST /containers/{id}/attach`: a client sees what a container writes from now on, and types.

use std::sync::Arc;

use engine::OutputStream;
use hyper::http::request::Parts;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;

use super::hijack::{self, Connection, Left};
use super::hub::{Hub, Input, Piece};
use super::keys::DetachKeys;
use crate::answer::{Answer, Refusal};
use crate::docker::Daemon;
use crate::query::Query;

/// What a client is attached to.
struct Attachment {
    hub: Arc<Hub>,
    stdin: bool,
    stdout: bool,
    stderr: bool,
    is_terminal: bool,
    /// The container's input ends with the client's.
    once: bool,
    keys: DetachKeys,
}

impl Daemon {
    pub(in crate::docker) async fn attach(
        self: &Arc<Self>,
        name: &str,
        mut query: Query,
        head: &mut Parts,
    ) -> Result<Answer, Refusal> {
        let keys = detach_keys(&mut query)?;
        let is_stream = query.flag("stream");
        let (stdin, stdout, stderr) = (
            query.flag("stdin"),
            query.flag("stdout"),
            query.flag("stderr"),
        );
        query.end()?;
        let upgrade = hijack::upgrade(head)?;
        let container = self.find(name).await?;
        let more = &container.settings.more;
        let attachment = Attachment {
            hub: self.runs.entry(&container.id).hub(),
            stdin: stdin && is_stream && more.open_stdin,
            stdout: stdout && is_stream,
            stderr: stderr && is_stream,
            is_terminal: more.tty,
            once: more.stdin_once,
            keys,
        };
        self.tell_container("attach", &container, &[]);
        let output = attachment.hub.output();
        let answer = hijack::switching(more.tty);
        let cancel = self.cancel.clone();
        self.under_way.spawn(async move {
            // A client that is gone by now is not attached.
            let Ok(connection) = upgrade.await else {
                return;
            };
            tokio::select! {
                () = attachment.serve(TokioIo::new(connection), output) => {}
                () = cancel.cancelled() => {}
            }
        });
        Ok(answer)
    }
}

impl Attachment {
    async fn serve(self, connection: Connection, output: mpsc::Receiver<Piece>) {
        let (from, to) = tokio::io::split(connection);
        let wanted = |stream| match stream {
            OutputStream::Stdout => self.stdout,
            OutputStream::Stderr => self.stderr,
        };
        let sent = hijack::send(to, output, wanted, self.is_terminal);
        let input = self.stdin.then(|| self.hub.input());
        let keys = (self.stdin && self.is_terminal).then(|| self.keys.clone());
        let received = async {
            let left = hijack::receive(from, input.clone(), keys).await;
            if left == Left::Ended {
                if let Some(input) = input.filter(|_| self.once) {
                    let _ = input.send(Input::End).await;
                }
                // It may go on to listen.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = sent => {}
            () = received => {}
        }
    }
}

/// The keys that the client asks for.
fn detach_keys(query: &mut Query) -> Result<DetachKeys, Refusal> {
    let text = query.one("detachKeys").unwrap_or_default();
    let invalid = || Refusal::bad(format!("invalid detach keys ({text}) provided"));
    DetachKeys::parse(&text).ok_or_else(invalid)
}
