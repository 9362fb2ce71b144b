//! Files in HCL's JSON syntax: strings are templates, and what is a block follows from its name.

use hcl_edit::expr::{Array, Expression, Object, ObjectKey, ObjectValue};
use hcl_edit::template::{Element, StringTemplate};
use hcl_edit::{Decorated, Formatted, Number};
use serde_json::{Map, Value as Json};

use super::{Attribute, Block, Body, Origin, whole};
use crate::error::{BakeError, Problem};
use crate::given::File;

/// Blocks of a file, which have one label.
const BLOCKS: [&str; 4] = ["variable", "function", "target", "group"];

pub(super) fn read(file: &File, number: usize) -> Result<Body, BakeError> {
    let parsed = serde_json::from_str(&file.text);
    let parsed: Map<String, Json> =
        parsed.map_err(|error| Problem::Syntax(error.to_string()).at(whole(file)))?;
    let reader = Reader { file, number };
    let mut body = Body::default();
    for (name, value) in parsed {
        if BLOCKS.contains(&name.as_str()) {
            reader.labelled(&name, value, &mut body)?;
        } else {
            body.attributes.push(reader.attribute(&name, &name, value)?);
        }
    }
    Ok(body)
}

struct Reader<'a> {
    file: &'a File,
    number: usize,
}

impl Reader<'_> {
    /// Blocks by their labels; or lists of such.
    fn labelled(&self, kind: &str, value: Json, into: &mut Body) -> Result<(), BakeError> {
        match value {
            Json::Array(several) => {
                for value in several {
                    self.labelled(kind, value, into)?;
                }
                Ok(())
            }
            Json::Object(labels) => {
                for (label, value) in labels {
                    self.blocks(kind, vec![label], value, into)?;
                }
                Ok(())
            }
            other => Err(self.wrong(kind, "an object", &other)),
        }
    }

    /// One block, or several of one label.
    fn blocks(
        &self,
        kind: &str,
        labels: Vec<String>,
        value: Json,
        into: &mut Body,
    ) -> Result<(), BakeError> {
        let path = path(kind, &labels);
        match value {
            Json::Array(several) => {
                for value in several {
                    self.blocks(kind, labels.clone(), value, into)?;
                }
            }
            Json::Object(map) => into.blocks.push(Block {
                kind: kind.to_owned(),
                body: self.body(kind, &path, map)?,
                labels,
                at: self.origin(path),
            }),
            other => return Err(self.wrong(&path, "an object", &other)),
        }
        Ok(())
    }

    fn body(&self, kind: &str, path: &str, map: Map<String, Json>) -> Result<Body, BakeError> {
        let mut body = Body::default();
        for (name, value) in map {
            if kind == "variable" && name == "validation" {
                self.blocks(&name, Vec::new(), value, &mut body)?;
                continue;
            }
            let path = format!("{path}.{name}");
            let value = match kind == "function" && name != "result"
                || kind == "variable" && name == "type"
            {
                true => self.words(&path, &name, value)?,
                false => self.attribute(&path, &name, value)?,
            };
            body.attributes.push(value);
        }
        Ok(body)
    }

    fn attribute(&self, path: &str, name: &str, value: Json) -> Result<Attribute, BakeError> {
        Ok(Attribute {
            name: name.to_owned(),
            expression: self.expression(path, value)?,
            at: self.origin(path.to_owned()),
        })
    }

    /// What is an expression itself, not a template: names and types.
    fn words(&self, path: &str, name: &str, value: Json) -> Result<Attribute, BakeError> {
        let expression = match value {
            Json::Array(words) => {
                let mut array = Array::new();
                for word in words {
                    array.push(self.word(path, &word)?);
                }
                Expression::Array(array)
            }
            word => self.word(path, &word)?,
        };
        Ok(Attribute {
            name: name.to_owned(),
            expression,
            at: self.origin(path.to_owned()),
        })
    }

    fn word(&self, path: &str, value: &Json) -> Result<Expression, BakeError> {
        let Json::String(text) = value else {
            return Err(self.wrong(path, "a string", value));
        };
        let parsed = hcl_edit::parser::parse_expr(text);
        parsed.map_err(|error| self.syntax(path, error.message()))
    }

    fn expression(&self, path: &str, value: Json) -> Result<Expression, BakeError> {
        Ok(match value {
            Json::Null => Expression::null(),
            Json::Bool(bool) => Expression::Bool(Decorated::new(bool)),
            Json::Number(number) => {
                let whole = number.as_i64().map(Number::from);
                let whole = whole.or_else(|| number.as_u64().map(Number::from));
                let float = || number.as_f64().and_then(Number::from_f64);
                let number = whole.or_else(float).unwrap_or_else(|| Number::from(0));
                Expression::Number(Formatted::new(number))
            }
            Json::String(text) => self.template(path, &text)?,
            Json::Array(items) => {
                let mut array = Array::new();
                for item in items {
                    array.push(self.expression(path, item)?);
                }
                Expression::Array(array)
            }
            Json::Object(map) => {
                let mut object = Object::new();
                for (key, value) in map {
                    let value = self.expression(&format!("{path}.{key}"), value)?;
                    let key = ObjectKey::Expression(self.template(path, &key)?);
                    object.insert(key, ObjectValue::new(value));
                }
                Expression::Object(object)
            }
        })
    }

    fn template(&self, path: &str, text: &str) -> Result<Expression, BakeError> {
        let parsed = hcl_edit::parser::parse_template(text);
        let parsed = parsed.map_err(|error| self.syntax(path, error.message()))?;
        let mut template = StringTemplate::new();
        for element in parsed {
            template.push(element);
        }
        let is_text = template.iter().all(Element::is_literal);
        Ok(match is_text {
            true => {
                let text = template.iter().filter_map(Element::as_literal);
                let text: String = text.map(|literal| literal.as_str()).collect();
                Expression::String(Decorated::new(text))
            }
            false => Expression::StringTemplate(template),
        })
    }

    fn origin(&self, path: String) -> Origin {
        Origin {
            file: self.number,
            start: None,
            path,
        }
    }

    fn syntax(&self, path: &str, message: &str) -> BakeError {
        let mut place = whole(self.file);
        path.clone_into(&mut place.path);
        Problem::Syntax(message.to_owned()).at(place)
    }

    fn wrong(&self, path: &str, expected: &'static str, found: &Json) -> BakeError {
        let problem = Problem::Kind {
            what: path.to_owned(),
            expected,
            found: crate::value::Value::of_json(found.clone())
                .kind()
                .to_owned(),
        };
        problem.at(whole(self.file))
    }
}

fn path(kind: &str, labels: &[String]) -> String {
    let mut path = kind.to_owned();
    for label in labels {
        path.push('.');
        path.push_str(label);
    }
    path
}
