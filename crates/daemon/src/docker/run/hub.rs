//! Where those who are attached to a run meet it.

use std::sync::Mutex;

use bytes::Bytes;
use engine::OutputStream;
use tokio::sync::{mpsc, watch};

use super::lock;

/// Pieces that may wait for a client, or for the container.
const PIECES: usize = 16;

/// Something that a container wrote.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) stream: OutputStream,
    pub(super) bytes: Bytes,
}

/// Something for a container's standard input.
#[derive(Debug)]
pub(super) enum Input {
    Bytes(Bytes),
    /// There is no more.
    End,
}

/// One run.
#[derive(Debug)]
pub(super) struct Hub {
    /// None once the run has ended.
    clients: Mutex<Option<Vec<mpsc::Sender<Piece>>>>,
    input: mpsc::Sender<Input>,
    /// For the run, when it begins.
    inputs: Mutex<Option<mpsc::Receiver<Input>>>,
    /// Changes whenever something was added to the log; the channel ends with the run.
    logged: Mutex<Option<watch::Sender<u64>>>,
}

impl Hub {
    pub(super) fn new() -> Self {
        let (input, inputs) = mpsc::channel(PIECES);
        Self {
            clients: Mutex::new(Some(Vec::new())),
            input,
            inputs: Mutex::new(Some(inputs)),
            logged: Mutex::new(Some(watch::Sender::new(0))),
        }
    }

    /// What the container writes from now on.
    pub(super) fn output(&self) -> mpsc::Receiver<Piece> {
        let (sender, receiver) = mpsc::channel(PIECES);
        if let Some(clients) = &mut *lock(&self.clients) {
            clients.push(sender);
        }
        receiver
    }

    /// Where the container's standard input is written.
    pub(super) fn input(&self) -> mpsc::Sender<Input> {
        self.input.clone()
    }

    pub(super) fn take_inputs(&self) -> Option<mpsc::Receiver<Input>> {
        lock(&self.inputs).take()
    }

    /// Tells all who are attached, as fast as the slowest of them.
    pub(super) async fn tell(&self, piece: &Piece) {
        let clients = lock(&self.clients).clone().unwrap_or_default();
        for client in &clients {
            // One that is gone is left out from now on.
            let _ = client.send(piece.clone()).await;
        }
        if let Some(clients) = &mut *lock(&self.clients) {
            clients.retain(|client| !client.is_closed());
        }
    }

    /// Tells readers of the log that there is more.
    pub(super) fn tell_logged(&self) {
        if let Some(logged) = &*lock(&self.logged) {
            logged.send_modify(|count| *count += 1);
        }
    }

    /// Changes when there is more in the log, and ends with the run; none if it has ended.
    pub(super) fn logged(&self) -> Option<watch::Receiver<u64>> {
        lock(&self.logged).as_ref().map(watch::Sender::subscribe)
    }

    /// The run has ended.
    pub(super) fn close(&self) {
        lock(&self.clients).take();
        lock(&self.logged).take();
    }
}
