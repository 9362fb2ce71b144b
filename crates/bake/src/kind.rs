//! Types of variables: what a value must be, and how others become it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hcl_edit::expr::{Expression, FuncCall, ObjectKey};

use crate::error::Problem;
use crate::value::Value;

/// Types in each other beyond this are no types that somebody wrote.
const MAX_DEPTH: usize = 16;

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Any,
    String,
    Number,
    Bool,
    List(Box<Kind>),
    Set(Box<Kind>),
    Map(Box<Kind>),
    Tuple(Vec<Kind>),
    /// Attributes, and whether they must be there.
    Object(BTreeMap<String, (Kind, bool)>),
}

impl Kind {
    /// The type that `expression` says.
    pub(crate) fn of(expression: &Expression) -> Result<Self, Problem> {
        Self::read(expression, 0)
    }

    fn read(expression: &Expression, depth: usize) -> Result<Self, Problem> {
        let wrong = |why: String| Err(Problem::value("a type", why));
        if depth > MAX_DEPTH {
            return wrong("is too deep".to_owned());
        }
        match expression {
            Expression::Parenthesis(inner) => Self::read(inner.inner(), depth + 1),
            Expression::String(text) => {
                let parsed = hcl_edit::parser::parse_expr(text.as_str());
                match parsed {
                    Ok(parsed) if !matches!(parsed, Expression::String(_)) => {
                        Self::read(&parsed, depth + 1)
                    }
                    _ => wrong(format!("{:?} is none", text.as_str())),
                }
            }
            Expression::Variable(name) => Ok(match name.as_str() {
                "any" => Self::Any,
                "string" => Self::String,
                "number" => Self::Number,
                "bool" => Self::Bool,
                "list" | "set" | "map" => {
                    return wrong(format!(
                        "{0} lacks the type of what is in it: {0}(string)",
                        name.as_str()
                    ));
                }
                other => {
                    let known = [
                        "any", "string", "number", "bool", "list", "set", "map", "tuple", "object",
                    ];
                    return Err(Problem::unknown("type", other, known));
                }
            }),
            Expression::FuncCall(call) => Self::of_call(call, depth + 1),
            _ => wrong("expected a name, such as string or list(string)".to_owned()),
        }
    }

    fn of_call(call: &FuncCall, depth: usize) -> Result<Self, Problem> {
        let arguments: Vec<&Expression> = call.args.iter().collect();
        let name = call.name.name.as_str();
        let inner = |argument| Self::read(argument, depth).map(Box::new);
        match (name, arguments.as_slice()) {
            ("list", [one]) => inner(one).map(Self::List),
            ("set", [one]) => inner(one).map(Self::Set),
            ("map", [one]) => inner(one).map(Self::Map),
            ("tuple", [Expression::Array(items)]) => {
                let items = items.iter().map(|item| Self::read(item, depth));
                items.collect::<Result<_, _>>().map(Self::Tuple)
            }
            ("object", [Expression::Object(object)]) => {
                let mut attributes = BTreeMap::new();
                for (key, value) in object {
                    let key = match key {
                        ObjectKey::Ident(name) => name.as_str(),
                        ObjectKey::Expression(Expression::Variable(name)) => name.as_str(),
                        ObjectKey::Expression(Expression::String(name)) => name.as_str(),
                        ObjectKey::Expression(_) => {
                            return Err(Problem::value("a type", "expected names of attributes"));
                        }
                    };
                    let attribute = Self::of_attribute(value.expr(), depth)?;
                    attributes.insert(key.to_owned(), attribute);
                }
                Ok(Self::Object(attributes))
            }
            _ => Err(Problem::value("a type", format!("{name}(…) is none"))),
        }
    }

    /// `optional(TYPE)`, or a type.
    fn of_attribute(expression: &Expression, depth: usize) -> Result<(Self, bool), Problem> {
        if let Expression::FuncCall(call) = expression
            && call.name.name.as_str() == "optional"
            && let Some(inner) = call.args.get(0)
        {
            return Ok((Self::read(inner, depth)?, false));
        }
        Ok((Self::read(expression, depth)?, true))
    }

    /// Whether it is one value.
    pub(crate) const fn is_simple(&self) -> bool {
        matches!(self, Self::String | Self::Number | Self::Bool)
    }

    /// `value` as this type.
    pub(crate) fn convert(&self, value: Value) -> Result<Value, String> {
        if value == Value::Null {
            return Ok(Value::Null);
        }
        let wrong = |value: &Value| format!("{self} required, found {}", value.kind());
        match (self, value) {
            (Self::Any, value) => Ok(value),
            (Self::String, value) => value
                .to_text()
                .map(Value::String)
                .ok_or_else(|| wrong(&value)),
            (Self::Number, value) => value
                .to_number()
                .map(Value::Number)
                .ok_or_else(|| wrong(&value)),
            (Self::Bool, value) => value
                .to_bool()
                .map(Value::Bool)
                .ok_or_else(|| wrong(&value)),
            (Self::List(inner), Value::List(items)) => {
                let items = items.into_iter().map(|item| inner.convert(item));
                items.collect::<Result<_, _>>().map(Value::List)
            }
            (Self::Set(inner), Value::List(items)) => {
                let items = items.into_iter().map(|item| inner.convert(item));
                let set = items.collect::<Result<BTreeSet<_>, _>>()?;
                Ok(Value::List(set.into_iter().collect()))
            }
            (Self::Tuple(kinds), Value::List(items)) if kinds.len() == items.len() => {
                let items = kinds
                    .iter()
                    .zip(items)
                    .map(|(kind, item)| kind.convert(item));
                items.collect::<Result<_, _>>().map(Value::List)
            }
            (Self::Map(inner), Value::Object(map)) => {
                let map = map.into_iter();
                let map = map.map(|(key, value)| Ok((key, inner.convert(value)?)));
                map.collect::<Result<_, String>>().map(Value::Object)
            }
            (Self::Object(kinds), Value::Object(map)) => Self::object(kinds, map),
            (_, value) => Err(wrong(&value)),
        }
    }

    fn object(
        kinds: &BTreeMap<String, (Self, bool)>,
        mut map: BTreeMap<String, Value>,
    ) -> Result<Value, String> {
        let mut converted = BTreeMap::new();
        for (name, (kind, is_required)) in kinds {
            let value = match map.remove(name) {
                Some(value) => kind
                    .convert(value)
                    .map_err(|why| format!("{name}: {why}"))?,
                None if *is_required => return Err(format!("attribute {name:?} is required")),
                None => Value::Null,
            };
            converted.insert(name.clone(), value);
        }
        Ok(Value::Object(converted))
    }

    /// What one value of the environment says, for a value that is simple.
    pub(crate) fn simple(&self, name: &str, text: &str) -> Result<Value, String> {
        let wrong = |kind| format!("{text:?} of {name} is no {kind}");
        match self {
            Self::Bool => match text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
                _ => Err(wrong("bool")),
            },
            Self::Number => {
                let number = crate::number::Number::parse(text);
                number.map(Value::Number).ok_or_else(|| wrong("number"))
            }
            Self::String => Ok(Value::text(text)),
            _ => Err(format!(
                "{self} cannot be given by {name}, but as JSON by {name}_JSON"
            )),
        }
    }

    /// What a text of several values with commas says.
    pub(crate) fn several(&self, name: &str, text: &str) -> Result<Value, String> {
        let fields = crate::csv::fields(text)?;
        match self {
            Self::List(inner) => {
                let items = fields.iter().map(|field| inner.simple(name, field));
                items.collect::<Result<_, _>>().map(Value::List)
            }
            Self::Set(inner) => {
                let items = fields.iter().map(|field| inner.simple(name, field));
                let set = items.collect::<Result<BTreeSet<_>, _>>()?;
                Ok(Value::List(set.into_iter().collect()))
            }
            Self::Tuple(kinds) if kinds.len() == fields.len() => {
                let items = kinds.iter().zip(&fields);
                let items = items.map(|(kind, field)| kind.simple(name, field));
                items.collect::<Result<_, _>>().map(Value::List)
            }
            Self::Map(inner) => {
                let pair = |field: &String| {
                    let pair = field.split_once(':');
                    let (key, value) =
                        pair.ok_or_else(|| format!("{field:?} of {name} is no KEY:VALUE"))?;
                    Ok((key.to_owned(), inner.simple(name, value)?))
                };
                let map = fields.iter().map(pair).collect::<Result<_, String>>();
                map.map(Value::Object)
            }
            _ => Err(format!("{text:?} of {name} is no {self}")),
        }
    }

    /// Whether several values with commas between them can be one.
    pub(crate) const fn is_several(&self) -> bool {
        matches!(
            self,
            Self::List(_) | Self::Set(_) | Self::Tuple(_) | Self::Map(_)
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any type"),
            Self::String => f.write_str("string"),
            Self::Number => f.write_str("number"),
            Self::Bool => f.write_str("bool"),
            Self::List(inner) => write!(f, "list of {inner}"),
            Self::Set(inner) => write!(f, "set of {inner}"),
            Self::Map(inner) => write!(f, "map of {inner}"),
            Self::Tuple(_) => f.write_str("tuple"),
            Self::Object(_) => f.write_str("object"),
        }
    }
}
