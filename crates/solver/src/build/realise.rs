//! The second pass: results, from the targets down to what has a record, and up again.

use std::sync::Arc;

use graph::Edge;

use crate::build::state::{Phase, Then};
use crate::build::{Build, BuildError, Event};
use crate::cache_storage::CacheStorage;
use crate::error::Failure;
use crate::in_flight::{Job, Made, Slot, SlotKey, take_part};
use crate::keys::{CacheKey, KeyParts};
use crate::plan::Place;
use crate::progress::step::StepProgress;
use crate::progress::{Origin, Progress};
use crate::worker::{Identity, Worker};

impl<W: Worker, S: CacheStorage<Output = W::Output>> Build<W, S> {
    /// Starts both passes.
    pub(super) fn begin(&mut self, targets: &[Edge]) {
        for (place, planned) in self.plan.iter() {
            let missing = planned.inputs.len();
            self.states[place].phase = Phase::AwaitsKeys { missing };
            if missing == 0 {
                self.queue.push_back(Event::InputsKeyed(place));
            }
        }
        for target in targets {
            self.want(target.vertex.index(), None);
        }
    }

    /// Asks for the result of a vertex, for an input of a reader or for the build itself.
    pub(super) fn want(&mut self, place: Place, reader: Option<(Place, usize)>) {
        let state = &mut self.states[place];
        state.waiting.extend(reader);
        if !state.wanted {
            state.wanted = true;
            self.queue.push_back(Event::Wanted(place));
        }
    }

    /// A vertex is wanted. If it has no key yet, this comes again when it has.
    pub(super) fn wanted(&mut self, place: Place) -> Result<(), BuildError<W, S>> {
        if !matches!(self.states[place].phase, Phase::Keyed) {
            return Ok(());
        }
        match self.states[place].key {
            Some(key) if !self.is_fresh(place) => {
                self.load(place, key, false);
                Ok(())
            }
            _ => self.await_inputs(place),
        }
    }

    pub(super) fn loaded(
        &mut self,
        place: Place,
        record: Option<Vec<W::Output>>,
    ) -> Result<(), BuildError<W, S>> {
        match record {
            None if self.worker.recalls() => self.recall(place),
            record => self.recalled(place, record, Origin::Recorded),
        }
    }

    /// Asks the worker for the record that the storage does not have.
    fn recall(&mut self, place: Place) -> Result<(), BuildError<W, S>> {
        let (Some(step), Some(key)) = (self.question(place), self.states[place].key) else {
            return Err(self.stalled());
        };
        let planned = self.plan.get(place).filter(|p| self.reads_content(p));
        let definition = planned.and_then(|planned| self.definition(planned));
        let worker = Arc::clone(&self.worker);
        self.ask(async move {
            let _cancels = step.cancelled.clone().drop_guard();
            Event::Recalled(place, worker.recall(&step, key, definition).await)
        });
        Ok(())
    }

    pub(super) fn recalled(
        &mut self,
        place: Place,
        record: Option<Vec<W::Output>>,
        origin: Origin,
    ) -> Result<(), BuildError<W, S>> {
        match record {
            Some(outputs) => {
                self.tell_untouched(place, origin);
                self.done(place, Made::new(outputs, true));
                Ok(())
            }
            None => match self.states[place].phase {
                Phase::Loading { settled: true } => self.start(place),
                _ => self.await_inputs(place),
            },
        }
    }

    /// An input is there, for a vertex that is to run or for one that reads it.
    pub(super) fn input_done(
        &mut self,
        reader: Place,
        number: usize,
    ) -> Result<(), BuildError<W, S>> {
        match &mut self.states[reader].phase {
            Phase::Reading { .. } => self.read_input(reader, number),
            Phase::AwaitsInputs { missing } => {
                *missing -= 1;
                match missing {
                    0 => self.settle(reader),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// The key was made from the inputs as they are. A new one may have a record after all.
    pub(super) fn settled(&mut self, place: Place) -> Result<(), BuildError<W, S>> {
        let Some((keys, _)) = self.keys(place) else {
            return Err(self.stalled());
        };
        if self.states[place].key == Some(keys.canonical) {
            return self.start(place);
        }
        self.states[place].key = Some(keys.canonical);
        self.note(place, &keys);
        if self.is_fresh(place) {
            return self.start(place);
        }
        self.load(place, keys.canonical, true);
        Ok(())
    }

    /// Runs a vertex, or joins whoever runs the same.
    pub(super) fn start(&mut self, place: Place) -> Result<(), BuildError<W, S>> {
        let known = self.states[place].key.and_then(|key| self.made.get(&key));
        if let Some(made) = known.cloned() {
            self.tell_untouched(place, Origin::MadeBefore);
            self.done(place, made);
            return Ok(());
        }
        let inputs = self.input_values(place)?;
        let identity = self.identity(place);
        let progress = StepProgress::new(Arc::clone(&self.shared.clock));
        let Some(step) = self.step(place, identity, progress) else {
            return Err(self.stalled());
        };
        let (vertex, key, fresh) = (step.digest(), step.key(), self.is_fresh(place));
        let job = Job {
            worker: Arc::clone(&self.worker),
            storage: Arc::clone(&self.shared.storage),
            step,
            inputs,
            fresh,
            starter: Arc::downgrade(&self.presence),
        };
        let (slot, is_shared) = match key {
            Some(key) => self.shared.in_flight.join(SlotKey { key, fresh }, job),
            None => (Slot::alone(job), false),
        };
        self.states[place].phase = Phase::Running;
        self.look_ahead(place);
        let listener = slot.progress.listen(self.progress.clone(), vertex);
        if is_shared {
            self.progress.send(Progress::Shared { vertex });
        }
        let turn = self.critical_path.turn(place, &self.plan, &self.states);
        let limiter = Arc::clone(&self.limiter);
        self.ask(async move { Event::Ran(place, take_part(slot, listener, limiter, turn).await) });
        Ok(())
    }

    /// A vertex has its result.
    pub(super) fn done(&mut self, place: Place, made: Made<W::Output>) {
        if let Some(key) = self.states[place].key.filter(|_| !made.was_cached) {
            self.made.insert(key, made.clone());
        }
        self.critical_path.one_done();
        let state = &mut self.states[place];
        state.phase = Phase::Done(made);
        for (reader, number) in std::mem::take(&mut state.waiting) {
            self.queue.push_back(Event::InputDone(reader, number));
        }
    }

    fn load(&mut self, place: Place, key: CacheKey, settled: bool) {
        self.states[place].phase = Phase::Loading { settled };
        let storage = Arc::clone(&self.shared.storage);
        self.ask(async move {
            let answer = storage.load(key).await;
            Event::Loaded(place, answer.map_err(Failure::storage))
        });
    }

    fn await_inputs(&mut self, place: Place) -> Result<(), BuildError<W, S>> {
        let mut awaited = Vec::new();
        for (number, input) in self.plan.inputs(place).iter().enumerate() {
            if self.states[input.place].made().is_none() {
                awaited.push((number, input.place));
            }
        }
        let missing = awaited.len();
        self.states[place].phase = Phase::AwaitsInputs { missing };
        if missing == 0 {
            return self.settle(place);
        }
        for (number, input) in awaited {
            self.want(input, Some((place, number)));
        }
        Ok(())
    }

    /// Makes sure of the key of a vertex whose inputs are there. A source has no inputs, and is
    /// what it was pinned to.
    fn settle(&mut self, place: Place) -> Result<(), BuildError<W, S>> {
        match self.plan.get(place) {
            Some(planned) if planned.source => self.start(place),
            _ => self.read(place, Then::Run),
        }
    }

    fn input_values(&self, place: Place) -> Result<Vec<W::Output>, BuildError<W, S>> {
        let inputs = self.plan.inputs(place).iter();
        inputs
            .map(|input| self.output(input.place, input.output))
            .collect()
    }

    fn identity(&self, place: Place) -> Option<Identity> {
        let key = self.states[place].key?;
        let planned = self.plan.get(place)?;
        let vertex = self.graph.get(planned.id)?;
        let inputs = if planned.source {
            Vec::new()
        } else {
            self.keys(place)?.1
        };
        let parts = Arc::new(KeyParts {
            name: vertex.meta.name.clone(),
            written: vertex.meta.written.clone(),
            op: vertex.op.clone(),
            inputs,
        });
        Some(Identity { key, parts })
    }

    fn is_fresh(&self, place: Place) -> bool {
        self.plan.get(place).is_some_and(|planned| planned.fresh)
    }

    /// Tells that a vertex is cached, and with it those that only it would have needed.
    fn tell_untouched(&mut self, vertex: Place, origin: Origin) {
        let mut found = Vec::new();
        let mut stack = vec![vertex];
        while let Some(next) = stack.pop() {
            if std::mem::replace(&mut self.states[next].told, true) {
                continue;
            }
            found.push(next);
            let inputs = self.plan.inputs(next).iter().map(|input| input.place);
            stack.extend(inputs.filter(|&input| {
                let state = &self.states[input];
                matches!(state.phase, Phase::Keyed) && !state.wanted
            }));
        }
        found.sort_unstable();
        let at = (self.shared.clock)();
        for place in found {
            if let Some(planned) = self.plan.get(place) {
                let origin = match place == vertex {
                    true => origin,
                    false => Origin::NotNeeded,
                };
                let vertex = planned.digest;
                self.progress.send(Progress::Cached { vertex, at, origin });
            }
        }
    }
}
