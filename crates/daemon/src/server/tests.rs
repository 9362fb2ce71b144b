//! Connections: what becomes of them by their first bytes, and their patience.

use engine::{EngineError, SystemClock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::docker::Identity;

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(10);
const HTTP2: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &str = "\0\0\0\x04\0\0\0\0\0";

/// A daemon without a store.
fn daemon() -> Arc<Daemon> {
    let identity = Identity {
        version: "0",
        root: "/nowhere".into(),
        traces: None,
        clock: Arc::new(SystemClock),
    };
    let open = || Err(EngineError::LostThread);
    Daemon::new(Box::new(open), identity, Box::new(drop))
}

/// What a client hears that says this and then nothing, while the daemon is stopped.
async fn heard(said: &str) -> String {
    let (mut client, other) = tokio::io::duplex(1 << 20);
    let stop = CancellationToken::new();
    let daemon = daemon();
    let served = serve_one(other, daemon, stop.clone(), Duration::from_millis(50));
    let speaking = async {
        client.write_all(said.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.cancel();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        String::from_utf8_lossy(&heard).into_owned()
    };
    let both = async { tokio::join!(served, speaking) };
    let ended = tokio::time::timeout(LONG, both).await;
    ended.unwrap_or_else(|_| panic!("no end after {said:?}")).1
}

fn upgrade(path: &str, more: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: kiln\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n{more}\r\n"
    )
}

#[tokio::test]
async fn connections_become_http2_or_end() {
    let id = "X-Docker-Expose-Session-Uuid: x\r\n";
    let garbage = "\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    let settings = format!("{HTTP2}{SETTINGS}");
    for (said, status) in [
        (upgrade("/grpc", "") + &settings, "101"),
        (upgrade("/grpc", "") + garbage, "101"),
        (upgrade("/grpc", ""), "101"),
        (upgrade("/session", id) + SETTINGS, "101"),
        (upgrade("/session", id) + garbage, "101"),
        (upgrade("/session", ""), "400"),
        (upgrade("/grpc", "").replace("h2c", "tcp"), "400"),
        (upgrade("/containers/x/attach", ""), "500"),
    ] {
        let heard = heard(&said).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(heard.starts_with(&expected), "{said:?}: {heard:?}");
    }
}

/// How long a client is waited for that says this and then nothing.
async fn patience(said: &str) -> Duration {
    let (mut client, other) = tokio::io::duplex(1 << 20);
    let begun = tokio::time::Instant::now();
    let served = serve_one(other, daemon(), CancellationToken::new(), Duration::ZERO);
    let speaking = async {
        client.write_all(said.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        begun.elapsed()
    };
    tokio::select! {
        () = served => panic!("the daemon ended"),
        waited = speaking => waited,
    }
}

/// The clock goes on as soon as nothing else does.
#[tokio::test(start_paused = true)]
async fn half_a_beginning_keeps_no_place() {
    let whole = format!("{HTTP2}{SETTINGS}");
    for (said, limit) in [
        ("", 30),
        ("P", 30),
        ("PRI * HTTP/2.0\r\n\r\nSM", 30),
        ("PRI * HTTP/1.1\r\n", 30),
        ("GET /_ping HTTP/1.1\r\nHost: ki", 30),
        (&(upgrade("/grpc", "") + "PRI * HT"), 30),
        (&upgrade("/grpc", ""), 30),
        // These are asked whether they are there, and do not answer.
        (HTTP2, 50),
        (&whole, 50),
        (&(upgrade("/grpc", "") + &whole), 50),
    ] {
        let waited = patience(said).await.as_secs();
        assert!((limit..=limit + 1).contains(&waited), "{said:?}: {waited}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_go_on_does_not_keep_the_daemon() {
    let length = "Content-Length: 9\r\n";
    for said in [
        "",
        "PRI * HT",
        "GET /_ping",
        &format!("POST /containers/create HTTP/1.1\r\nHost: kiln\r\n{length}\r\n{{"),
        &format!("POST /build HTTP/1.1\r\nHost: kiln\r\n{length}\r\n"),
        &upgrade("/session", length),
        &format!("{HTTP2}{SETTINGS}"),
    ] {
        heard(said).await;
    }
}
