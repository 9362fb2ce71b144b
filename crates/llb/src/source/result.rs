//! `kiln-result://build/name`: a result of a build that is under way, for clients that make another
//! of it. It stands for the steps of the result, which the client never sees.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bollard_buildkit_proto::pb;
use oci::Digest;
use prost::Message as _;

use super::unknown;
use crate::error::Problem;
use crate::load::{Given, Outcome};

pub(super) const SCHEME: &str = "kiln-result";

/// The definition of a result, which only this machine understands.
#[must_use]
pub fn of_result(build: &str, name: &str) -> pb::Definition {
    let source = pb::SourceOp {
        identifier: format!("{SCHEME}://{build}/{name}"),
        attrs: BTreeMap::new(),
    };
    let source = pb::Op {
        op: Some(pb::op::Op::Source(source)),
        ..pb::Op::default()
    };
    let source = source.encode_to_vec();
    let digest = Digest::of(&source).to_string();
    let end = pb::Op {
        inputs: vec![pb::Input { digest, index: 0 }],
        ..pb::Op::default()
    };
    let def = vec![source, end.encode_to_vec()];
    // BuildKit's clients take a definition for none if nothing is said of its ops.
    let said = |bytes: &Vec<u8>| (Digest::of(bytes).to_string(), pb::OpMetadata::default());
    pb::Definition {
        metadata: def.iter().map(said).collect(),
        def,
        source: None,
    }
}

/// The results that a definition names: all of each identifier, the build and the name.
#[must_use]
pub fn results_in(definition: &pb::Definition) -> BTreeSet<(String, String, String)> {
    let ops = definition.def.iter();
    let ops = ops.filter_map(|bytes| pb::Op::decode(bytes.as_slice()).ok());
    let sources = ops.filter_map(|op| match op.op {
        Some(pb::op::Op::Source(source)) => Some(source.identifier),
        _ => None,
    });
    let results = sources.filter_map(|identifier| {
        let (build, name) = identifier
            .strip_prefix(SCHEME)?
            .strip_prefix("://")?
            .rsplit_once('/')?;
        let (build, name) = (build.to_owned(), name.to_owned());
        Some((identifier, build, name))
    });
    results.collect()
}

pub(super) fn convert(op: &pb::SourceOp, given: &Given<'_>) -> Result<Outcome, Problem> {
    if let Some(key) = op.attrs.keys().next() {
        return Err(unknown(key));
    }
    let found = given.options.results.get(&op.identifier);
    let found = found.ok_or_else(|| Problem::Result(op.identifier.clone()))?;
    Ok(Outcome::Graft(Arc::clone(found)))
}

#[cfg(test)]
mod tests {
    use graph::{Graph, LocalSource, Meta, Op, SourceOp};

    use super::*;
    use crate::{KnownResult, Loading, Options, Step};

    #[test]
    fn a_result_is_the_steps_that_it_was_planned_from() {
        let mut graph = Graph::default();
        let local = |name: &str| {
            Op::Source(SourceOp::Local(LocalSource {
                name: name.to_owned(),
                include: Vec::new(),
                exclude: Vec::new(),
                follow: Vec::new(),
            }))
        };
        graph
            .add(local("unused"), Vec::new(), Meta::default())
            .unwrap();
        let root = graph
            .add(local("used"), Vec::new(), Meta::default())
            .unwrap();
        let definition = of_result("a/b", "ref0");
        assert_eq!(definition.metadata.len(), definition.def.len());
        let found: Vec<_> = results_in(&definition).into_iter().collect();
        let identifier = "kiln-result://a/b/ref0".to_owned();
        let expected = (identifier.clone(), "a/b".to_owned(), "ref0".to_owned());
        assert_eq!(found, [expected]);

        let known = KnownResult {
            graph,
            root: Some(root.into()),
            required: Vec::new(),
        };
        let options = Options {
            results: [(identifier, Arc::new(known))].into(),
            ..Options::default()
        };
        let Step::Done(loaded) = Loading::new(&definition, options).unwrap().step().unwrap() else {
            panic!("a file was asked for");
        };
        let vertex = loaded.graph.get(loaded.root.unwrap().vertex).unwrap();
        assert_eq!((loaded.graph.len(), &vertex.op), (1, &local("used")));

        let missing = Loading::new(&definition, Options::default());
        let missing = missing.unwrap().step().unwrap_err();
        assert!(missing.to_string().contains("no such result"), "{missing}");
    }
}
