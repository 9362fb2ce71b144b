//! What the files were that a step read, so that a later miss can name those that changed.
//!
//! A listing is a record of its own beside those of steps, under the checksum that it explains.

use snapshot::checksum::Listing;
use solver::Checksum;
use store::{Key, NewRecord, RecordKind};

use crate::engine::Inner;
use crate::error::EngineError;

/// Bytes of a listing at most; what is larger is not kept.
const LIMIT: usize = 16 << 20;
/// Quick, since it is done in every build that reads something new.
const LEVEL: i32 = 1;

impl Inner {
    /// Keeps what `checksum` covers, unless it is known.
    pub(crate) fn keep_listing(
        &self,
        checksum: &Checksum,
        listing: &Listing,
    ) -> Result<(), EngineError> {
        let (records, key) = (self.store.records(), listing_key(checksum));
        if records.get(&key)?.is_some() {
            return Ok(());
        }
        let bytes = listing.to_bytes();
        if bytes.len() > LIMIT {
            return Ok(());
        }
        let packed = zstd::bulk::compress(&bytes, LEVEL);
        let packed = packed.map_err(|source| EngineError::Write { source })?;
        let record = NewRecord {
            kind: RecordKind::Internal,
            value: &packed,
            ..NewRecord::default()
        };
        Ok(records.put(&self.lease, &key, record)?)
    }

    /// What a checksum covered, if it was kept.
    pub(crate) fn listing(&self, checksum: &Checksum) -> Result<Option<Listing>, EngineError> {
        let record = self.store.records().get(&listing_key(checksum))?;
        let unpack = |packed: Vec<u8>| zstd::bulk::decompress(&packed, LIMIT).ok();
        let bytes = record.and_then(|record| unpack(record.value));
        Ok(bytes.and_then(|bytes| Listing::from_bytes(&bytes)))
    }
}

fn listing_key(checksum: &Checksum) -> Key {
    let mut hasher = graph::ContentHasher::new("listing");
    hasher.bytes(&checksum.0);
    *hasher.finish().as_bytes()
}
