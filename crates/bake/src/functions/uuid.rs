//! Universally unique identifiers (RFC 9562).

use sha1::{Digest as _, Sha1};

use super::Function;
use crate::value::Value;

pub(super) const TABLE: &[(&str, Function)] = &[
    ("uuidv4", |a| {
        a.count(0..=0)?;
        Ok(Value::String(text(a.module.random(), 4)))
    }),
    ("uuidv5", |a| {
        a.count(2..=2)?;
        let namespace = a.text(0)?;
        let bytes = self::namespace(&namespace);
        let bytes = bytes.ok_or_else(|| format!("{namespace:?} is no namespace"))?;
        let digest = Sha1::new()
            .chain_update(bytes)
            .chain_update(a.text(1)?)
            .finalize();
        let mut half = [0; 16];
        half.iter_mut()
            .zip(digest)
            .for_each(|(to, from)| *to = from);
        Ok(Value::String(text(half, 5)))
    }),
];

/// The bytes of a namespace: one of the four that are known by names, or any identifier.
fn namespace(name: &str) -> Option<[u8; 16]> {
    let known = |number: u8| {
        let start = [0x6b, 0xa7, 0xb8, number, 0x9d, 0xad, 0x11, 0xd1];
        let end = [0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];
        let mut bytes = [0; 16];
        let all = start.into_iter().chain(end);
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        Some(bytes)
    };
    match name {
        "dns" => known(0x10),
        "url" => known(0x11),
        "oid" => known(0x12),
        "x500" => known(0x14),
        identifier => parse(identifier),
    }
}

/// An identifier as digits, with its dashes or without any, in braces or as a URN.
fn parse(identifier: &str) -> Option<[u8; 16]> {
    let braced = identifier
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let urn = identifier
        .split_at_checked(9)
        .filter(|(prefix, _)| prefix.eq_ignore_ascii_case("urn:uuid:"))
        .map(|(_, rest)| rest);
    let dashed = braced.or(urn).unwrap_or(identifier);
    let is_dashed = dashed.len() == 36
        && [8, 13, 18, 23]
            .iter()
            .all(|at| dashed.as_bytes()[*at] == b'-');
    let digits = match is_dashed {
        true => dashed.replace('-', ""),
        false => identifier.to_owned(),
    };
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&digits, 16)
        .ok()
        .map(u128::to_be_bytes)
}

/// As text, with its version and the variant that RFC 9562 defines.
fn text(mut bytes: [u8; 16], version: u8) -> String {
    bytes[6] = bytes[6] & 0x0f | version << 4;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = super::encode::hex(&bytes);
    [0..8, 8..12, 12..16, 16..20, 20..32]
        .map(|part| digits[part].to_owned())
        .join("-")
}
