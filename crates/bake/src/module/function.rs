//! Functions that files define.

use std::collections::BTreeMap;

use hcl_edit::expr::Expression;

use super::{Module, placed};
use crate::error::{BakeError, Problem};
use crate::eval::{Locals, Scope};
use crate::syntax::{Attribute, Block};
use crate::value::Value;

/// What a call costs, at least.
const CALL: u64 = 256;

impl Module<'_> {
    /// What the function `name` comes to; none when no file defines it.
    pub(crate) fn call(
        &self,
        name: &str,
        arguments: Vec<Value>,
    ) -> Result<Option<Value>, BakeError> {
        let Some(block) = self.functions.get(name) else {
            return Ok(None);
        };
        let made = self.once(format!("function {name}"), || {
            self.run(name, block, arguments)
        });
        made.map(Some)
            .map_err(|error| placed(error, || block.at.place(self.files, None)))
    }

    /// Names of the functions that files define.
    pub(crate) fn function_names(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().map(String::as_str)
    }

    /// Each function must be one, also where nothing calls it.
    pub(crate) fn check_functions(&self) -> Result<(), BakeError> {
        for (name, block) in &self.functions {
            self.parts(name, block)
                .map_err(|error| placed(error, || block.at.place(self.files, None)))?;
        }
        Ok(())
    }

    fn run(&self, name: &str, block: &Block, arguments: Vec<Value>) -> Result<Value, BakeError> {
        self.spend(CALL).map_err(Problem::nowhere)?;
        let (parameters, rest, result) = self.parts(name, block)?;
        let count = arguments.len();
        if count < parameters.len() || count > parameters.len() && rest.is_none() {
            let why = format!("takes {} arguments, not {count}", parameters.len());
            return Err(Problem::value(format!("function {name}"), why).nowhere());
        }
        let mut values = BTreeMap::new();
        let mut arguments = arguments.into_iter();
        for parameter in parameters {
            values.extend(arguments.next().map(|argument| (parameter, argument)));
        }
        if let Some(rest) = rest {
            values.insert(rest, Value::List(arguments.collect()));
        }
        let locals = Locals {
            outer: None,
            values,
        };
        let scope = Scope {
            module: self,
            at: &result.at,
            locals: Some(&locals),
        };
        scope.value(&result.expression)
    }

    /// Parameters, the one that takes all further arguments, and the result.
    fn parts<'b>(
        &self,
        name: &str,
        block: &'b Block,
    ) -> Result<(Vec<String>, Option<String>, &'b Attribute), BakeError> {
        let known = ["params", "variadic_params", "result"];
        for attribute in &block.body.attributes {
            if !known.contains(&attribute.name.as_str()) {
                let problem = Problem::unknown("attribute of a function", &attribute.name, known);
                return Err(problem.at(attribute.at.place(self.files, None)));
            }
        }
        let lacks =
            |what| Problem::value(format!("function {name}"), format!("lacks {what}")).nowhere();
        let parameters = block
            .body
            .attribute("params")
            .ok_or_else(|| lacks("params"))?;
        let result = block
            .body
            .attribute("result")
            .ok_or_else(|| lacks("result"))?;
        let word = |attribute: &Attribute, expression: &Expression| match expression {
            Expression::Variable(name) => Ok(name.as_str().to_owned()),
            _ => {
                let problem = Problem::value("a parameter", "must be a name");
                Err(problem.at(attribute.at.place(self.files, None)))
            }
        };
        let names = match &parameters.expression {
            Expression::Array(names) => names.iter().map(|name| word(parameters, name)).collect(),
            other => word(parameters, other).map(|name| vec![name]),
        };
        let rest = block.body.attribute("variadic_params");
        let rest = rest.map(|rest| word(rest, &rest.expression)).transpose()?;
        Ok((names?, rest, result))
    }
}
