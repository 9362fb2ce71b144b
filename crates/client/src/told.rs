//! How much a daemon tells in one answer: each message is bounded by itself, and all of them here.

use prost::Message;

use crate::failure::Failure;

/// Messages of one answer.
const MAX_MESSAGES: usize = 100_000;
/// Bytes of all of them.
const MAX_BYTES: usize = 64 << 20;

/// What was told so far.
#[derive(Debug, Default)]
pub(crate) struct Told {
    messages: usize,
    bytes: usize,
}

impl Told {
    /// One more.
    ///
    /// # Errors
    /// That is more than anybody looks at.
    pub(crate) fn add(&mut self, message: &impl Message) -> Result<(), Failure> {
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(message.encoded_len());
        if self.messages > MAX_MESSAGES || self.bytes > MAX_BYTES {
            let text = "the builder tells of more than anybody looks at";
            return Err(Failure::new(text.to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::moby::buildkit::v1::UsageRecord;

    use super::*;

    #[test]
    fn no_more_than_so_much() {
        let many = |record: UsageRecord, count: usize| {
            let mut told = Told::default();
            (0..count).try_for_each(|_| told.add(&record))
        };
        assert!(many(UsageRecord::default(), MAX_MESSAGES).is_ok());
        assert!(many(UsageRecord::default(), MAX_MESSAGES + 1).is_err());
        let large = UsageRecord {
            description: "x".repeat(1 << 20),
            ..UsageRecord::default()
        };
        assert!(many(large.clone(), 63).is_ok());
        assert!(many(large, 64).is_err());
    }
}
