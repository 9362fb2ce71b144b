//! Which of several steps runs first when not all can: the one with the most steps that must
//! follow one another after it.

use std::cmp::Reverse;

use crate::build::state::VertexState;
use crate::limits::Turn;
use crate::plan::{Place, Plan};

/// Ranks vertices by what depends on them and is not done.
///
/// Ranking all of them takes one pass over the graph, so it is done again only when an eighth of
/// them has got done since; in between, ranks are slightly out of date.
#[derive(Debug, Default)]
pub(super) struct CriticalPath {
    ranks: Vec<u32>,
    done_since: usize,
}

impl CriticalPath {
    pub(super) const fn one_done(&mut self) {
        self.done_since += 1;
    }

    /// The turn of a vertex: by the number of vertices on the longest chain from it to a target.
    pub(super) fn turn<O>(&mut self, place: Place, plan: &Plan, states: &[VertexState<O>]) -> Turn {
        if self.ranks.is_empty() || self.done_since > plan.len() / 8 {
            self.ranks = ranks(plan, states);
            self.done_since = 0;
        }
        let rank = self.ranks.get(place).copied().unwrap_or_default();
        (rank, Reverse(place))
    }
}

fn ranks<O>(plan: &Plan, states: &[VertexState<O>]) -> Vec<u32> {
    let mut ranks = vec![0; plan.len()];
    for (place, planned) in plan.iter().rev() {
        if states[place].made().is_none() {
            let dependents = planned.dependents.iter().map(|&dependent| ranks[dependent]);
            ranks[place] = dependents.max().unwrap_or(0) + 1;
        }
    }
    ranks
}
