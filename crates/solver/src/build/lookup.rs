//! The first pass: keys, inputs first.

use std::sync::Arc;

use crate::build::contents::{Need, Read};
use crate::build::state::{Keys, Phase, Then};
use crate::build::{Answer, Build, BuildError, Event};
use crate::cache_storage::CacheStorage;
use crate::error::{Doing, Failure};
use crate::keys::{CacheKey, Checksum};
use crate::plan::Place;
use crate::worker::Worker;

impl<W: Worker, S: CacheStorage<Output = W::Output>> Build<W, S> {
    /// A vertex can be given its keys: all its inputs have theirs.
    pub(super) fn inputs_keyed(&mut self, place: Place) -> Result<(), BuildError<W, S>> {
        let Some(planned) = self.plan.get(place) else {
            return Ok(());
        };
        if planned.source {
            return self.pin(place);
        }
        let definition = self.definition(planned);
        if !self.reads_content(planned) {
            self.keyed(place, definition.map(CacheKey::from));
            return Ok(());
        }
        match definition {
            Some(definition) if !self.reads_fresh(planned) => {
                self.states[place].phase = Phase::Resolving;
                let storage = Arc::clone(&self.shared.storage);
                self.ask(async move {
                    let answer = storage.canonical(definition).await;
                    Event::Resolved(place, answer.map_err(Failure::storage))
                });
                Ok(())
            }
            _ => self.read(place, Then::Keyed),
        }
    }

    pub(super) fn resolved(
        &mut self,
        place: Place,
        key: Option<CacheKey>,
    ) -> Result<(), BuildError<W, S>> {
        match key {
            Some(key) => {
                self.keyed(place, Some(key));
                Ok(())
            }
            None if self.worker.recalls() => self.guess(place),
            None => self.read(place, Then::Keyed),
        }
    }

    /// Asks the worker for the key that the storage does not know.
    fn guess(&mut self, place: Place) -> Result<(), BuildError<W, S>> {
        let planned = self.plan.get(place);
        let definition = planned.and_then(|planned| self.definition(planned));
        let (Some(step), Some(definition)) = (self.question(place), definition) else {
            return Err(self.stalled());
        };
        let worker = Arc::clone(&self.worker);
        self.ask(async move {
            let _cancels = step.cancelled.clone().drop_guard();
            Event::Guessed(place, worker.canonical(&step, definition).await)
        });
        Ok(())
    }

    pub(super) fn guessed(
        &mut self,
        place: Place,
        key: Option<CacheKey>,
    ) -> Result<(), BuildError<W, S>> {
        match key {
            Some(key) => {
                self.keyed(place, Some(key));
                Ok(())
            }
            None => self.read(place, Then::Keyed),
        }
    }

    /// A vertex has its key, or is a source that has none.
    pub(super) fn keyed(&mut self, place: Place, key: Option<CacheKey>) {
        let state = &mut self.states[place];
        state.phase = Phase::Keyed;
        state.key = key;
        if state.wanted {
            self.queue.push_back(Event::Wanted(place));
        }
        let dependents = self.plan.get(place).map(|planned| &planned.dependents);
        for &dependent in dependents.into_iter().flatten() {
            if let Phase::AwaitsKeys { missing } = &mut self.states[dependent].phase {
                *missing -= 1;
                if *missing == 0 {
                    self.queue.push_back(Event::InputsKeyed(dependent));
                }
            }
        }
    }

    /// Looks at all contents that the key of a vertex depends on.
    pub(super) fn read(&mut self, place: Place, then: Then) -> Result<(), BuildError<W, S>> {
        let Some(planned) = self.plan.get(place) else {
            return Ok(());
        };
        let numbered = planned.inputs.iter().enumerate();
        let inputs: Vec<usize> = numbered
            .filter(|(_, input)| self.portion(input).is_some())
            .map(|(number, _)| number)
            .collect();
        // All are counted before the first is asked for, since some are known at once.
        self.states[place].phase = Phase::Reading {
            missing: inputs.len(),
            then,
        };
        if inputs.is_empty() {
            return self.have_read(place, then);
        }
        for number in inputs {
            self.read_input(place, number)?;
        }
        Ok(())
    }

    /// Looks at one content, once the input is there.
    pub(super) fn read_input(
        &mut self,
        reader: Place,
        number: usize,
    ) -> Result<(), BuildError<W, S>> {
        let Some(input) = self.plan.inputs(reader).get(number) else {
            return Ok(());
        };
        let Some(portion) = self.portion(input) else {
            return Ok(());
        };
        let (source, output) = (input.place, input.output);
        if self.states[source].made().is_none() {
            self.want(source, Some((reader, number)));
            return Ok(());
        }
        let read = self.read_of(input, &portion);
        match self.contents.need(read, reader) {
            Need::Met => self.one_read(reader),
            Need::Waits => Ok(()),
            Need::Ask => {
                let value = self.output(source, output)?;
                let Some(step) = self.question(reader) else {
                    return Ok(());
                };
                let worker = Arc::clone(&self.worker);
                self.ask(async move {
                    let _cancels = step.cancelled.clone().drop_guard();
                    let answer = worker.checksum(&step, &value, &portion).await;
                    Event::Summed(read, answer.map_err(Failure::worker(Doing::Read)))
                });
                Ok(())
            }
        }
    }

    pub(super) fn summed(
        &mut self,
        read: Read,
        answer: Answer<W, S, Checksum>,
    ) -> Result<(), BuildError<W, S>> {
        let reader = self.contents.reader(&read).unwrap_or(read.place);
        let checksum = self.answered(reader, answer)?;
        for reader in self.contents.known(read, checksum) {
            self.one_read(reader)?;
        }
        Ok(())
    }

    /// Notes what a definition key led to.
    pub(super) fn note(&mut self, place: Place, keys: &Keys) {
        let (Some(definition), key) = (keys.alias, keys.canonical) else {
            return;
        };
        let storage = Arc::clone(&self.shared.storage);
        self.ask(async move {
            let answer = storage.alias(definition, key).await;
            Event::Noted(place, answer.map_err(Failure::storage))
        });
    }

    fn pin(&mut self, place: Place) -> Result<(), BuildError<W, S>> {
        let step = self.question(place).ok_or_else(|| self.stalled())?;
        self.states[place].phase = Phase::Pinning;
        let worker = Arc::clone(&self.worker);
        self.ask(async move {
            let _cancels = step.cancelled.clone().drop_guard();
            let answer = worker.pin(&step).await;
            Event::Pinned(place, answer.map_err(Failure::worker(Doing::Resolve)))
        });
        Ok(())
    }

    fn one_read(&mut self, reader: Place) -> Result<(), BuildError<W, S>> {
        let Phase::Reading { missing, then } = &mut self.states[reader].phase else {
            return Ok(());
        };
        *missing -= 1;
        match (*missing, *then) {
            (0, then) => self.have_read(reader, then),
            _ => Ok(()),
        }
    }

    fn have_read(&mut self, place: Place, then: Then) -> Result<(), BuildError<W, S>> {
        match then {
            Then::Run => self.settled(place),
            Then::Keyed => {
                let Some((keys, _)) = self.keys(place) else {
                    return Err(self.stalled());
                };
                self.note(place, &keys);
                self.keyed(place, Some(keys.canonical));
                Ok(())
            }
        }
    }
}
