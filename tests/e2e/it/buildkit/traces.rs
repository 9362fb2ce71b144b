//! Traces of builds that join those of their clients, as a collector gets them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1 as api;

use super::client::Client;
use super::run;
use crate::daemon::context;
use crate::serving::Daemon;

/// What a client says of its span, and the same in bytes.
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: [u8; 16] = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();
const SPAN: [u8; 8] = 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes();

/// A collector; its address, and what it gets: the head of each request, and the body.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(&stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert_ne!(reader.read_line(&mut head).unwrap(), 0);
            }
            let head = head.to_lowercase();
            let size = head.split("content-length: ").nth(1).unwrap();
            let size = size.split("\r\n").next().unwrap().parse().unwrap();
            let mut body = vec![0; size];
            reader.read_exact(&mut body).unwrap();
            (&stream)
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .unwrap();
            sender.send((head, body)).unwrap();
        }
    });
    (address, receiver)
}

fn has(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[test]
fn builds_join_the_traces_of_their_clients() {
    let (address, received) = collector();
    let daemon = Daemon::with_variable("OTEL_EXPORTER_OTLP_ENDPOINT", address);
    let next = || received.recv_timeout(Duration::from_secs(20)).unwrap();

    let archive = context("FROM alpine\nRUN echo traced >/x\n");
    let head = format!("Connection: close\r\ntraceparent: {PARENT}\r\n");
    let mut answer = String::new();
    let mut stream = daemon.send_with("POST /build?t=traced", &head, &archive);
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("Successfully tagged"), "{answer}");
    let (head, body) = next();
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(
        head.contains("content-type: application/x-protobuf\r\n"),
        "{head}"
    );
    let names = ["kiln", "POST /build", "[2/2] RUN echo traced >/x"].map(str::as_bytes);
    for part in names.into_iter().chain([&TRACE[..], &SPAN]) {
        assert!(has(&body, part), "{}", String::from_utf8_lossy(&body));
    }

    run(async {
        let mut control = Client::connect(&daemon.socket).await.control();
        let mut request = tonic::Request::new(api::SolveRequest::default());
        let metadata = request.metadata_mut();
        metadata.insert("traceparent", PARENT.parse().unwrap());
        let failed = control.solve(request).await.unwrap_err();
        assert_eq!(failed.message(), "the build has no ref");
    });
    let (_, body) = next();
    let call = &b"moby.buildkit.v1.Control/Solve"[..];
    for part in [call, b"the build has no ref", &TRACE, &SPAN] {
        assert!(has(&body, part), "{}", String::from_utf8_lossy(&body));
    }

    // A client that does not want its trace to be kept.
    let head = format!(
        "Connection: close\r\ntraceparent: {}\r\n",
        PARENT.replace("-01", "-00")
    );
    stream = daemon.send_with("POST /build?t=traced", &head, &archive);
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(daemon.stop().code, 0);
    assert!(received.try_recv().is_err());
}
