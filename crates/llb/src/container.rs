//! Mounts of containers that front ends ask for. They name results where those of steps name inputs.

use bollard_buildkit_proto::pb;
use graph::{Edge, Graph, GraphError, LocalSource, Meta, Mount, Op, SourceOp};

use crate::error::Problem;
use crate::load::Given;
use crate::mount::Mounts;
use crate::options::Options;
use crate::path;

/// Mounts, and what they show.
#[derive(Debug, Default)]
pub struct ContainerMounts {
    /// The root comes first; inputs are numbers of `results`.
    pub mounts: Vec<Mount>,
    /// IDs of results.
    pub results: Vec<String>,
    /// Where each mount that was asked for is, in the order in which it was.
    pub targets: Vec<String>,
}

/// What a front end asks a container to have. What is written in it is kept nowhere.
///
/// # Errors
/// Something is wrong with a mount, or is what kiln does not have.
pub fn container_mounts(
    asked: &[pb::Mount],
    options: &Options,
) -> Result<ContainerMounts, Problem> {
    let mut graph = Graph::default();
    let (mut inputs, mut results) = (Vec::new(), Vec::new());
    let mut op = pb::ExecOp::default();
    for mount in asked {
        let mut mount = mount.clone();
        let result = std::mem::take(&mut mount.result_id);
        let is_root = path::within("/", &mount.dest) == "/";
        mount.output = if is_root && !mount.readonly { 0 } else { -1 };
        mount.input = -1;
        if !result.is_empty() {
            mount.input = i64::try_from(inputs.len()).unwrap_or(i64::MAX);
            inputs.push(Some(stand_in(&mut graph, inputs.len())?));
            results.push(result);
        }
        op.mounts.push(mount);
    }
    let given = Given {
        options,
        graph: &graph,
        platform: None,
        inputs: &inputs,
    };
    let converted = Mounts::convert(&op, "/", &given)?;
    let result = |edge: &Edge| results.get(edge.vertex.index()).cloned();
    Ok(ContainerMounts {
        mounts: converted.mounts,
        results: converted.inputs.iter().filter_map(result).collect(),
        targets: op
            .mounts
            .iter()
            .map(|mount| path::within("/", &mount.dest))
            .collect(),
    })
}

/// A vertex in place of the result of this number.
fn stand_in(graph: &mut Graph, number: usize) -> Result<Edge, Problem> {
    let source = LocalSource {
        name: number.to_string(),
        include: Vec::new(),
        exclude: Vec::new(),
        follow: Vec::new(),
    };
    let added = graph.add(
        Op::Source(SourceOp::Local(source)),
        Vec::new(),
        Meta::default(),
    );
    let added = added.map_err(|error: GraphError| Problem::Invalid(error.to_string()))?;
    Ok(added.into())
}

#[cfg(test)]
mod tests {
    use graph::MountSource;

    use super::*;

    fn bind(dest: &str, result: &str, readonly: bool) -> pb::Mount {
        pb::Mount {
            dest: dest.to_owned(),
            result_id: result.to_owned(),
            readonly,
            ..pb::Mount::default()
        }
    }

    #[test]
    fn results_stand_in_the_place_of_inputs() {
        let asked = [
            bind("b", "second", true),
            bind("/", "first", false),
            bind("/c", "", false),
        ];
        let found = container_mounts(&asked, &Options::default()).unwrap();
        let shown: Vec<_> = found
            .mounts
            .iter()
            .map(|mount| {
                let MountSource::Bind { input, output, .. } = &mount.source else {
                    panic!("{mount:?}");
                };
                let result = input.map(|input| found.results[input as usize].as_str());
                (mount.target.as_str(), result, *output, mount.read_only)
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("/", Some("first"), Some(0), false),
                ("/b", Some("second"), None, true),
                ("/c", None, None, false),
            ]
        );
        assert_eq!(found.targets, ["/b", "/", "/c"]);
        assert!(container_mounts(&asked[..1], &Options::default()).is_err());
    }
}
