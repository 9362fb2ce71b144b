//! Steps that led to a result.

use graph::{FileOp, ImageSource, Location, Meta, Process, PullPolicy, Remove};

use super::*;

fn image() -> Op {
    Op::Source(SourceOp::Image(ImageSource {
        reference: "a:1".parse().unwrap(),
        platform: "linux/amd64".parse().unwrap(),
        pull: PullPolicy::Missing,
    }))
}

fn removal() -> Op {
    let remove = Remove {
        path: "/x".to_owned(),
        allow_missing: false,
        wildcard: false,
    };
    Op::File(FileOp {
        actions: vec![FileAction {
            input: FileInput::Input(0),
            kind: FileActionKind::Remove(remove),
            output: Some(0),
        }],
    })
}

fn run() -> Op {
    let mount = |target: &str, source| Mount {
        target: target.to_owned(),
        source,
        read_only: false,
    };
    let secret = |at| MountSource::Secret {
        id: "s".to_owned(),
        at,
        required: false,
        digest: None,
    };
    let root = MountSource::Bind {
        input: Some(0),
        selector: String::new(),
        output: Some(0),
    };
    Op::Exec(ExecOp {
        process: Process {
            args: vec!["true".to_owned()],
            env: ["A=b".to_owned()].into_iter().collect(),
            cwd: "/".to_owned(),
            user: "me".to_owned(),
        },
        mounts: vec![
            mount("/", root),
            mount("", secret(SecretTarget::Env("S".to_owned()))),
        ],
        network: NetworkMode::None,
        security: SecurityMode::Sandbox,
        devices: Vec::new(),
        extra_hosts: Vec::new(),
        hostname: None,
        shm_size: None,
        ulimits: Vec::new(),
        proxy: BTreeMap::new(),
        valid_exit_codes: Vec::new(),
    })
}

#[test]
fn what_leads_to_the_result() {
    let mut graph = Graph::default();
    let lines = |first_line, last_line| Meta {
        locations: vec![Location {
            first_line,
            last_line,
            ..Location::default()
        }],
        ..Meta::default()
    };
    let image = graph.add(image(), Vec::new(), Meta::default()).unwrap();
    // Not a part of it.
    graph
        .add(run(), vec![image.into()], Meta::default())
        .unwrap();
    let removed = graph
        .add(removal(), vec![image.into()], lines(2, 2))
        .unwrap();
    let ran = graph.add(run(), vec![removed.into()], lines(3, 4)).unwrap();
    let reached = BTreeSet::from([image, removed, ran]);
    let digest = |id| graph.get(id).unwrap().digest.to_string();
    let location = |first: u32, last: u32| {
        let range = json!({"start": {"line": first}, "end": {"line": last}});
        json!({"locations": [{"ranges": [range]}]})
    };
    let expected = Steps {
        config: json!({
            "llbDefinition": [
                {"id": "step0", "op": {"Op": {"source": {
                    "identifier": "docker-image://docker.io/library/a:1",
                }}}},
                {"id": "step1", "inputs": ["step0:0"], "op": {"Op": {"file": {"actions": [{
                    "input": 0, "secondaryInput": -1, "output": 0,
                    "Action": {"rm": {"path": "/x"}},
                }]}}}},
                {"id": "step2", "inputs": ["step1:0"], "op": {"Op": {"exec": {
                    "meta": {"args": ["true"], "env": ["A=b"], "cwd": "/", "user": "me"},
                    "mounts": [{"dest": "/", "input": 0, "selector": "", "output": 0}],
                    "secretenv": [{"ID": "s", "name": "S", "optional": true}],
                    "network": 2,
                }}}},
                {"id": "step3", "inputs": ["step2:0"], "op": {"Op": {}}},
            ],
            "digestMapping": {
                digest(image): "step0", digest(removed): "step1", digest(ran): "step2",
            },
        }),
        locations: json!({"step1": location(2, 2), "step2": location(3, 4)}),
    };
    assert_eq!(steps(&graph, &reached, Some(ran.into())), expected);
}
