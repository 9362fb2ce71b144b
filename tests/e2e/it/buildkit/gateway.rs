//! Front ends in images. Theirs is a program that carries its input and output to the test, which
//! then speaks for it.

use std::collections::HashMap;
use std::io;
use std::task::{Context, Poll};

use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::llb_bridge_client::LlbBridgeClient;
use futures_util::future::{Ready, ready};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tonic::Request;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

use super::client::{Client, Wanted, of};
use super::definitions::{Steps, solve};
use super::offers::Offers;
use super::{build, image, run};
use crate::serving::Daemon;

/// A connection that is there already.
struct Once(Option<TcpStream>);

impl Service<Uri> for Once {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<TcpStream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let gone = || io::Error::other("connected before");
        ready(self.0.take().map(TokioIo::new).ok_or_else(gone))
    }
}

/// Has an image whose program is `script`.
async fn front_end(client: &Client, script: &str) {
    let program = json!(["/bin/sh", "-c", script]);
    let text = format!("FROM alpine\nENTRYPOINT {program}\n");
    let offers = Offers::build(&[("Dockerfile", text.as_str())]);
    build(client, "front", offers, &image("front")).await.ok();
}

/// The front end's side of the bridge.
async fn speak(listener: TcpListener) -> LlbBridgeClient<Channel> {
    let (stream, _) = listener.accept().await.unwrap();
    let endpoint = Endpoint::from_static("http://front-end");
    let channel = endpoint.connect_with_connector(Once(Some(stream))).await;
    LlbBridgeClient::new(channel.unwrap())
}

fn wanted(options: Vec<(&'static str, &'static str)>) -> Wanted {
    Wanted {
        frontend: "gateway.v0",
        options,
        ..image("by-front-end")
    }
}

#[test]
fn a_front_end_in_an_image_makes_the_result() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        front_end(&client, &format!("exec busybox nc 127.0.0.1 {port}")).await;
        let _session = client.session("one", "shared", Offers::build(&[])).await;
        let work = async {
            let mut bridge = speak(listener).await;
            bridge
                .ping(Request::new(gateway::PingRequest {}))
                .await
                .unwrap();
            let mut steps = Steps::default();
            let base = steps.source("docker-image://docker.io/library/alpine:latest", &[]);
            let done = steps.run(&base, "echo made", &[]);
            let solved = bridge.solve(Request::new(solve(steps.end(&done)))).await;
            let mut result = solved.unwrap().into_inner().result.unwrap();
            let config = json!({
                "architecture": "amd64", "os": "linux", "config": { "Cmd": ["by front end"] },
                "rootfs": { "type": "layers", "diff_ids": [] },
            });
            let config = config.to_string().into_bytes();
            result.metadata = HashMap::from([("containerimage.config".to_owned(), config)]);
            let returned = gateway::ReturnRequest {
                result: Some(result),
                error: None,
            };
            bridge.r#return(Request::new(returned)).await.unwrap();
        };
        let wanted = wanted(vec![("source", "front")]);
        let (built, ()) = client.during("one", &wanted, None, work).await;
        built.ok();
        assert_eq!(built.logs(), "made\n");
    });
    let config = daemon.ask("GET /images/by-front-end/json", b"").json();
    assert_eq!(config["Config"]["Cmd"], json!(["by front end"]));
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_front_end_that_fails_is_heard() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        front_end(&client, "env | grep ^BUILDKIT_FRONTEND >&2; exit 3").await;
        let _session = client.session("one", "shared", Offers::build(&[])).await;
        let wanted = wanted(vec![("source", "front"), ("a", "b=c")]);
        let (built, ()) = client.during("one", &wanted, None, async {}).await;
        let said = built.error().message().to_owned();
        assert_eq!(
            said,
            "the front end failed: exit code 3: BUILDKIT_FRONTEND_OPT_0=a=b=c\n\
             BUILDKIT_FRONTEND_OPT_1=source=front"
        );
        let _session = client.session("two", "shared", Offers::build(&[])).await;
        let wanted = Wanted {
            options: vec![("source", "front"), ("frontend.caps", "moby.x+forward")],
            ..wanted
        };
        let (built, ()) = client.during("two", &wanted, None, async {}).await;
        let said = "unsupported frontend capability moby.x";
        assert_eq!(built.error().message(), said);
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn the_usual_front_end_is_kilns_own() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let offers = Offers::build(&[("Dockerfile", "FROM alpine\nRUN echo own\n")]);
        let _session = client.session("one", "shared", offers).await;
        let wanted = wanted(vec![("source", "docker/dockerfile:1")]);
        let (built, ()) = client.during("one", &wanted, None, async {}).await;
        built.ok();
        assert_eq!(built.logs(), "own\n");
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_dockerfile_names_its_front_end() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        front_end(&client, &format!("exec busybox nc 127.0.0.1 {port}")).await;
        let text = "# syntax=front with words\nFROM alpine\nRUN echo read\n";
        let offers = Offers::build(&[("Dockerfile", text)]);
        let _session = client.session("one", "shared", offers).await;
        let work = async {
            let mut bridge = speak(listener).await;
            // As front ends do that read the file with the usual one.
            let ask = |options: &[(&str, &str)]| gateway::SolveRequest {
                frontend: "dockerfile.v0".to_owned(),
                frontend_opt: options
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
                allow_result_return: true,
                allow_result_array_ref: true,
                ..gateway::SolveRequest::default()
            };
            let own = ask(&[("cmdline", "front with words"), ("source", "front")]);
            let solved = bridge.solve(Request::new(own)).await.unwrap();
            let returned = gateway::ReturnRequest {
                result: solved.into_inner().result,
                error: None,
            };
            bridge.r#return(Request::new(returned)).await.unwrap();
        };
        let wanted = Wanted {
            frontend: "dockerfile.v0",
            // Options of its own are for it to understand.
            options: vec![("odd", "option")],
            ..image("by-front-end")
        };
        let (built, ()) = client.during("one", &wanted, None, work).await;
        built.ok();
        assert_eq!(built.logs(), "read\n");
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_front_end_is_given_inputs() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let program = json!(["/bin/sh", "-c", format!("exec busybox nc 127.0.0.1 {port}")]);
        let label = "moby.buildkit.frontend.caps=moby.buildkit.frontend.inputs";
        let text = format!("FROM alpine\nLABEL {label}\nENTRYPOINT {program}\n");
        let offers = Offers::build(&[("Dockerfile", text.as_str())]);
        build(&client, "made", offers, &image("takes")).await.ok();
        front_end(&client, "exit 3").await;
        let mut steps = Steps::default();
        let base = steps.source("docker-image://docker.io/library/alpine:latest", &[]);
        let done = steps.run(&base, "echo given", &[]);
        let given = steps.end(&done);
        let _session = client.session("one", "shared", Offers::build(&[])).await;
        let theirs = client.bridge();
        let ask = |source: &str| gateway::SolveRequest {
            frontend: "gateway.v0".to_owned(),
            frontend_opt: HashMap::from([("source".to_owned(), source.to_owned())]),
            frontend_inputs: HashMap::from([("base".to_owned(), given.clone())]),
            allow_result_return: true,
            allow_result_array_ref: true,
            ..gateway::SolveRequest::default()
        };
        let work = async {
            // An image that does not say that it takes inputs is given none.
            let refused = theirs
                .clone()
                .solve(of("one", ask("front")))
                .await
                .unwrap_err();
            let said = "unsupported frontend capability moby.buildkit.frontend.inputs";
            assert_eq!(refused.message(), said);
            let asked = async { theirs.clone().solve(of("one", ask("takes"))).await.unwrap() };
            let speaks = async {
                let mut bridge = speak(listener).await;
                let inputs = bridge.inputs(Request::new(gateway::InputsRequest {})).await;
                let inputs = inputs.unwrap().into_inner().definitions;
                let solved = bridge
                    .solve(Request::new(solve(inputs["base"].clone())))
                    .await;
                let returned = gateway::ReturnRequest {
                    result: solved.unwrap().into_inner().result,
                    error: None,
                };
                bridge.r#return(Request::new(returned)).await.unwrap();
            };
            let (solved, ()) = tokio::join!(asked, speaks);
            let returned = gateway::ReturnRequest {
                result: solved.into_inner().result,
                error: None,
            };
            theirs.clone().r#return(of("one", returned)).await.unwrap();
        };
        let (built, ()) = client.during("one", &image("x"), None, work).await;
        built.ok();
        assert_eq!(built.logs(), "given\n");
    });
    assert_eq!(daemon.stop().code, 0);
}
