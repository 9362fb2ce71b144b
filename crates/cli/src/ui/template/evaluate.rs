//! A template filled in.

use serde_json::{Map, Value};

use super::{Block, Command, Node, Operand, Pipeline, TemplateError, functions};

/// What a template is filled in from, and how.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) value: &'a Value,
    /// The function `json`.
    pub(super) json: fn(&Value) -> String,
}

pub(super) fn nodes(
    list: &[Node],
    top: Scope<'_>,
    dot: &Value,
    text: &mut String,
) -> Result<(), TemplateError> {
    for node in list {
        match node {
            Node::Text(literal) => text.push_str(literal),
            Node::Print(pipeline) => text.push_str(&show(&value(pipeline, top, dot)?)),
            Node::If(block) => {
                let chosen = if is_true(&value(&block.pipeline, top, dot)?) {
                    &block.body
                } else {
                    &block.otherwise
                };
                nodes(chosen, top, dot, text)?;
            }
            Node::With(block) => {
                let inner = value(&block.pipeline, top, dot)?;
                if is_true(&inner) {
                    nodes(&block.body, top, &inner, text)?;
                } else {
                    nodes(&block.otherwise, top, dot, text)?;
                }
            }
            Node::Range(block) => range(block, top, dot, text)?,
        }
    }
    Ok(())
}

/// As Go's `%v` shows it.
pub(super) fn show(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(" ");
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", joined(items.iter().map(show).collect())),
        Value::Object(fields) => {
            let pairs = fields
                .iter()
                .map(|(key, value)| format!("{key}:{}", show(value)));
            format!("map[{}]", joined(pairs.collect()))
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// As Go's templates see it: neither null, zero, false nor empty.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn range(
    block: &Block,
    top: Scope<'_>,
    dot: &Value,
    text: &mut String,
) -> Result<(), TemplateError> {
    let over = value(&block.pipeline, top, dot)?;
    let items: Vec<&Value> = match &over {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        Value::Null => Vec::new(),
        other => return Err(TemplateError::Range(show(other))),
    };
    for item in &items {
        nodes(&block.body, top, item, text)?;
    }
    if items.is_empty() {
        nodes(&block.otherwise, top, dot, text)?;
    }
    Ok(())
}

fn value(pipeline: &Pipeline, top: Scope<'_>, dot: &Value) -> Result<Value, TemplateError> {
    let mut piped = None;
    for command in &pipeline.0 {
        piped = Some(run(command, piped, top, dot)?);
    }
    Ok(piped.unwrap_or(Value::Null))
}

fn run(
    Command(operands): &Command,
    piped: Option<Value>,
    top: Scope<'_>,
    dot: &Value,
) -> Result<Value, TemplateError> {
    let Some((first, rest)) = operands.split_first() else {
        return Ok(Value::Null);
    };
    if let Operand::Name(name) = first {
        let mut arguments = Vec::new();
        for operand in rest {
            arguments.push(self::operand(operand, top, dot)?);
        }
        arguments.extend(piped);
        return functions::call(name, &arguments, top.json);
    }
    match (rest, piped) {
        ([], None) => operand(first, top, dot),
        _ => Err(TemplateError::Unexpected("argument".to_owned())),
    }
}

fn operand(operand: &Operand, top: Scope<'_>, dot: &Value) -> Result<Value, TemplateError> {
    match operand {
        Operand::Literal(value) => Ok(value.clone()),
        Operand::Name(name) => functions::call(name, &[], top.json),
        Operand::Path { from_top, names } => {
            field(if *from_top { top.value } else { dot }, top, names)
        }
        Operand::Group(pipeline, names) => field(&value(pipeline, top, dot)?, top, names),
    }
}

/// A field that is missing at the top is an error; further down it may be a key of a map.
fn field(from: &Value, top: Scope<'_>, names: &[String]) -> Result<Value, TemplateError> {
    let mut value = from;
    for name in names {
        value = match value {
            Value::Object(fields) => match fields.get(name).or_else(|| by_go_name(fields, name)) {
                Some(inner) => inner,
                None if std::ptr::eq(value, top.value) => {
                    return Err(TemplateError::Field(name.clone()));
                }
                None => return Ok(Value::Null),
            },
            Value::Null => return Ok(Value::Null),
            _ => return Err(TemplateError::Field(name.clone())),
        };
    }
    Ok(value.clone())
}

/// What Go calls `name` may have another name in JSON: `MediaType` is `mediaType` there, and
/// `DiffIDs` is `diff_ids`.
fn by_go_name<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let is_exported = name.starts_with(|first: char| first.is_ascii_uppercase());
    let same = |key: &str| {
        let letters = key.bytes().filter(|byte| !matches!(byte, b'_' | b'.'));
        letters
            .map(|byte| byte.to_ascii_lowercase())
            .eq(name.bytes().map(|byte| byte.to_ascii_lowercase()))
    };
    let mut named = fields.iter().filter(|(key, _)| is_exported && same(key));
    named.next().map(|(_, value)| value)
}
