//! Definitions as text, in the manner of Protocol Buffers' own: written with the table of messages,
//! not with the types that are read into.

use std::collections::BTreeMap;

use llb::{Kind, Message, OP, pb};
use oci::Digest;
use prost::encoding::{WireType, encode_key, encode_varint};

/// Digests of ops by the names that the text gives them.
#[derive(Default)]
pub(crate) struct Names(BTreeMap<String, Digest>);

impl Names {
    /// Puts names in the place of digests.
    pub(crate) fn put_back(&self, text: &str) -> String {
        let names = self.0.iter();
        names.fold(text.to_owned(), |text, (name, digest)| {
            text.replace(&digest.to_string(), &format!("@{name}"))
        })
    }
}

pub(crate) fn definition(text: &str, names: &mut Names) -> pb::Definition {
    let mut definition = pb::Definition::default();
    for line in text.lines() {
        if let Some(metadata) = line.strip_prefix("! ") {
            describe(&mut definition, metadata, names);
        } else if let Some((name, op)) = line.split_once(": ") {
            let mut bytes = Vec::new();
            let tokens = tokens(op);
            let mut tokens = tokens.iter().map(String::as_str).peekable();
            message(OP, &mut tokens, names, &mut bytes);
            names.0.insert(name.to_owned(), Digest::of(&bytes));
            definition.def.push(bytes);
        }
    }
    definition
}

fn describe(definition: &mut pb::Definition, line: &str, names: &Names) {
    let mut words = line.splitn(3, ' ');
    let (op, key) = (words.next().unwrap(), words.next().unwrap());
    let value = words.next().unwrap_or_default().to_owned();
    let digest = names.0[op].to_string();
    if key == "at" {
        return locate(definition, digest, &value);
    }
    let metadata = definition.metadata.entry(digest).or_default();
    match key {
        "name" => {
            let key = "llb.customname".to_owned();
            metadata.description.insert(key, value);
        }
        "ignore-cache" => metadata.ignore_cache = true,
        "capability" => {
            metadata.caps.insert(value, true);
        }
        "export-cache" => {
            let value = value == "true";
            metadata.export_cache = Some(pb::ExportCache { value });
        }
        "group" => {
            metadata.progress_group = Some(pb::ProgressGroup {
                id: "id".to_owned(),
                name: value,
                weak: true,
            });
        }
        _ => panic!("no metadata {key}"),
    }
}

/// `file line`
fn locate(definition: &mut pb::Definition, digest: String, at: &str) {
    let (file, line) = at.split_once(' ').unwrap();
    let source = definition.source.get_or_insert_default();
    source.infos.push(pb::SourceInfo {
        filename: file.to_owned(),
        data: b"FROM x".to_vec(),
        definition: None,
        language: "Dockerfile".to_owned(),
    });
    let position = |character| {
        Some(pb::Position {
            line: line.parse().unwrap(),
            character,
        })
    };
    let location = pb::Location {
        source_index: i32::try_from(source.infos.len()).unwrap() - 1,
        ranges: vec![pb::Range {
            start: position(0),
            end: position(9),
        }],
    };
    let locations = source.locations.entry(digest).or_default();
    locations.locations.push(location);
}

/// Words, texts (with their opening quote) and braces.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '{' | '}' => 1,
            '"' => rest[1..].find('"').unwrap() + 2,
            _ => rest.find([' ', '{', '}']).unwrap_or(rest.len()),
        };
        let token = rest[..length].trim_end_matches(':').trim_end_matches('"');
        tokens.push(token.to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

fn message<'a>(
    message: &Message,
    tokens: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
    names: &Names,
    bytes: &mut Vec<u8>,
) {
    while let Some(token) = tokens.next() {
        if token == "}" {
            return;
        }
        let field = message.fields.iter().find(|field| field.name == token);
        let Some(field) = field else {
            // A number of a field that nobody knows.
            let number = token.parse().unwrap_or_else(|_| panic!("no field {token}"));
            number_field(number, tokens.next().unwrap(), bytes);
            continue;
        };
        match field.kind {
            Kind::Message(inner) => {
                assert_eq!(tokens.next(), Some("{"), "{token}");
                let mut inside = Vec::new();
                self::message(inner, &mut *tokens, names, &mut inside);
                bytes_field(field.number, &inside, bytes);
            }
            Kind::Number => number_field(field.number, tokens.next().unwrap(), bytes),
            Kind::Bytes => {
                let value = tokens.next().unwrap();
                let digest = value.strip_prefix('@').and_then(|name| names.0.get(name));
                let text = digest.map_or(value.trim_start_matches('"').to_owned(), |digest| {
                    digest.to_string()
                });
                bytes_field(field.number, text.as_bytes(), bytes);
            }
        }
    }
}

fn number_field(number: u32, value: &str, bytes: &mut Vec<u8>) {
    let value: i64 = match value {
        "true" => 1,
        "false" => 0,
        _ => value
            .parse()
            .unwrap_or_else(|_| panic!("no number {value}")),
    };
    encode_key(number, WireType::Varint, bytes);
    encode_varint(value.cast_unsigned(), bytes);
}

fn bytes_field(number: u32, value: &[u8], bytes: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, bytes);
    encode_varint(value.len() as u64, bytes);
    bytes.extend_from_slice(value);
}
