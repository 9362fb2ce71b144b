//! Calls of functions.

use std::ops::Range;

use hcl_edit::Span as _;
use hcl_edit::expr::{Expression, FuncCall};

use super::Scope;
use crate::error::{BakeError, Problem};
use crate::functions;
use crate::kind::Kind;
use crate::value::Value;

impl Scope<'_> {
    pub(super) fn call(
        &self,
        call: &FuncCall,
        span: Option<Range<usize>>,
    ) -> Result<Value, BakeError> {
        let name = call.name.name.as_str();
        let arguments: Vec<&Expression> = call.args.iter().collect();
        if call.name.is_namespaced() {
            let spaces = call.name.namespace.iter().map(|space| space.as_str());
            let whole: Vec<&str> = spaces.chain([name]).collect();
            let problem = Problem::unknown("function", &whole.join("::"), []);
            return Err(self.error(span, problem));
        }
        match (name, arguments.as_slice()) {
            ("try", [_, ..]) => return self.attempt(&arguments),
            ("can", [one]) => return self.can(one),
            ("convert", [value, kind]) => return self.convert(value, kind),
            _ => {}
        }
        let mut values = Vec::with_capacity(arguments.len());
        for argument in &arguments {
            values.push(self.value(argument)?);
        }
        if call.args.expand_final()
            && let (Some(last), Some(argument)) = (values.pop(), arguments.last())
        {
            match last {
                Value::List(items) => values.extend(items),
                other => return Err(self.kind(argument.span(), "a list", &other)),
            }
        }
        let value = self.result(name, values, span.clone())?;
        self.spend(span, value.weight())?;
        Ok(value)
    }

    fn result(
        &self,
        name: &str,
        values: Vec<Value>,
        span: Option<Range<usize>>,
    ) -> Result<Value, BakeError> {
        if let Some(done) = functions::call(name, &values, self.module) {
            let wrong = |why| Problem::value(format!("function {name}"), why);
            return done.map_err(|why| self.error(span, wrong(why)));
        }
        if let Some(done) = self.module.call(name, values)? {
            return Ok(done);
        }
        let own = self.module.function_names();
        let options = functions::names().map(|name: &str| name).chain(own);
        Err(self.error(span, Problem::unknown("function", name, options)))
    }

    /// The first that can be had.
    fn attempt(&self, arguments: &[&Expression]) -> Result<Value, BakeError> {
        let mut last = None;
        for argument in arguments {
            match self.value(argument) {
                Ok(value) => return Ok(value),
                Err(error) if matches!(error.problem, Problem::TooLarge(_)) => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Problem::value("try", "nothing to try").nowhere()))
    }

    /// Whether it can be had.
    fn can(&self, argument: &Expression) -> Result<Value, BakeError> {
        match self.value(argument) {
            Ok(_) => Ok(Value::Bool(true)),
            Err(error) if matches!(error.problem, Problem::TooLarge(_)) => Err(error),
            Err(_) => Ok(Value::Bool(false)),
        }
    }

    fn convert(&self, value: &Expression, kind: &Expression) -> Result<Value, BakeError> {
        let kind = Kind::of(kind).map_err(|problem| self.error(value.span(), problem))?;
        let found = self.value(value)?;
        let wrong = |why| self.error(value.span(), Problem::value("function convert", why));
        let converted = kind.convert(found).map_err(wrong)?;
        self.spend(value.span(), converted.weight())?;
        Ok(converted)
    }
}
