//! Lists of a daemon's, of which there are no more than anybody looks at: a row takes much more room
//! than the two bytes that a daemon may send for it.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};

/// Rows that a daemon may tell of.
const MAX_ROWS: usize = 200_000;

/// A list of a bounded number of rows.
pub(super) struct Rows<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Rows<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
    type Value = Rows<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rows<T>, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = list.next_element()? {
            if rows.len() == MAX_ROWS {
                return Err(A::Error::custom(format!("more than {MAX_ROWS} rows")));
            }
            rows.push(row);
        }
        Ok(Rows(rows))
    }

    /// Go's word for an empty list.
    fn visit_unit<E>(self) -> Result<Rows<T>, E> {
        Ok(Rows(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_and_no_more() {
        let read = |text: &str| {
            let rows = serde_json::from_str::<Rows<u8>>(text);
            rows.map(|rows| rows.0.len())
        };
        assert_eq!(read("[1,2]").unwrap(), 2);
        assert_eq!(read("null").unwrap(), 0);
        let all = vec!["1"; MAX_ROWS].join(",");
        assert_eq!(read(&format!("[{all}]")).unwrap(), MAX_ROWS);
        assert!(read(&format!("[{all},1]")).is_err());
    }
}
