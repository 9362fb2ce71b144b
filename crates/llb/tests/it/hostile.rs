//! Bytes that nobody checked.

use llb::{Loading, Options, Step, pb};
use oci::Digest;
use proptest::prelude::*;
use prost::Message as _;

/// Loads as far as it goes; a file that is asked for holds the same again.
fn load(definition: &pb::Definition) {
    let Ok(mut loading) = Loading::new(definition, Options::default()) else {
        return;
    };
    let again = definition.encode_to_vec();
    while let Ok(Step::NeedFile(_)) = loading.step() {
        if loading.answer(&again).is_err() {
            return;
        }
    }
}

fn op(op: pb::Op) -> Vec<u8> {
    op.encode_to_vec()
}

fn input(digest: Digest) -> pb::Input {
    pb::Input {
        digest: digest.to_string(),
        index: 0,
    }
}

fn source() -> Vec<u8> {
    op(pb::Op {
        op: Some(pb::op::Op::Source(pb::SourceOp {
            identifier: "docker-image://alpine:latest".to_owned(),
            attrs: std::collections::BTreeMap::new(),
        })),
        ..pb::Op::default()
    })
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(definition) = llb::decode(&bytes) {
            load(&definition);
        }
    }

    #[test]
    fn no_op_panics(ops in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..60), 1..4
    )) {
        load(&definition_of(ops));
    }

    /// Ops of all kinds with any numbers in them.
    #[test]
    fn no_index_panics(
        numbers in proptest::collection::vec(-3i64..4, 12),
        kind in 0usize..6,
        outputs in 0i64..4,
    ) {
        let first = source();
        let inputs = vec![input(Digest::of(&first)); usize::try_from(outputs).unwrap()];
        let second = any_op(kind, &numbers, inputs);
        load(&definition_of(vec![first, second]));
    }
}

/// The result is the last op, whatever it is.
fn definition_of(mut ops: Vec<Vec<u8>>) -> pb::Definition {
    let last = Digest::of(ops.last().unwrap());
    ops.push(op(pb::Op {
        inputs: vec![input(last)],
        ..pb::Op::default()
    }));
    pb::Definition {
        def: ops,
        ..pb::Definition::default()
    }
}

fn any_op(kind: usize, numbers: &[i64], inputs: Vec<pb::Input>) -> Vec<u8> {
    use pb::op::Op;
    let mount = |numbers: &[i64]| pb::Mount {
        input: numbers[0],
        dest: "/".repeat(usize::try_from(numbers[1].abs()).unwrap()),
        output: numbers[2],
        mount_type: i32::try_from(numbers[3]).unwrap(),
        ..pb::Mount::default()
    };
    let action = |numbers: &[i64]| pb::FileAction {
        input: numbers[0],
        secondary_input: numbers[1],
        output: numbers[2],
        action: Some(pb::file_action::Action::Copy(pb::FileActionCopy::default())),
    };
    let parts = numbers.chunks(4);
    let kind = match kind {
        0 => Op::Exec(pb::ExecOp {
            meta: Some(pb::Meta {
                args: vec!["x".to_owned()],
                ..pb::Meta::default()
            }),
            mounts: parts.map(mount).collect(),
            ..pb::ExecOp::default()
        }),
        1 => Op::File(pb::FileOp {
            actions: parts.map(action).collect(),
        }),
        2 => Op::Merge(pb::MergeOp {
            inputs: numbers
                .iter()
                .map(|input| pb::MergeInput { input: *input })
                .collect(),
        }),
        3 => Op::Diff(pb::DiffOp {
            lower: Some(pb::LowerDiffInput { input: numbers[0] }),
            upper: Some(pb::UpperDiffInput { input: numbers[1] }),
        }),
        4 => Op::Build(pb::BuildOp {
            builder: -1,
            inputs: [(
                "buildkit.llb.definition".to_owned(),
                pb::BuildInput { input: numbers[0] },
            )]
            .into(),
            ..pb::BuildOp::default()
        }),
        _ => Op::Source(pb::SourceOp::default()),
    };
    op(pb::Op {
        inputs,
        op: Some(kind),
        ..pb::Op::default()
    })
}

#[test]
fn merges_of_merges_have_short_names() {
    let mut ops = vec![source()];
    for _ in 0..1000 {
        let last = Digest::of(ops.last().unwrap());
        ops.push(op(pb::Op {
            inputs: vec![input(last), input(last)],
            op: Some(pb::op::Op::Merge(pb::MergeOp {
                inputs: vec![pb::MergeInput { input: 0 }, pb::MergeInput { input: 1 }],
            })),
            ..pb::Op::default()
        }));
    }
    let definition = definition_of(ops);
    let mut loading = Loading::new(&definition, Options::default()).unwrap();
    let Step::Done(loaded) = loading.step().unwrap() else {
        panic!("it asks for a file");
    };
    assert_eq!(loaded.graph.len(), 1001);
    assert!(loaded.vertices.iter().all(|vertex| vertex.name.len() < 300));
}

#[test]
fn what_is_too_large_is_refused() {
    let many = pb::Definition {
        def: vec![source(); llb::limits::OPS + 1],
        ..pb::Definition::default()
    };
    let error = Loading::new(&many, Options::default()).unwrap_err();
    let text = "a definition with 20001 ops, more than 20000, is refused";
    assert_eq!(error.to_string(), text);
    let error = llb::decode(&vec![0; llb::limits::BYTES + 1]).unwrap_err();
    let text = "a definition with 16777217 bytes, more than 16777216, is refused";
    assert_eq!(error.to_string(), text);
}
