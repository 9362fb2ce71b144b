//! What the keys of a vertex are made of, as far as it is known.

use std::sync::Arc;

use crate::build::Build;
use crate::build::contents::Read;
use crate::build::state::Keys;
use crate::cache_storage::CacheStorage;
use crate::keys::{DefinitionKey, InputPart, Portion, content_key, definition_key};
use crate::plan::{Input, Place, Planned};
use crate::worker::Worker;

impl<W: Worker, S: CacheStorage<Output = W::Output>> Build<W, S> {
    /// The keys of a vertex of which all contents are known.
    pub(super) fn keys(&self, place: Place) -> Option<(Keys, Vec<InputPart>)> {
        let planned = self.plan.get(place)?;
        let parts = self.parts(planned)?;
        let definition = self.definition(planned);
        let by_content = parts
            .iter()
            .any(|part| matches!(part, InputPart::Content { .. }));
        let keys = if by_content {
            Keys {
                canonical: content_key(&planned.op, &parts),
                alias: definition,
            }
        } else {
            Keys {
                canonical: definition?.into(),
                alias: None,
            }
        };
        Some((keys, parts))
    }

    /// The definition key, if all inputs have keys.
    pub(super) fn definition(&self, planned: &Planned) -> Option<DefinitionKey> {
        let key = |input: &Input| Some((self.states[input.place].key?, input.output));
        let inputs: Option<Vec<_>> = planned.inputs.iter().map(key).collect();
        Some(definition_key(&planned.op, &inputs?))
    }

    pub(super) fn parts(&self, planned: &Planned) -> Option<Vec<InputPart>> {
        let part = |input: &Input| {
            Some(match self.portion(input) {
                None => InputPart::Whole {
                    key: self.states[input.place].key?,
                    output: input.output,
                },
                Some(portion) => InputPart::Content {
                    checksum: self.contents.get(&self.read_of(input, &portion))?,
                    portion: Portion::clone(&portion),
                },
            })
        };
        planned.inputs.iter().map(part).collect()
    }

    pub(super) fn reads_content(&self, planned: &Planned) -> bool {
        planned
            .inputs
            .iter()
            .any(|input| self.portion(input).is_some())
    }

    /// It reads something that is made anew, so that an alias says nothing.
    pub(super) fn reads_fresh(&self, planned: &Planned) -> bool {
        planned.inputs.iter().any(|input| {
            input.portion.is_some()
                && self
                    .plan
                    .get(input.place)
                    .is_some_and(|source| source.fresh)
        })
    }

    /// What is read of an input by content; all of it when it has no key.
    pub(super) fn portion(&self, input: &Input) -> Option<Arc<Portion>> {
        match &input.portion {
            Some(portion) => Some(Arc::clone(portion)),
            None if self.states[input.place].key.is_none() => Some(Arc::new(Portion::All)),
            None => None,
        }
    }

    pub(super) fn read_of(&self, input: &Input, portion: &Portion) -> Read {
        Read {
            place: input.place,
            output: input.output,
            portion: portion.digest(),
        }
    }
}
