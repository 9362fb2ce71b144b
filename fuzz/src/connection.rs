//! A client that says what it was told to, of a daemon in the same process.

use std::sync::Arc;
use std::time::Duration;

use daemon::Daemon;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_util::sync::CancellationToken;

/// Bytes on the way, in one direction: more than a fuzzer's input.
const ROOM: usize = 1 << 20;
/// When a daemon that says nothing has nothing to say.
const SILENCE: Duration = Duration::from_millis(5);
/// How long what is asked for by the target itself may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a daemon that is stopped goes on with what it does.
const GRACE: Duration = Duration::from_millis(1);
/// When it should have ended.
const END: Duration = Duration::from_secs(4);

/// When the client goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// The daemon has to end it.
    WhenStopped,
    /// Before the daemon is stopped.
    First,
    /// When the daemon has closed the connection.
    WhenAnswered,
}

/// What a client hears. It says everything at once.
///
/// # Panics
/// The daemon does not end when it is stopped.
pub async fn converse(daemon: Arc<Daemon>, said: &[u8], leave: Leave) -> Vec<u8> {
    let (mut client, other) = tokio::io::duplex(ROOM);
    let stop = CancellationToken::new();
    let served = daemon::serve_one(other, daemon, stop.clone(), GRACE);
    let speaking = async {
        let mut heard = Vec::new();
        // A daemon that has heard enough has closed the connection.
        let _ = client.write_all(said).await;
        let patience = match leave {
            Leave::WhenAnswered => PATIENCE,
            Leave::WhenStopped | Leave::First => SILENCE,
        };
        listen(&mut client, &mut heard, patience).await;
        if leave == Leave::First {
            let _ = client.shutdown().await;
            listen(&mut client, &mut heard, SILENCE).await;
        }
        stop.cancel();
        listen(&mut client, &mut heard, END).await;
        heard
    };
    let both = async { tokio::join!(served, speaking).1 };
    let ended = tokio::time::timeout(END, both).await;
    ended.expect("a daemon that is stopped ends")
}

/// Hears what the daemon says until it has said nothing for as long as `patience`.
async fn listen(client: &mut DuplexStream, heard: &mut Vec<u8>, patience: Duration) {
    while let Ok(Ok(1..)) = tokio::time::timeout(patience, client.read_buf(heard)).await {}
}

/// An archive of one file.
#[must_use]
pub fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut head = [0; 512];
    head[..name.len()].copy_from_slice(name.as_bytes());
    let size = format!("{:011o}", content.len());
    for (at, text) in [
        (100, "0000644"),
        (108, "0000000"),
        (116, "0000000"),
        (124, &size),
    ] {
        head[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    head[136..147].copy_from_slice(b"00000000000");
    head[156] = b'0';
    head[257..265].copy_from_slice(b"ustar\x0000");
    head[148..156].fill(b' ');
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut all = [&head, content].concat();
    all.resize(all.len().next_multiple_of(512) + 1024, 0);
    all
}
