//! Between rows and values. What a row holds was written by us, but maybe long ago or on a failing
//! disk: nothing is trusted to have the right form.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oci::Digest;

use crate::LayerId;
use crate::error::{Result, StoreError};

/// A row of `table` that does not have our form.
pub(crate) fn corrupt(table: &'static str, detail: impl ToString) -> StoreError {
    StoreError::CorruptRow {
        table,
        detail: detail.to_string(),
    }
}

/// Milliseconds since 1970.
pub(crate) fn millis(time: SystemTime) -> i64 {
    let (sign, distance) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (1, after),
        Err(before) => (-1, before.duration()),
    };
    sign * i64::try_from(distance.as_millis()).unwrap_or(i64::MAX)
}

/// The time that [`millis`] made the number from.
pub(crate) fn time(millis: i64) -> SystemTime {
    let distance = Duration::from_millis(millis.unsigned_abs());
    let moved = if millis < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    moved.unwrap_or(UNIX_EPOCH)
}

/// A size as the column holds it.
pub(crate) fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The digest that a row of `table` holds.
pub(crate) fn digest(table: &'static str, bytes: &[u8]) -> Result<Digest> {
    let bytes = bytes
        .try_into()
        .map_err(|_| corrupt(table, format_args!("digest of {} bytes", bytes.len())))?;
    Ok(Digest::from_bytes(bytes))
}

/// Layer ids as one column.
pub(crate) fn layer_ids_bytes(ids: &[LayerId]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.0.to_le_bytes()).collect()
}

/// The layer ids that a row of `table` holds.
pub(crate) fn layer_ids(table: &'static str, bytes: &[u8]) -> Result<Vec<LayerId>> {
    let (ids, rest) = bytes.as_chunks::<8>();
    if rest.is_empty() {
        Ok(ids
            .iter()
            .map(|id| LayerId(i64::from_le_bytes(*id)))
            .collect())
    } else {
        Err(corrupt(
            table,
            format_args!("layer ids of {} bytes", bytes.len()),
        ))
    }
}
