//! Builds that clients define step by step, written against the protocol.

use std::collections::HashMap;

use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use bollard_buildkit_proto::pb;
use prost::Message as _;
use serde_json::json;

use super::client::{Client, Wanted, details, of};
use super::offers::Offers;
use super::{build, image, run};
use crate::kiln::Project;
use crate::repository::Repository;
use crate::serving::Daemon;

const FILES: &[(&str, &str)] = &[
    (
        "Dockerfile",
        "FROM alpine\nCOPY a /a\nRUN cat /a | tee /x\n",
    ),
    ("a", "first\n"),
    ("b", "not wanted\n"),
];

/// Steps on their way to a definition.
#[derive(Default)]
pub(super) struct Steps {
    definition: pb::Definition,
}

impl Steps {
    fn add(&mut self, inputs: &[pb::Input], op: pb::op::Op) -> pb::Input {
        let op = pb::Op {
            inputs: inputs.to_vec(),
            op: Some(op),
            ..pb::Op::default()
        };
        self.push(&op)
    }

    fn push(&mut self, op: &pb::Op) -> pb::Input {
        let bytes = op.encode_to_vec();
        let digest = oci::Digest::of(&bytes).to_string();
        self.definition.def.push(bytes);
        pb::Input { digest, index: 0 }
    }

    pub(super) fn source(&mut self, identifier: &str, attrs: &[(&str, &str)]) -> pb::Input {
        let attrs = attrs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let source = pb::SourceOp {
            identifier: identifier.to_owned(),
            attrs: attrs.collect(),
        };
        self.add(&[], pb::op::Op::Source(source))
    }

    /// A file system with nothing but these.
    pub(super) fn files(&mut self, files: &[(&str, &str)]) -> pb::Input {
        let last = files.len() - 1;
        let actions = (0i64..).zip(files.iter().enumerate());
        let action = |(number, (place, (path, text))): (i64, (usize, &(&str, &str)))| {
            let file = pb::FileActionMkFile {
                path: (*path).to_owned(),
                mode: 0o644,
                data: text.as_bytes().to_vec(),
                owner: None,
                timestamp: 0,
            };
            pb::FileAction {
                input: number - 1,
                secondary_input: -1,
                output: if place == last { 0 } else { -1 },
                action: Some(pb::file_action::Action::Mkfile(file)),
            }
        };
        let file = pb::FileOp {
            actions: actions.map(action).collect(),
        };
        self.add(&[], pb::op::Op::File(file))
    }

    /// As `COPY` makes it.
    pub(super) fn copy(&mut self, onto: &pb::Input, from: &pb::Input, path: &str) -> pb::Input {
        let copy = pb::FileActionCopy {
            src: path.to_owned(),
            dest: path.to_owned(),
            mode: -1,
            follow_symlink: true,
            dir_copy_contents: true,
            create_dest_path: true,
            allow_wildcard: true,
            allow_empty_wildcard: true,
            timestamp: -1,
            ..pb::FileActionCopy::default()
        };
        let action = pb::FileAction {
            input: 0,
            secondary_input: 1,
            output: 0,
            action: Some(pb::file_action::Action::Copy(copy)),
        };
        let file = pb::FileOp {
            actions: vec![action],
        };
        self.add(&[onto.clone(), from.clone()], pb::op::Op::File(file))
    }

    /// As `RUN` makes it.
    pub(super) fn run(&mut self, on: &pb::Input, script: &str, env: &[String]) -> pb::Input {
        self.run_held(on, script, env, pb::SecurityMode::Sandbox)
    }

    /// As `RUN --security=insecure` makes it.
    pub(super) fn run_insecure(&mut self, on: &pb::Input, script: &str) -> pb::Input {
        self.run_held(on, script, &[], pb::SecurityMode::Insecure)
    }

    fn run_held(
        &mut self,
        on: &pb::Input,
        script: &str,
        env: &[String],
        security: pb::SecurityMode,
    ) -> pb::Input {
        let args = ["/bin/sh", "-c", script];
        let exec = pb::ExecOp {
            meta: Some(pb::Meta {
                args: args.map(str::to_owned).to_vec(),
                env: env.to_vec(),
                cwd: "/".to_owned(),
                remove_mount_stubs_recursive: true,
                ..pb::Meta::default()
            }),
            mounts: vec![pb::Mount {
                dest: "/".to_owned(),
                ..pb::Mount::default()
            }],
            security: security.into(),
            ..pb::ExecOp::default()
        };
        self.add(std::slice::from_ref(on), pb::op::Op::Exec(exec))
    }

    pub(super) fn diff(&mut self, lower: &pb::Input, upper: &pb::Input) -> pb::Input {
        let diff = pb::DiffOp {
            lower: Some(pb::LowerDiffInput { input: 0 }),
            upper: Some(pb::UpperDiffInput { input: 1 }),
        };
        self.add(&[lower.clone(), upper.clone()], pb::op::Op::Diff(diff))
    }

    pub(super) fn merge(&mut self, all: &[pb::Input]) -> pb::Input {
        let inputs = (0..).zip(all).map(|(input, _)| pb::MergeInput { input });
        let merge = pb::MergeOp {
            inputs: inputs.collect(),
        };
        self.add(all, pb::op::Op::Merge(merge))
    }

    pub(super) fn end(mut self, result: &pb::Input) -> pb::Definition {
        let end = pb::Op {
            inputs: vec![result.clone()],
            ..pb::Op::default()
        };
        self.push(&end);
        self.definition
    }
}

pub(super) fn solve(definition: pb::Definition) -> gateway::SolveRequest {
    gateway::SolveRequest {
        definition: Some(definition),
        allow_result_return: true,
        allow_result_array_ref: true,
        ..gateway::SolveRequest::default()
    }
}

#[test]
fn a_definition_finds_what_a_dockerfile_made() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let made = build(&client, "one", Offers::build(FILES), &image("made")).await;
        made.ok();
        let config = daemon.ask("GET /images/made/json", b"").json();
        let env: Vec<String> = serde_json::from_value(config["Config"]["Env"].clone()).unwrap();

        let mut steps = Steps::default();
        let base = steps.source("docker-image://docker.io/library/alpine:latest", &[]);
        let context = steps.source("local://context", &[("local.followpaths", "[\"a\"]")]);
        let copied = steps.copy(&base, &context, "/a");
        let done = steps.run(&copied, "cat /a | tee /x", &env);
        let definition = steps.end(&done);

        let offers = Offers::build(FILES);
        let asked = std::sync::Arc::clone(&offers.asked);
        let _session = client.session("two", "shared", offers).await;
        let again = client.define("two", &image("again"), definition).await;
        again.ok();
        // Only what was asked for was sent.
        assert_eq!(*asked.lock().unwrap(), ["a"]);
        let known = again.steps();
        assert!(known["/bin/sh -c cat /a | tee /x"], "{known:?}");
        let layers = |name: &str| {
            let image = daemon.ask(&format!("GET /images/{name}/json"), b"").json();
            image["RootFS"]["Layers"].clone()
        };
        assert_eq!(layers("again"), layers("made"));
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_front_end_of_the_client_looks_at_results() {
    let daemon = Daemon::new();
    let wanted = image("by-client");
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let _session = client.session("one", "shared", Offers::build(FILES)).await;
        let work = async {
            let mut bridge = client.bridge();
            let ping = bridge.ping(of("one", gateway::PingRequest {}));
            let pong = ping.await.unwrap().into_inner();
            assert!(
                pong.llb_caps
                    .iter()
                    .any(|cap| cap.id == "mergeop" && cap.enabled)
            );

            let ask = gateway::ResolveImageConfigRequest {
                r#ref: "docker.io/library/alpine:latest".to_owned(),
                ..gateway::ResolveImageConfigRequest::default()
            };
            let found = bridge.resolve_image_config(of("one", ask)).await.unwrap();
            let found = found.into_inner();
            let config: serde_json::Value = serde_json::from_slice(&found.config).unwrap();
            assert_eq!(config["os"], "linux");
            let pinned = format!("docker-image://{}@{}", found.r#ref, found.digest);

            let mut steps = Steps::default();
            let base = steps.source(&pinned, &[]);
            let script =
                "mkdir -p /d/e && printf 0123456789 > /d/f && ln -s /d/f /link && chmod 4711 /d/f";
            let done = steps.run(&base, script, &[]);
            let request = gateway::SolveRequest {
                evaluate: true,
                ..solve(steps.end(&done))
            };
            let solved = bridge.solve(of("one", request)).await.unwrap().into_inner();
            let mut result = solved.result.unwrap();
            let Some(gateway::result::Result::Ref(made)) = &result.result else {
                panic!("{result:?}");
            };
            let id = made.id.clone();
            let read = gateway::ReadFileRequest {
                r#ref: id.clone(),
                file_path: "/link".to_owned(),
                mount_index: 0,
                range: Some(gateway::FileRange {
                    offset: 3,
                    length: 4,
                }),
            };
            let read = bridge.read_file(of("one", read)).await.unwrap();
            assert_eq!(read.into_inner().data, b"3456");
            let list = gateway::ReadDirRequest {
                r#ref: id.clone(),
                dir_path: "/d".to_owned(),
                include_pattern: String::new(),
                mount_index: 0,
            };
            let list = bridge.read_dir(of("one", list)).await.unwrap().into_inner();
            let found: Vec<(String, u32, i64)> = list
                .entries
                .into_iter()
                .map(|entry| (entry.path, entry.mode, entry.size))
                .collect();
            // Modes are Go's.
            assert_eq!(found[0].0, "e");
            assert_eq!(found[0].1, 1 << 31 | 0o755);
            assert_eq!(found[1], ("f".to_owned(), 1 << 23 | 0o711, 10));
            let stat = gateway::StatFileRequest {
                r#ref: id.clone(),
                path: "/missing".to_owned(),
                mount_index: 0,
            };
            let missing = bridge.stat_file(of("one", stat)).await.unwrap_err();
            assert_eq!(missing.code(), tonic::Code::NotFound);
            let text = "lstat /missing: no such file or directory";
            assert_eq!(missing.message(), text);

            let config = json!({
                "architecture": "amd64", "os": "linux", "config": { "Cmd": ["/d/f"] },
                "rootfs": { "type": "layers", "diff_ids": [] },
            });
            let config = config.to_string().into_bytes();
            result.metadata = HashMap::from([("containerimage.config".to_owned(), config)]);
            let returned = gateway::ReturnRequest {
                result: Some(result),
                error: None,
            };
            bridge.r#return(of("one", returned)).await.unwrap();
        };
        let (built, ()) = client.during("one", &wanted, None, work).await;
        built.ok();
    });
    let config = daemon.ask("GET /images/by-client/json", b"").json();
    assert_eq!(config["Config"]["Cmd"], json!(["/d/f"]));
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_definition_in_a_file_is_read_and_made() {
    let daemon = Daemon::new();
    run(async {
        let mut inner = Steps::default();
        let base = inner.source("docker-image://docker.io/library/alpine:latest", &[]);
        let done = inner.run(&base, "echo inner > /made", &[]);
        let inner = inner.end(&done).encode_to_vec();
        let mut steps = Steps::default();
        let written = pb::FileAction {
            input: -1,
            secondary_input: -1,
            output: 0,
            action: Some(pb::file_action::Action::Mkfile(pb::FileActionMkFile {
                path: "/def.pb".to_owned(),
                mode: 0o600,
                data: inner,
                owner: None,
                timestamp: -1,
            })),
        };
        let file = pb::FileOp {
            actions: vec![written],
        };
        let file = steps.add(&[], pb::op::Op::File(file));
        let built = pb::BuildOp {
            builder: -1,
            inputs: [(
                "buildkit.llb.definition".to_owned(),
                pb::BuildInput { input: 0 },
            )]
            .into(),
            attrs: [("llbbuild.filename".to_owned(), "def.pb".to_owned())].into(),
            def: None,
        };
        let built = steps.add(&[file], pb::op::Op::Build(built));
        let last = steps.run(&built, "cat /made", &[]);
        assert_eq!(told(&daemon, steps.end(&last)).await, "inner\n");
    });
    assert_eq!(daemon.stop().code, 0);
}

/// What the steps of a definition say that needs nothing of its client.
pub(super) async fn told(daemon: &Daemon, definition: pb::Definition) -> String {
    let client = Client::connect(&daemon.socket).await;
    let _session = client.session("one", "shared", Offers::build(&[])).await;
    let built = client.define("one", &Wanted::default(), definition).await;
    built.ok();
    built.logs()
}

/// One file action; `output` is -1 when nothing is made of it beside later actions.
fn action(input: i64, from: i64, output: i64, action: pb::file_action::Action) -> pb::FileAction {
    pb::FileAction {
        input,
        secondary_input: from,
        output,
        action: Some(action),
    }
}

fn written(path: &str) -> pb::file_action::Action {
    pb::file_action::Action::Mkfile(pb::FileActionMkFile {
        path: path.to_owned(),
        mode: 0o644,
        data: path.as_bytes().to_vec(),
        owner: None,
        timestamp: 0,
    })
}

fn copied(from: &str, to: &str) -> pb::file_action::Action {
    pb::file_action::Action::Copy(pb::FileActionCopy {
        src: from.to_owned(),
        dest: to.to_owned(),
        mode: -1,
        timestamp: -1,
        ..pb::FileActionCopy::default()
    })
}

fn removed(path: &str) -> pb::file_action::Action {
    pb::file_action::Action::Rm(pb::FileActionRm {
        path: path.to_owned(),
        ..pb::FileActionRm::default()
    })
}

#[test]
fn several_things_are_made_of_one_file_action() {
    let daemon = Daemon::new();
    run(async {
        let mut steps = Steps::default();
        let below = steps.files(&[("/below", "below")]);
        // Actions are counted from the input on: /a is made by 1, which is an output as well.
        let actions = vec![
            action(0, -1, 1, written("/a")),
            action(1, -1, -1, removed("/a")),
            action(2, -1, -1, written("/b")),
            action(3, 1, 0, copied("/a", "/from-a")),
            action(1, 1, 2, copied("/a", "/within")),
            action(1, 3, 3, copied("/b", "/from-b")),
        ];
        let made = pb::op::Op::File(pb::FileOp { actions });
        let made = steps.add(&[below], made);
        let base = steps.source("docker-image://docker.io/library/alpine:latest", &[]);
        let mut all = base;
        for output in 0..4 {
            let to = pb::file_action::Action::Copy(pb::FileActionCopy {
                src: "/".to_owned(),
                dest: format!("/{output}"),
                mode: -1,
                timestamp: -1,
                dir_copy_contents: true,
                create_dest_path: true,
                ..pb::FileActionCopy::default()
            });
            let part = pb::Input {
                index: output,
                ..made.clone()
            };
            let file = pb::FileOp {
                actions: vec![action(0, 1, 0, to)],
            };
            all = steps.add(&[all, part], pb::op::Op::File(file));
        }
        let last = steps.run(
            &all,
            "cat 0/from-a; for i in 0 1 2 3; do echo; ls $i | xargs; done",
            &[],
        );
        let said = told(&daemon, steps.end(&last)).await;
        let expected = "/a\nb below from-a\n\na below\n\na below within\n\na below from-b\n";
        assert_eq!(said, expected);
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn what_is_not_to_be_exported_is_in_no_cache() {
    let (daemon, registry) = (Daemon::new(), testkit::FakeRegistry::start());
    let host = registry.host();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        for (id, value, expected) in [
            ("one", None, 2),
            ("two", Some(true), 2),
            ("three", Some(false), 1),
        ] {
            let mut steps = Steps::default();
            let first = steps.files(&[("/a", id)]);
            let file = pb::FileOp {
                actions: vec![action(0, -1, 0, written("/b"))],
            };
            let second = steps.add(std::slice::from_ref(&first), pb::op::Op::File(file));
            let mut definition = steps.end(&second);
            let metadata = pb::OpMetadata {
                export_cache: value.map(|value| pb::ExportCache { value }),
                ..pb::OpMetadata::default()
            };
            definition.metadata.insert(first.digest.clone(), metadata);
            let to = format!("{host}/cache:{id}");
            let wanted = Wanted {
                cache_to: vec![("registry", vec![("ref", to.leak()), ("mode", "max")])],
                ..Wanted::default()
            };
            let _session = client.session(id, "shared", Offers::build(&[])).await;
            client.define(id, &wanted, definition).await.ok();
            let (_, manifest) = registry.manifest("cache", id).unwrap();
            let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
            let config = manifest["config"]["digest"].as_str().unwrap();
            let config = registry.blob("cache", config.parse().unwrap()).unwrap();
            let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
            let records = config["records"].as_array().unwrap();
            let results = records.iter().filter(|record| !record["layers"].is_null());
            assert_eq!(results.count(), expected, "{id}: {config}");
        }
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn what_a_cache_cannot_have_is_told() {
    let (daemon, registry) = (Daemon::new(), testkit::FakeRegistry::start());
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let mut steps = Steps::default();
        let below = steps.files(&[("/below", "below")]);
        let actions = vec![
            action(0, -1, 0, written("/a")),
            action(1, -1, 1, written("/b")),
        ];
        let made = pb::op::Op::File(pb::FileOp { actions });
        let made = steps.add(&[below], made);
        let to = format!("{}/cache:1", registry.host());
        let wanted = Wanted {
            cache_to: vec![("registry", vec![("ref", to.leak()), ("mode", "max")])],
            ..Wanted::default()
        };
        let _session = client.session("one", "shared", Offers::build(&[])).await;
        let built = client.define("one", &wanted, steps.end(&made)).await;
        built.ok();
        let expected = "not in the cache, since it has several results: ";
        assert!(built.logs().starts_with(expected), "{}", built.logs());
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_definition_without_steps_makes_nothing() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let (offers, blobs) = Offers::build(&[]).store("local:/c");
        let _session = client.session("one", "shared", offers).await;
        let empty = pb::Definition::default();
        let wanted = Wanted {
            cache_to: vec![("local", vec![("dest", "/c")])],
            ..Wanted::default()
        };
        let made = client.define("one", &wanted, empty.clone()).await;
        assert!(made.ok().is_empty(), "{:?}", made.ok());
        assert!(blobs.lock().unwrap().is_empty());
        let _session = client.session("two", "shared", Offers::build(&[])).await;
        let refused = client.define("two", &image("made"), empty).await;
        assert_eq!(refused.error().code(), tonic::Code::Unimplemented);

        // A cache that nothing is in is none either.
        let (offers, blobs) = Offers::build(&[]).store("local:/c");
        let _session = client.session("three", "shared", offers).await;
        let mut steps = Steps::default();
        let base = steps.source("docker-image://docker.io/library/alpine:latest", &[]);
        let mut definition = steps.end(&base);
        let unexported = pb::OpMetadata {
            export_cache: Some(pb::ExportCache { value: false }),
            ..pb::OpMetadata::default()
        };
        definition.metadata.insert(base.digest, unexported);
        let made = client.define("three", &wanted, definition).await;
        assert!(!made.ok().contains_key("cache.manifest"), "{:?}", made.ok());
        assert!(blobs.lock().unwrap().is_empty());
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn why_a_step_failed_is_said_in_full() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let _session = client.session("one", "shared", Offers::build(&[])).await;
        let mut steps = Steps::default();
        let file = steps.source("http://127.0.0.1:1/file", &[]);
        let failed = client
            .define("one", &Wanted::default(), steps.end(&file))
            .await;
        let message = failed.error().message();
        let cause = message.split_once("http://127.0.0.1:1/file: ");
        assert!(
            cause.is_some_and(|(_, cause)| !cause.is_empty()),
            "{message}"
        );
    });
    assert_eq!(daemon.stop().code, 0);
}

/// Serves one file to whoever asks, and tells the heads of what was asked.
fn listening() -> (u16, std::sync::mpsc::Receiver<String>) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, heads) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let lines = lines.map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx";
            stream.write_all(answer).unwrap();
            // Nobody may be left to hear it.
            let _ = sender.send(head.join("\n"));
        }
    });
    (port, heads)
}

#[test]
fn a_server_is_asked_as_the_definition_says() {
    let daemon = Daemon::new();
    let (port, heads) = listening();
    let url = format!("http://127.0.0.1:{port}/f");
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let offers = Offers::build(FILES).secret("mine", "Basic eDp5\n");
        let _session = client.session("one", "shared", offers).await;
        let mut steps = Steps::default();
        let plain = steps.source(&url, &[]);
        let attrs = [
            ("http.header.Accept", "text/plain"),
            ("http.header.user-agent", "mine/1"),
            ("http.authheadersecret", "mine"),
        ];
        let asked = steps.source(&url, &attrs);
        let both = pb::MergeOp {
            inputs: [0, 1].map(|input| pb::MergeInput { input }).to_vec(),
        };
        let both = steps.add(&[plain, asked], pb::op::Op::Merge(both));
        let definition = steps.end(&both);
        client
            .define("one", &Wanted::default(), definition)
            .await
            .ok();
        let mut heads: Vec<String> = heads.try_iter().collect();
        heads.sort_by_key(|head| head.contains("authorization"));
        let [plain, asked] = heads.as_slice() else {
            panic!("{heads:?}");
        };
        assert!(plain.contains("user-agent: kiln/"), "{plain}");
        for line in [
            "accept: text/plain",
            "user-agent: mine/1",
            "authorization: Basic eDp5",
        ] {
            assert!(asked.lines().any(|found| found == line), "{asked}");
        }

        let _session = client.session("two", "shared", Offers::build(FILES)).await;
        let mut steps = Steps::default();
        let source = steps.source(&url, &attrs);
        let refused = client
            .define("two", &Wanted::default(), steps.end(&source))
            .await;
        let message = refused.error().message().to_owned();
        assert!(message.ends_with("secret mine: not found"), "{message}");
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn what_is_wrong_with_a_definition_is_said() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let _session = client.session("one", "shared", Offers::build(FILES)).await;
        let mut steps = Steps::default();
        let base = steps.source("docker-image://docker.io/library/alpine:latest", &[]);
        let done = steps.run(&base, "exit 3", &[]);
        let mut definition = steps.end(&done);
        let range = pb::Range {
            start: Some(pb::Position {
                line: 2,
                character: 0,
            }),
            end: Some(pb::Position {
                line: 2,
                character: 0,
            }),
        };
        definition.source = Some(pb::Source {
            infos: vec![pb::SourceInfo {
                filename: "steps.hcl".to_owned(),
                data: b"one\ntwo\n".to_vec(),
                ..pb::SourceInfo::default()
            }],
            locations: [(
                done.digest.clone(),
                pb::Locations {
                    locations: vec![pb::Location {
                        source_index: 0,
                        ranges: vec![range],
                    }],
                },
            )]
            .into(),
        });
        let failed = client.define("one", &Wanted::default(), definition).await;
        let details = details(failed.error());
        let source = &details["github.com/moby/buildkit/errdefs.Source+json"];
        assert_eq!(source["info"]["filename"], "steps.hcl");
        assert_eq!(source["ranges"][0]["start"]["line"], 2);

        let mut steps = Steps::default();
        let base = steps.source("docker-image://docker.io/library/alpine:latest", &[]);
        let done = steps.run_insecure(&base, "true");
        let _session = client.session("two", "shared", Offers::build(FILES)).await;
        let refused = client
            .define("two", &Wanted::default(), steps.end(&done))
            .await;
        let status = refused.error();
        assert_eq!(status.code(), tonic::Code::PermissionDenied);
        let said = "security.insecure is not allowed: the build needs that entitlement";
        assert!(status.message().ends_with(said), "{status:?}");
    });
    assert_eq!(daemon.stop().code, 0);
}

/// Stands in for `ssh`: what it was to run on a host it runs here, if the host's key is known.
const SSH: &str = r#"#!/bin/sh
for word; do
    case $word in
        UserKnownHostsFile=*) known=${word#*=} ;;
        StrictHostKeyChecking=*) check=${word#*=} ;;
    esac
done
if [ "$check" != yes ] || ! grep -qx 'host.invalid ssh-ed25519 AAAA' "$known"; then
    echo 'Host key verification failed.' >&2
    exit 255
fi
exec sh -c "$word"
"#;

#[test]
fn a_repository_is_fetched_by_ssh_from_hosts_that_the_client_knows() {
    let project = Project::new(&[("bin/ssh", SSH)]);
    let (program, path) = (project.join("bin/ssh"), project.join("repository"));
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, executable).unwrap();
    Repository::new(path.clone()).commit(&[("a", "first\n")]);
    let programs = format!(
        "{}:/usr/local/bin:/usr/bin:/bin",
        project.join("bin").display()
    );
    let daemon = Daemon::with_variable("PATH", programs);
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let url = format!("ssh://git@host.invalid{}", path.display());
        let define = |known: &str| {
            let attrs = [("git.fullurl", url.as_str()), ("git.knownsshhosts", known)];
            let mut steps = Steps::default();
            let source = steps.source("git://host.invalid/repository#main", &attrs);
            steps.end(&source)
        };
        let known = "other.invalid ssh-ed25519 BBBB\nhost.invalid ssh-ed25519 AAAA\n";
        for (id, known, is_refused) in [
            ("one", "host.invalid ssh-ed25519 BBBB\n", true),
            ("two", known, false),
        ] {
            let _session = client.session(id, "shared", Offers::build(FILES)).await;
            let built = client.define(id, &Wanted::default(), define(known)).await;
            if is_refused {
                let message = built.error().message().to_owned();
                let said = "Host key verification failed.";
                assert!(message.contains(said), "{message}");
            } else {
                built.ok();
            }
        }
    });
    assert_eq!(daemon.stop().code, 0);
}
