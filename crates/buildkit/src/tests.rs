//! Digests of ops, beside those that the Docker engine of version 28 wrote for the same instructions.

use std::collections::BTreeMap;

use graph::{
    Copy, Edge, ExecOp, FileAction, FileActionKind, FileInput, FileOp, Graph, LocalSource, MergeOp,
    Meta, Mkdir, Mount, MountSource, NetworkMode, Op, Owner, OwnerName, Process, SecurityMode,
    SourceOp,
};
use oci::Platform;

use super::*;

/// The inputs of the ops below: what is changed, and what is read.
fn inputs() -> Vec<Edge> {
    let mut graph = Graph::default();
    let mut add = |name: &str| {
        let op = Op::Source(SourceOp::Local(LocalSource {
            name: name.to_owned(),
            include: Vec::new(),
            exclude: Vec::new(),
            follow: Vec::new(),
        }));
        graph.add(op, Vec::new(), Meta::default()).unwrap().into()
    };
    vec![add("base"), add("from")]
}

/// The beginnings of what an op is known by: itself, and by input its selector and the paths that
/// are read.
fn known(op: &Op) -> String {
    let inputs = inputs();
    let inputs = match op {
        Op::File(op) if !matches!(op.actions[0].kind, FileActionKind::Copy(_)) => &inputs[..1],
        Op::Exec(op) => &inputs[..op.mounts.len()],
        _ => &inputs[..],
    };
    let Some(map) = CacheMap::of(op, inputs, &Platform::new("linux", "amd64", "")) else {
        return "nothing".to_owned();
    };
    let mut text = output_key(&map.digest, 0).hex()[..12].to_owned();
    for input in map.inputs {
        let selector = input.selector.map(|s| s.hex()[..8].to_owned());
        let paths = input.content.map(|selectors| {
            let paths = selectors.into_iter().map(|selector| selector.path);
            paths.collect::<Vec<_>>().join("+")
        });
        let (selector, paths) = (selector.unwrap_or_default(), paths.unwrap_or_default());
        text.push_str(&format!(" [{selector} {paths}]"));
    }
    text
}

fn file(kind: FileActionKind) -> Op {
    Op::File(FileOp {
        actions: vec![FileAction {
            input: FileInput::Input(0),
            kind,
            output: Some(0),
        }],
    })
}

fn copy(source: &str, destination: &str) -> Op {
    file(FileActionKind::Copy(Copy {
        owner: Some(Owner {
            user: None,
            group: None,
        }),
        follow_links: true,
        directory_contents: true,
        allow_empty_wildcard: true,
        ..Copy::plain(
            FileInput::Input(1),
            source.to_owned(),
            destination.to_owned(),
        )
    }))
}

fn workdir(owner: Option<Owner>) -> Op {
    file(FileActionKind::Mkdir(Mkdir {
        path: "/src".to_owned(),
        mode: 0o755,
        parents: true,
        owner,
        created: None,
    }))
}

fn run(mounts: Vec<Mount>) -> Op {
    let text = |text: &str| text.to_owned();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let root = Mount {
        target: text("/"),
        source: MountSource::Bind {
            input: Some(0),
            selector: String::new(),
            output: Some(0),
        },
        read_only: false,
    };
    Op::Exec(ExecOp {
        process: Process {
            args: ["/bin/sh", "-c", "ls /"].map(text).to_vec(),
            env: [path, "X=1"].map(text).into_iter().collect(),
            cwd: text("/"),
            user: String::new(),
        },
        mounts: [root].into_iter().chain(mounts).collect(),
        network: NetworkMode::Host,
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

fn bound(selector: &str) -> Mount {
    Mount {
        target: "/bound".to_owned(),
        source: MountSource::Bind {
            input: Some(1),
            selector: selector.to_owned(),
            output: None,
        },
        read_only: true,
    }
}

#[test]
fn ops_are_known_as_by_buildkit() {
    for (op, expected) in [
        (workdir(None), "57a5ab45ee83 [ ]"),
        (
            copy("/a.txt", "/src/"),
            "dc205a0f3d0a [ ] [54fae40d /a.txt]",
        ),
        (copy("/dir", "/dst/"), "fda9c640f02b [ ] [4ddc3fcc /dir]"),
        (copy("/out", "/final"), "918677e07557 [ ] [a5bcd92e /out]"),
        (run(Vec::new()), "38f97411b46a [8a5edab2 ]"),
    ] {
        assert_eq!(known(&op), expected);
    }
}

/// What a mount reads is part of its input, not of the step.
#[test]
fn paths_are_no_part_of_an_op() {
    let step = |text: String| text.split(' ').next().unwrap_or_default().to_owned();
    let (one, two) = (
        known(&run(vec![bound("/a")])),
        known(&run(vec![bound("/b")])),
    );
    assert_ne!(one, two);
    assert_eq!(step(one), step(two));
    let (here, there) = (known(&copy("/x/f", "/")), known(&copy("/y/f", "/")));
    assert_ne!(here, there);
    assert_eq!(step(here), step(there));
}

#[test]
fn what_buildkit_has_no_equal_of_has_no_digest() {
    let secret = Mount {
        target: "/secret".to_owned(),
        source: MountSource::Secret {
            id: "token".to_owned(),
            at: graph::SecretTarget::Env("TOKEN".to_owned()),
            required: false,
            digest: Some([1; 32]),
        },
        read_only: true,
    };
    assert_eq!(known(&run(vec![secret])), "nothing");
    let merged = known(&Op::Merge(MergeOp));
    assert!(merged.ends_with(" [ ] [ ]"), "{merged}");
    let named = Owner {
        user: Some(OwnerName::Name("nobody".to_owned())),
        group: None,
    };
    assert_ne!(known(&workdir(Some(named))), known(&workdir(None)));
}
