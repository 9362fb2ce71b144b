//! JSON documents from outside that mean the same to every reader.
//!
//! Go's `encoding/json`, which most other tools read with, takes the last of several equal keys and
//! does not tell `layers` from `Layers`. A document in which one object has two such keys is another
//! one to them than to us, so it is refused. Labels and annotations are the exception: their keys are
//! free, and only equal ones are refused.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess};

/// The keys of objects whose own keys are names that people choose.
const FREE: &[&str] = &["Labels", "annotations", "ExposedPorts", "Volumes"];

/// Reads a document from outside.
///
/// # Errors
/// It is no JSON, not a `T`, or an object in it has the same key twice.
pub fn from_unambiguous_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Value { is_free: false }.deserialize(&mut reader)?;
    serde_json::from_slice(bytes)
}

/// Any value; that there are no equal keys in it is all that is looked at.
struct Value {
    /// Whether its own keys are names that people choose.
    is_free: bool,
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> serde::de::Visitor<'de> for Value {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self { is_free: false })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<Cow<'_, str>>()? {
            let value = Self {
                is_free: !self.is_free && FREE.contains(&&*key),
            };
            let folded = if self.is_free {
                key.clone().into_owned()
            } else {
                fold(&key)
            };
            if !seen.insert(folded) {
                return Err(A::Error::custom(format_args!("ambiguous key {key:?}")));
            }
            entries.next_value_seed(value)?;
        }
        Ok(())
    }
}

/// What Go's reader takes for the same key: letters of either case, and the two signs beyond ASCII
/// whose lower case is in it.
fn fold(key: &str) -> String {
    let sign = |sign| match sign {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        other => other.to_ascii_lowercase(),
    };
    key.chars().map(sign).collect()
}
