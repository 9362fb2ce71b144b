//! Encodings and digests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::{Arguments, Done, Function};
use crate::value::{Value, go_json};

/// What Go escapes in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b' ');

pub(super) const TABLE: &[(&str, Function)] = &[
    ("base64decode", |a| {
        let decoded = STANDARD
            .decode(one(a)?)
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8(decoded);
        text.map(Value::String)
            .map_err(|_| "the result is not UTF-8".to_owned())
    }),
    ("base64encode", |a| {
        Ok(Value::String(STANDARD.encode(one(a)?)))
    }),
    ("csvdecode", |a| csv_decode(&one(a)?)),
    ("jsondecode", |a| {
        let json = serde_json::from_str(&one(a)?);
        json.map(Value::of_json).map_err(|error| error.to_string())
    }),
    ("jsonencode", |a| {
        a.count(1..=1)?;
        Ok(Value::String(go_json(&a.values[0].to_json().to_string())))
    }),
    ("md5", |a| Ok(Value::String(hex(&Md5::digest(one(a)?))))),
    ("sha1", |a| Ok(Value::String(hex(&Sha1::digest(one(a)?))))),
    ("sha256", |a| {
        Ok(Value::String(hex(&Sha256::digest(one(a)?))))
    }),
    ("sha512", |a| {
        Ok(Value::String(hex(&Sha512::digest(one(a)?))))
    }),
    ("urlencode", |a| {
        let encoded = utf8_percent_encode(&one(a)?, QUERY).to_string();
        Ok(Value::String(encoded.replace(' ', "+")))
    }),
];

/// A map for each record after the first, which has the names.
fn csv_decode(text: &str) -> Done {
    let mut records = crate::csv::records(text)?.into_iter();
    let names = records
        .next()
        .ok_or_else(|| "there is no line of names".to_owned())?;
    let mut known = std::collections::BTreeSet::new();
    if let Some(again) = names.iter().find(|name| !known.insert(*name)) {
        return Err(format!("there are two columns {again:?}"));
    }
    let row = |record: Vec<String>| {
        if record.len() != names.len() {
            return Err(format!(
                "{} values for {} columns",
                record.len(),
                names.len()
            ));
        }
        let pairs = names
            .iter()
            .cloned()
            .zip(record.into_iter().map(Value::String));
        Ok(Value::Object(pairs.collect()))
    };
    records.map(row).collect::<Result<_, _>>().map(Value::List)
}

fn one(arguments: &Arguments<'_>) -> Result<String, String> {
    arguments.count(1..=1)?;
    arguments.text(0)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
