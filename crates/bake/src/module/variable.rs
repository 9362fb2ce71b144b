//! Variables, and attributes outside of blocks, which are variables that nothing can set.

use hcl_edit::expr::Expression;

use super::{Module, placed};
use crate::error::{BakeError, Problem};
use crate::eval::Scope;
use crate::kind::Kind;
use crate::syntax::{Attribute, Block};
use crate::value::{Value, go_json};

/// A variable as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What its file says about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its type, if its file says one.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Its value, as JSON unless it is one value; none when it is null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// What an override of a variable says.
struct Override<'a> {
    text: &'a str,
    json: bool,
}

impl<'a> Module<'a> {
    /// The value of `name`; none when nothing has that name.
    pub(crate) fn variable(&self, name: &str) -> Result<Option<Value>, BakeError> {
        if let Some(value) = self.given.built_in.get(name) {
            return Ok(Some(Value::text(value)));
        }
        if let Some(value) = self.values.borrow().get(name) {
            return Ok(Some(value.clone()));
        }
        let (attribute, block) = (self.attributes.get(name), self.variables.get(name));
        if attribute.is_none() && block.is_none() {
            return Ok(None);
        }
        let found = self.once(format!("variable {name}"), || {
            self.find_variable(name, attribute.copied(), block.copied())
        });
        let value = found.map_err(|error| {
            placed(error, || match (attribute, block) {
                (Some(attribute), _) => attribute.at.place(self.files, None),
                (None, Some(block)) => block.at.place(self.files, None),
                (None, None) => crate::syntax::whole(&self.files[0]),
            })
        })?;
        self.values
            .borrow_mut()
            .insert(name.to_owned(), value.clone());
        Ok(Some(value))
    }

    /// Names of all variables.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.variables.keys().chain(self.attributes.keys());
        own.chain(self.given.built_in.keys()).map(String::as_str)
    }

    fn find_variable(
        &self,
        name: &str,
        attribute: Option<&Attribute>,
        block: Option<&Block>,
    ) -> Result<Value, BakeError> {
        let kind = match (attribute, block) {
            (None, Some(block)) => self.kind(block)?,
            _ => None,
        };
        let default = attribute.or_else(|| block.and_then(|block| block.body.attribute("default")));
        let given = block.and_then(|_| self.given_for(name, kind.is_some()));
        let value = match default {
            Some(default) => {
                let value = self.at(default).value(&default.expression)?;
                let converted = kind.as_ref().unwrap_or(&Kind::Any).convert(value);
                let wrong = |why| Problem::value(format!("default of {name}"), why).nowhere();
                Some(converted.map_err(wrong)?)
            }
            None => None,
        };
        match given {
            Some(given) => {
                let value = overridden(name, &given, kind.as_ref(), value.as_ref());
                value.map_err(|why| Problem::value(format!("variable {name}"), why).nowhere())
            }
            None => Ok(value.unwrap_or_else(|| match kind {
                Some(_) => Value::Null,
                None => Value::text(""),
            })),
        }
    }

    fn kind(&self, block: &Block) -> Result<Option<Kind>, BakeError> {
        let Some(attribute) = block.body.attribute("type") else {
            return Ok(None);
        };
        if let Expression::Null(_) = attribute.expression {
            return Ok(None);
        }
        let kind = Kind::of(&attribute.expression);
        kind.map(Some)
            .map_err(|problem| problem.at(attribute.at.place(self.files, None)))
    }

    /// What stands for the variable outside of the files; JSON comes first where a type is said.
    fn given_for(&self, name: &str, prefers_json: bool) -> Option<Override<'a>> {
        let plain = self.given.variable(name);
        let json_name = format!("{name}_JSON");
        let is_own =
            self.variables.contains_key(&json_name) || self.given.built_in.contains_key(&json_name);
        let json = || self.given.variable(&json_name).filter(|_| !is_own);
        if (plain.is_none() || prefers_json)
            && let Some(text) = json()
        {
            return Some(Override { text, json: true });
        }
        plain.map(|text| Override { text, json: false })
    }

    pub(super) const fn at<'b>(&'b self, attribute: &'b Attribute) -> Scope<'b> {
        Scope {
            module: self,
            at: &attribute.at,
            locals: None,
        }
    }

    /// All variables, as lists show them; each must be what its file asks of it.
    pub(crate) fn all_variables(&self) -> Result<Vec<Variable>, BakeError> {
        let mut all = Vec::new();
        for (name, block) in &self.variables {
            self.check_variable(block)?;
            let value = self.variable(name)?.unwrap_or(Value::Null);
            let kind = self.kind(block)?;
            let description = block.body.attribute("description");
            let description = description.map(|said| self.at(said).text(&said.expression));
            all.push(Variable {
                name: name.clone(),
                description: description.transpose()?.unwrap_or_default(),
                kind: kind.map(|kind| kind.to_string()).unwrap_or_default(),
                value: match value {
                    Value::Null => None,
                    value => {
                        let json = || go_json(&value.to_json().to_string());
                        Some(value.to_text().unwrap_or_else(json))
                    }
                },
            });
        }
        for (name, block) in &self.variables {
            self.validate(name, block)?;
        }
        Ok(all)
    }

    /// What was typed must be for one of them.
    pub(crate) fn check_typed(&self) -> Result<(), BakeError> {
        for name in self.given.variables.keys() {
            let of_json = name.strip_suffix("_JSON");
            let mut names = [Some(name.as_str()), of_json].into_iter().flatten();
            if !names.any(|name| self.variables.contains_key(name)) {
                let options = self.variables.keys().map(String::as_str);
                return Err(Problem::unknown("variable", name, options).nowhere());
            }
        }
        Ok(())
    }

    fn check_variable(&self, block: &Block) -> Result<(), BakeError> {
        let known = ["default", "type", "description"];
        for attribute in &block.body.attributes {
            if !known.contains(&attribute.name.as_str()) {
                let problem = Problem::unknown("attribute of a variable", &attribute.name, known);
                return Err(problem.at(attribute.at.place(self.files, None)));
            }
        }
        for inner in &block.body.blocks {
            if inner.kind != "validation" {
                let problem = Problem::unknown("block in a variable", &inner.kind, ["validation"]);
                return Err(problem.at(inner.at.place(self.files, None)));
            }
        }
        Ok(())
    }

    fn validate(&self, name: &str, block: &Block) -> Result<(), BakeError> {
        for rule in &block.body.blocks {
            let part = |what: &str| {
                let problem = Problem::value("validation", format!("lacks {what}"));
                let missing = || problem.at(rule.at.place(self.files, None));
                rule.body.attribute(what).ok_or_else(missing)
            };
            let (condition, message) = (part("condition")?, part("error_message")?);
            let place = || condition.at.place(self.files, None);
            let met = self.at(condition).value(&condition.expression)?;
            let wrong = || Problem::Kind {
                what: "condition".to_owned(),
                expected: "a bool",
                found: met.kind().to_owned(),
            };
            if !met.to_bool().ok_or_else(|| wrong().at(place()))? {
                let refused = Problem::Refused {
                    name: name.to_owned(),
                    message: self.at(message).text(&message.expression)?,
                };
                return Err(refused.at(place()));
            }
        }
        Ok(())
    }
}

/// What stands for a variable, as its type or that of its default says.
fn overridden(
    name: &str,
    given: &Override<'_>,
    kind: Option<&Kind>,
    default: Option<&Value>,
) -> Result<Value, String> {
    if given.json && kind.is_some() {
        let json = serde_json::from_str(given.text);
        let value = json
            .map(Value::of_json)
            .map_err(|error| error.to_string())?;
        return kind.unwrap_or(&Kind::Any).convert(value);
    }
    match (kind, default) {
        (Some(kind), _) if kind.is_several() => kind.several(name, given.text),
        (Some(kind), _) if kind.is_simple() => kind.simple(name, given.text),
        (Some(kind), _) => Err(format!("{kind} can be given as JSON alone, by {name}_JSON")),
        (None, None | Some(Value::Null | Value::String(_))) => Ok(Value::text(given.text)),
        (None, Some(Value::Bool(_))) => Kind::Bool.simple(name, given.text),
        (None, Some(Value::Number(_))) => Kind::Number.simple(name, given.text),
        (None, Some(other)) => Err(format!(
            "{} without a type cannot be given from outside: say type = list(string), for example",
            other.kind()
        )),
    }
}
