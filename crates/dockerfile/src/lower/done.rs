//! Where the nodes that were gone through have ended.
//!
//! Their file systems are kept for whoever copies from them. All else of a stage is kept only for
//! stages that start from it, and handed on to the last of them, so that a chain of stages is
//! never copied.

use graph::Edge;

use super::error::LowerError;
use super::node::NodeId;
use super::scope::Scope;
use super::table::Table;
use crate::lower::budget::Budget;

/// Where the nodes that were gone through have ended.
#[derive(Debug)]
pub(super) struct Done {
    /// By node: its file system, once it was gone through.
    edges: Vec<Option<Option<Edge>>>,
    /// By node: where it ended, while somebody needs it.
    scopes: Vec<Option<Scope>>,
    /// By node: how many will ask for its scope.
    waiting: Vec<usize>,
}

impl Done {
    /// Nothing was gone through yet; `targets` are asked for in the end.
    pub(super) fn new(
        table: &Table,
        reachable: &[bool],
        targets: impl Iterator<Item = NodeId>,
    ) -> Self {
        let mut waiting = vec![0; reachable.len()];
        for target in targets {
            waiting[target] += 1;
        }
        let nodes = (0..reachable.len()).filter(|id| reachable[*id]);
        for base in nodes.filter_map(|id| table.base_stage(id)) {
            waiting[base] += 1;
        }
        Self {
            edges: vec![None; reachable.len()],
            scopes: waiting.iter().map(|_| None).collect(),
            waiting,
        }
    }

    /// A node was gone through.
    pub(super) fn end(&mut self, id: NodeId, scope: Scope) {
        self.edges[id] = Some(scope.edge);
        if self.waiting[id] > 0 {
            self.scopes[id] = Some(scope);
        }
    }

    /// The file system of a node; none when it was not gone through, or not to its end.
    pub(super) fn edge(&self, id: NodeId) -> Option<Option<Edge>> {
        self.edges[id]
    }

    /// Where a node ended. Each asks once.
    pub(super) fn take(
        &mut self,
        id: NodeId,
        budget: &mut Budget,
    ) -> Result<Option<Scope>, LowerError> {
        self.waiting[id] = self.waiting[id].saturating_sub(1);
        if self.waiting[id] == 0 {
            return Ok(self.scopes[id].take());
        }
        let scope = self.scopes[id].as_ref();
        budget.spend(scope.map_or(0, Scope::bytes))?;
        Ok(scope.cloned())
    }
}
