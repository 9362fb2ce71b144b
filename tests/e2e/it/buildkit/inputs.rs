//! Builds that go on from file systems that the client defines, or from results of other builds,
//! as `docker buildx bake` has it with `contexts = { base = "target:base" }`.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use bollard_buildkit_proto::pb;
use serde_json::json;
use tonic::Status;

use super::client::{Built, Client, Wanted, of};
use super::definitions::Steps;
use super::offers::Offers;
use super::{image, run};
use crate::serving::Daemon;

const BASE: &str = "FROM alpine\nENV A=b\nWORKDIR /w\nCOPY a /a\nRUN cat /a | tee /made\n\
                    ONBUILD RUN echo triggered\n";
const CHILD: &str = "FROM base\nRUN echo $A $PWD\nCOPY --from=base /made /copied\n\
                     RUN cat /copied\nCMD [\"child\"]\n";

/// Runs `dockerfile.v0` with inputs.
pub(super) async fn solve(
    client: &Client,
    id: &str,
    options: &[(&str, &str)],
    inputs: HashMap<String, pb::Definition>,
) -> Result<gateway::Result, Status> {
    let options = options.iter();
    let options = options.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let request = gateway::SolveRequest {
        frontend: "dockerfile.v0".to_owned(),
        frontend_opt: options.collect(),
        frontend_inputs: inputs,
        allow_result_return: true,
        allow_result_array_ref: true,
        ..gateway::SolveRequest::default()
    };
    let solved = client.bridge().solve(of(id, request)).await?.into_inner();
    Ok(solved.result.unwrap())
}

/// One build with inputs, in a session of its own that is there already.
async fn build(
    client: &Client,
    id: &str,
    options: &[(&str, &str)],
    inputs: HashMap<String, pb::Definition>,
) -> Built {
    let work = async {
        let result = solve(client, id, options, inputs).await.unwrap();
        end(client, id, result).await;
    };
    client.during(id, &image(id), None, work).await.0
}

pub(super) async fn end(client: &Client, id: &str, result: gateway::Result) {
    let returned = gateway::ReturnRequest {
        result: Some(result),
        error: None,
    };
    let returned = client.bridge().r#return(of(id, returned)).await;
    returned.unwrap();
}

/// The definition of a result.
pub(super) fn definition(result: &gateway::Result) -> pb::Definition {
    match &result.result {
        Some(gateway::result::Result::Ref(made)) => made.def.clone().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// What is said of the base, as buildx hands it on.
fn metadata(result: &gateway::Result) -> String {
    let config = STANDARD.encode(&result.metadata["containerimage.config"]);
    json!({ "containerimage.config": config }).to_string()
}

#[test]
fn a_build_goes_on_from_the_result_of_another() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let files = [("base", BASE), ("child", CHILD), ("a", "content\n")];
        let _base = client
            .session("base", "shared", Offers::build(&files))
            .await;
        let _child = client
            .session("child", "shared", Offers::build(&files))
            .await;
        let work = async {
            let ping = of("base", gateway::PingRequest {});
            let caps = client.bridge().ping(ping).await.unwrap().into_inner();
            let all = caps.frontend_api_caps.iter().chain(&caps.llb_caps);
            let all: Vec<&str> = all.map(|cap| cap.id.as_str()).collect();
            let has = |id: &str| all.contains(&id);
            assert!(has("reference.output") && has("frontend.inputs"));
            assert!(has("mergeop") && has("exec.meta.security"));
            // What is refused is not promised.
            for id in ["solve.inlinereturn", "exec.meta.cdi"] {
                assert!(!has(id), "{id}");
            }
            let result = solve(&client, "base", &[("filename", "base")], HashMap::new());
            let result = result.await.unwrap();
            let metadata = metadata(&result);
            let options = [
                ("filename", "child"),
                ("context:base", "input:base"),
                ("input-metadata:base", metadata.as_str()),
            ];
            let given = HashMap::from([("base".to_owned(), definition(&result))]);
            let child = build(&client, "child", &options, given).await;
            child.ok();
            // What the base is made of is made here, once.
            assert_eq!(child.logs(), "content\ntriggered\nb /w\ncontent\n");
            end(&client, "base", result).await;
        };
        let base = client.during("base", &image("base"), None, work).await.0;
        base.ok();
        assert!(
            base.steps()["[4/4] RUN cat /a | tee /made"],
            "{:?}",
            base.steps()
        );
    });
    let [base, child] = ["base", "child"].map(|name| {
        let image = daemon.ask(&format!("GET /images/{name}/json"), b"").json();
        let history = daemon
            .ask(&format!("GET /images/{name}/history"), b"")
            .json();
        (image, history)
    });
    let layers = |image: &serde_json::Value| image["RootFS"]["Layers"].as_array().unwrap().clone();
    let (of_base, of_child) = (layers(&base.0), layers(&child.0));
    assert_eq!(of_child[..of_base.len()], of_base[..]);
    assert_eq!(of_child.len(), of_base.len() + 4);
    let config = &child.0["Config"];
    assert_eq!(config["Cmd"], json!(["child"]));
    assert_eq!(config["WorkingDir"], "/w");
    assert!(config["Env"].as_array().unwrap().contains(&json!("A=b")));
    // The history is dated and told as if it were one build.
    let (of_base, of_child) = (&base.1.as_array().unwrap(), &child.1.as_array().unwrap());
    let inherited = &of_child[of_child.len() - of_base.len()..];
    for (here, there) in of_base.iter().zip(inherited) {
        for field in ["Created", "CreatedBy", "Size"] {
            assert_eq!(here[field], there[field]);
        }
    }
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn all_of_a_build_may_be_defined_by_the_client() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let _session = client.session("one", "", Offers::build(&[])).await;
        let of_files = |files: &[(&str, &str)]| {
            let mut steps = Steps::default();
            let made = steps.files(files);
            steps.end(&made)
        };
        let inputs = HashMap::from([
            (
                "dockerfile".to_owned(),
                of_files(&[(
                    "/dockerfile",
                    "FROM tools\nCOPY . /files\nRUN cat /files/a /b\n",
                )]),
            ),
            (
                "context".to_owned(),
                of_files(&[("/a", "of the context\n")]),
            ),
            ("given".to_owned(), {
                let mut steps = Steps::default();
                let base = steps.source("docker-image://docker.io/library/alpine:latest", &[]);
                let made = steps.run(&base, "echo of the base >/b", &[]);
                steps.end(&made)
            }),
            ("unused".to_owned(), {
                let mut steps = Steps::default();
                let base = steps.source("docker-image://docker.io/library/alpine:latest", &[]);
                let made = steps.run(&base, "exit 1", &[]);
                steps.end(&made)
            }),
        ]);
        let options = [
            ("context:tools", "input:given"),
            ("context:other", "input:unused"),
            ("frontend.caps", "moby.buildkit.frontend.inputs"),
        ];
        let built = build(&client, "one", &options, inputs).await;
        built.ok();
        assert_eq!(built.logs(), "of the context\nof the base\n");
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn an_input_may_be_for_one_platform() {
    let daemon = Daemon::new();
    let dockerfile = "FROM --platform=$BUILDPLATFORM alpine\n\
                      COPY --from=base /a /a\nCOPY --from=other /a /b\nRUN cat /a /b\n";
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let files = [("Dockerfile", dockerfile)];
        let _session = client.session("one", "", Offers::build(&files)).await;
        let mut inputs = HashMap::new();
        for name in ["0-base::linux/amd64", "0-base::linux/arm64", "0-other"] {
            let mut steps = Steps::default();
            let made = steps.files(&[("/a", &format!("{name}\n"))]);
            inputs.insert(name.to_owned(), steps.end(&made));
        }
        let options = [
            ("platform", "linux/amd64,linux/arm64"),
            ("context:base::linux/amd64", "input:0-base::linux/amd64"),
            ("context:base::linux/arm64", "input:0-base::linux/arm64"),
            ("context:other", "input:0-other"),
        ];
        let built = build(&client, "one", &options, inputs).await;
        built.ok();
        let logs = built.logs();
        let mut lines: Vec<&str> = logs.lines().collect();
        lines.sort_unstable();
        let [amd64, arm64] = ["0-base::linux/amd64", "0-base::linux/arm64"];
        assert_eq!(lines, [amd64, arm64, "0-other", "0-other"]);
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn inputs_that_are_not_there_are_named() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let files = [("Dockerfile", "FROM base\n")];
        let gone = async {
            let _session = client.session("gone", "", Offers::build(&files)).await;
            let work = async {
                let options = [("context:base", "docker-image://alpine")];
                let result = solve(&client, "gone", &options, HashMap::new())
                    .await
                    .unwrap();
                let definition = definition(&result);
                end(&client, "gone", result).await;
                definition
            };
            let (built, definition) = client.during("gone", &Wanted::default(), None, work).await;
            built.ok();
            definition
        };
        let gone = HashMap::from([("base".to_owned(), gone.await)]);
        let _session = client.session("one", "", Offers::build(&files)).await;
        let work = async {
            let refused = async |options: &[(&str, &str)], inputs| {
                let refused = solve(&client, "one", options, inputs).await;
                refused.unwrap_err().message().to_owned()
            };
            let input = [("context:base", "input:base")];
            let missing = refused(&input, HashMap::new()).await;
            assert_eq!(missing, "invalid input base for base");
            let ended = refused(&input, gone.clone()).await;
            assert!(
                ended.ends_with(": no such result: the build that it is of has to be under way"),
                "{ended}"
            );
            let garbled = [input[0], ("input-metadata:base", "{")];
            let garbled = refused(&garbled, gone).await;
            let begin = "invalid value \"{\" of input-metadata:base of dockerfile.v0: ";
            assert!(garbled.starts_with(begin), "{garbled}");
            let returned = gateway::ReturnRequest::default();
            client.bridge().r#return(of("one", returned)).await.unwrap();
        };
        client.during("one", &Wanted::default(), None, work).await;
    });
    assert_eq!(daemon.stop().code, 0);
}
