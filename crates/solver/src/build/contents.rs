//! Contents of inputs that were looked at: each once in a build, whoever reads it.

use std::collections::HashMap;

use oci::Digest;

use crate::keys::Checksum;
use crate::plan::Place;

/// A portion of an output of a vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Read {
    pub(super) place: Place,
    pub(super) output: u32,
    pub(super) portion: Digest,
}

/// What is known of contents.
#[derive(Debug, Default)]
pub(super) struct Contents {
    reads: HashMap<Read, Content>,
}

/// What is known of one content.
#[derive(Debug)]
enum Content {
    /// The worker was asked, for these vertices.
    Asked(Vec<Place>),
    /// The answer.
    Known(Checksum),
}

/// What to do for someone who needs a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: it is known.
    Met,
    /// Wait.
    Waits,
    /// Ask the worker, and wait.
    Ask,
}

impl Contents {
    pub(super) fn need(&mut self, read: Read, reader: Place) -> Need {
        match self.reads.get_mut(&read) {
            Some(Content::Known(_)) => Need::Met,
            Some(Content::Asked(readers)) => {
                readers.push(reader);
                Need::Waits
            }
            None => {
                self.reads.insert(read, Content::Asked(vec![reader]));
                Need::Ask
            }
        }
    }

    pub(super) fn get(&self, read: &Read) -> Option<Checksum> {
        match self.reads.get(read)? {
            Content::Known(checksum) => Some(*checksum),
            Content::Asked(_) => None,
        }
    }

    /// Who needs a content; the first of them asked for it.
    pub(super) fn reader(&self, read: &Read) -> Option<Place> {
        match self.reads.get(read)? {
            Content::Asked(readers) => readers.first().copied(),
            Content::Known(_) => None,
        }
    }

    /// Notes a content, and says who waited for it, once per time that it is needed.
    pub(super) fn known(&mut self, read: Read, checksum: Checksum) -> Vec<Place> {
        match self.reads.insert(read, Content::Known(checksum)) {
            Some(Content::Asked(readers)) => readers,
            Some(Content::Known(_)) | None => Vec::new(),
        }
    }
}
