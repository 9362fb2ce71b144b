//! What a build came to.

use std::sync::Arc;

use graph::Edge;

use crate::build::{Build, BuildError};
use crate::cache_storage::CacheStorage;
use crate::error::SolveError;
use crate::plan::Place;
use crate::solver::{How, Solution, Solved, SolvedVertex};
use crate::worker::Worker;

impl<W: Worker, S: CacheStorage<Output = W::Output>> Build<W, S> {
    /// The results, when nothing is under way any more.
    pub(super) fn solution(
        &self,
        targets: &[Edge],
    ) -> Result<Solution<W::Output>, BuildError<W, S>> {
        let solved = |target: &Edge| {
            let place = target.vertex.index();
            let state = &self.states[place];
            let made = state.made().ok_or_else(|| self.stalled())?;
            Ok(Solved {
                output: self.output(place, target.output)?,
                cache_key: state.key,
                was_cached: made.was_cached,
            })
        };
        let targets = targets.iter().map(solved).collect::<Result<_, _>>()?;
        let vertices = self.plan.iter().map(|(place, planned)| {
            let state = &self.states[place];
            SolvedVertex {
                id: planned.id,
                cache_key: state.key,
                definition: Some(planned)
                    .filter(|planned| !planned.source && self.reads_content(planned))
                    .and_then(|planned| self.definition(planned)),
                how: match state.made() {
                    None => How::Untouched,
                    Some(made) if made.was_cached => How::Cached(Arc::clone(&made.outputs)),
                    Some(made) => How::Executed(Arc::clone(&made.outputs)),
                },
            }
        });
        Ok(Solution {
            vertices: vertices.collect(),
            targets,
        })
    }

    /// One output of a vertex that is done.
    pub(super) fn output(&self, place: Place, output: u32) -> Result<W::Output, BuildError<W, S>> {
        let outputs = self.states[place].made().map(|made| &made.outputs);
        let found = outputs.and_then(|outputs| outputs.get(output as usize));
        found.cloned().ok_or_else(|| match self.failed_step(place) {
            Some(step) => SolveError::UnknownOutput {
                step,
                output,
                outputs: outputs.map_or(0, |outputs| outputs.len()),
            },
            None => self.stalled(),
        })
    }
    /// What nobody should see: a build that cannot go on.
    pub(super) fn stalled(&self) -> BuildError<W, S> {
        let unfinished = self
            .states
            .iter()
            .filter(|state| state.wanted && state.made().is_none());
        SolveError::Stalled {
            unfinished: unfinished.count(),
        }
    }
}
