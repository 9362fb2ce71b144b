//! What a scanner is shown when results are to be scanned: the target, and what `ARG` says beside
//! it. No step sees these arguments.

use std::collections::{BTreeMap, BTreeSet};

use graph::Edge;

use super::dispatch::Dispatcher;
use super::error::LowerError;
use super::globals::Globals;
use super::node::NodeId;
use super::scope::Scope;
use crate::word::Variables as _;

const OF_CONTEXT: &str = "BUILDKIT_SBOM_SCAN_CONTEXT";
const OF_STAGE: &str = "BUILDKIT_SBOM_SCAN_STAGE";

/// Variables that say what to scan.
pub(super) const ARGUMENTS: [&str; 2] = [OF_CONTEXT, OF_STAGE];

/// What the build context is called beside stages.
const CONTEXT: &str = "context";

/// What a scanner is shown beside a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// By name: file systems of stages and the build context; none for one that is empty.
    pub more: BTreeMap<String, Option<Edge>>,
    /// It is scanned even when what comes of that is known.
    pub ignore_cache: bool,
}

/// Nodes that ask for something to be scanned.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// Which are to be scanned beside targets that need them.
    stages: BTreeSet<NodeId>,
    /// With which the context is to be scanned.
    context: BTreeSet<NodeId>,
}

impl Asking {
    /// Notes what the node asks for that ended in `scope`.
    pub(super) fn note(&mut self, id: NodeId, name: &str, scope: &Scope, globals: &Globals) {
        let asks = |argument: &str| {
            let own = scope.args.iter().find(|arg| arg.key == argument);
            let own = own.and_then(|arg| arg.value.as_deref());
            let value = own.or_else(|| globals.env.get(argument));
            value.is_some_and(|value| is_meant(name, value))
        };
        if asks(OF_CONTEXT) {
            self.context.insert(id);
        }
        if asks(OF_STAGE) {
            self.stages.insert(id);
        }
    }
}

impl Dispatcher<'_> {
    /// What a scanner is shown beside the target at `id`.
    pub(super) fn scan(&mut self, id: NodeId) -> Result<Scan, LowerError> {
        let lowering = self.lowering;
        if !lowering.options.scan {
            return Ok(Scan::default());
        }
        let nodes = &lowering.table.nodes;
        let mut scan = Scan {
            ignore_cache: nodes[id].ignore_cache,
            more: BTreeMap::new(),
        };
        if self.asking.context.contains(&id) {
            let context = self.sources.context(&lowering.options)?;
            scan.more.insert(CONTEXT.to_owned(), context);
        }
        let needed = lowering.table.reachable([id]);
        for stage in self.asking.stages.iter().copied() {
            if stage == id || !needed[stage] {
                continue;
            }
            if let Some(edge) = self.done.edge(stage) {
                scan.more.insert(nodes[stage].name.clone(), edge);
                scan.ignore_cache |= nodes[stage].ignore_cache;
            }
        }
        Ok(scan)
    }
}

/// Yes or no as Go reads it, or names of stages.
fn is_meant(stage: &str, value: &str) -> bool {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        names => names.split(',').any(|name| name == stage),
    }
}
