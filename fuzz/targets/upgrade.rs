//! Any bytes as a connection to the daemon: a request that turns it into something else, and what is
//! sent then. The first byte chooses the request, or none, and whether the client stays.
//!
//! Only what attaches to a container has a store, a new one, and that request alone may open it, so
//! nothing is pulled, built or run whatever the bytes say.

#![cfg_attr(not(test), no_main)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use daemon::{Daemon, Identity};
use engine::{Config, Engine, EngineError, EngineOptions, SystemClock};
use fuzz::connection::{Leave, converse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, said)) = bytes.split_first() else {
        return;
    };
    // Few stay, since whoever stays is waited for.
    let leave = match choice {
        0xf0.. => Leave::WhenStopped,
        _ => Leave::First,
    };
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let head = match choice & 3 {
        0 => Vec::new(),
        1 => upgrade("grpc"),
        2 => upgrade("session"),
        _ => return runtime.block_on(attach(said, choice & 8 != 0, leave)),
    };
    let said = [&head, said].concat();
    drop(runtime.block_on(converse(without_store(), &said, leave)));
});

fn upgrade(path: &str) -> Vec<u8> {
    let method = "/moby.filesync.v1.Auth/Credentials";
    format!(
        "POST /{path} HTTP/1.1\r\nHost: kiln\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\
         X-Docker-Expose-Session-Uuid: x\r\nX-Docker-Expose-Session-Grpc-Method: {method}\r\n\r\n"
    )
    .into_bytes()
}

/// A client of a container that waits to be started. What it says begins with its keys.
async fn attach(said: &[u8], is_terminal: bool, leave: Leave) {
    let place = fuzz::Place::new();
    make(&place, is_terminal).await;
    let mut said = said.splitn(2, |byte| *byte == b'\n');
    let keys = String::from_utf8_lossy(said.next().unwrap_or_default()).into_owned();
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-,[]@^_".contains(*c);
    let keys: String = keys.chars().filter(is_plain).collect();
    let head = format!(
        "POST /containers/one/attach?stream=1&stdin=1&stdout=1&stderr=1&detachKeys={keys} HTTP/1.1\r\n\
         Host: kiln\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    );
    let rest = said.next().unwrap_or_default();
    let said = [head.as_bytes(), rest].concat();
    drop(converse(with_store(&place, 1), &said, leave).await);
    place.check();
}

/// Makes an image and a container of it.
async fn make(place: &fuzz::Place, is_terminal: bool) {
    let dockerfile = fuzz::connection::tar("Dockerfile", b"FROM scratch\nLABEL a=b\n");
    let container =
        format!("{{\"Image\":\"x\",\"Cmd\":[\"x\"],\"OpenStdin\":true,\"Tty\":{is_terminal}}}");
    for (path, kind, body) in [
        ("build?t=x", "application/x-tar", dockerfile),
        (
            "containers/create?name=one",
            "application/json",
            container.into_bytes(),
        ),
    ] {
        let head = format!(
            "POST /{path} HTTP/1.1\r\nHost: kiln\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let said = [head.into_bytes(), body].concat();
        let heard = converse(with_store(place, usize::MAX), &said, Leave::WhenAnswered).await;
        let heard = String::from_utf8_lossy(&heard).into_owned();
        assert!(
            heard.starts_with("HTTP/1.1 20") && !heard.contains("\"error\""),
            "{heard}"
        );
    }
}

fn without_store() -> Arc<Daemon> {
    new(|| Err(EngineError::LostThread))
}

/// A store that may be opened so many times.
fn with_store(place: &fuzz::Place, times: usize) -> Arc<Daemon> {
    let root = place.inside();
    let left = AtomicUsize::new(times);
    new(move || {
        let less = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        });
        less.map_err(|_| EngineError::LostThread)?;
        Engine::open(EngineOptions {
            root: root.clone(),
            config: Config::default(),
            docker_config: None,
            helper_path: Vec::new(),
            fetch_variables: Vec::new(),
            clock: Arc::new(SystemClock),
        })
    })
}

fn new(open: impl Fn() -> Result<Engine, EngineError> + Send + Sync + 'static) -> Arc<Daemon> {
    let identity = Identity {
        version: "0",
        root: "/nowhere".into(),
        traces: None,
        clock: Arc::new(SystemClock),
    };
    Daemon::new(Box::new(open), identity, Box::new(drop))
}
