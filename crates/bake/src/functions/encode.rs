//! Encodings and digests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256, Sha512};

use super::{Arguments, Function};
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
    ("jsondecode", |a| {
        let json = serde_json::from_str(&one(a)?);
        json.map(Value::of_json).map_err(|error| error.to_string())
    }),
    ("jsonencode", |a| {
        a.count(1..=1)?;
        Ok(Value::String(go_json(&a.values[0].to_json().to_string())))
    }),
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

fn one(arguments: &Arguments<'_>) -> Result<String, String> {
    arguments.count(1..=1)?;
    arguments.text(0)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
