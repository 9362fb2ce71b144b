//! Inputs that will be read in any case are made while something else runs.
//!
//! A vertex that reads content cannot be keyed before all its inputs are, so a chain of copies from
//! independent stages would realise one stage after the other. Once a step runs for such a chain,
//! what the rest of it reads is wanted at once. It is nearly always needed: only a step that makes
//! again what it made before lets an alias further on be found after all, and then what was
//! wanted too early is a record that is loaded, if it is still there.

use crate::build::Build;
use crate::build::state::Phase;
use crate::cache_storage::CacheStorage;
use crate::plan::Place;
use crate::worker::Worker;

impl<W: Worker, S: CacheStorage<Output = W::Output>> Build<W, S> {
    /// A step is about to run. Each vertex is looked at once in a build.
    pub(super) fn look_ahead(&mut self, running: Place) {
        let mut places = vec![running];
        let mut wanted = Vec::new();
        while let Some(place) = places.pop() {
            let Some(planned) = self.plan.get(place).filter(|planned| !planned.source) else {
                continue;
            };
            for &dependent in &planned.dependents {
                let state = &mut self.states[dependent];
                let blocked = matches!(
                    state.phase,
                    Phase::AwaitsKeys { .. } | Phase::Reading { .. }
                );
                if !blocked || std::mem::replace(&mut state.seen_ahead, true) {
                    continue;
                }
                places.push(dependent);
                let inputs = self.plan.inputs(dependent).iter();
                wanted.extend(
                    inputs
                        .filter(|input| input.portion.is_some())
                        .map(|input| input.place),
                );
            }
        }
        for place in wanted {
            self.want(place, None);
        }
    }
}
