//! Go's templates as far as people use them with docker's `--format`: fields, `if`, `range`,
//! `with`, pipelines, and the functions of [`functions`]. Anything else is an error that names it.

mod evaluate;
mod functions;
mod parse;
mod token;

#[cfg(test)]
mod tests;

use evaluate::Scope;
use serde_json::Value;

/// A template that was understood.
#[derive(Debug, Clone)]
pub struct Template {
    nodes: Vec<Node>,
}

/// Why a text is not a template, or cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{{` without `}}`.
    #[error("template: unclosed action")]
    Unclosed,
    /// Something that stands where it may not.
    #[error("template: unexpected {0:?} in action")]
    Unexpected(String),
    /// A block without its end.
    #[error("template: unexpected EOF: {{{{{0}}}}} has no {{{{end}}}}")]
    NoEnd(&'static str),
    /// A function that there is not.
    #[error("template: function {0:?} not defined")]
    Function(String),
    /// A field that there is not.
    #[error("template: can't evaluate field {0}")]
    Field(String),
    /// A function with arguments that it does not take.
    #[error("template: error calling {function}: {reason}")]
    Call {
        /// The function.
        function: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A block over something that it cannot go over.
    #[error("template: range can't iterate over {0}")]
    Range(String),
}

/// A part of a template.
#[derive(Debug, Clone)]
enum Node {
    Text(String),
    Print(Pipeline),
    If(Block),
    With(Block),
    Range(Block),
}

/// `{{if …}}body{{else}}otherwise{{end}}`, and its like.
#[derive(Debug, Clone)]
struct Block {
    pipeline: Pipeline,
    body: Vec<Node>,
    otherwise: Vec<Node>,
}

/// Commands; the value of each is the last argument of the next.
#[derive(Debug, Clone)]
struct Pipeline(Vec<Command>);

/// An operand alone, or a function and its arguments.
#[derive(Debug, Clone)]
struct Command(Vec<Operand>);

#[derive(Debug, Clone)]
enum Operand {
    /// `.A.B`; `.` when empty. `$.A` starts from the top.
    Path {
        from_top: bool,
        names: Vec<String>,
    },
    Literal(Value),
    Name(String),
    /// `(pipeline).A`
    Group(Pipeline, Vec<String>),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// The text is not a template of the supported kind.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let nodes = parse::nodes(text)?;
        Ok(Self { nodes })
    }

    /// The template filled in from `value`.
    ///
    /// # Errors
    /// It asks for a field that is not there, or calls a function with the wrong arguments.
    pub fn render(&self, value: &Value) -> Result<String, TemplateError> {
        self.render_with(value, Value::to_string)
    }

    /// The same, where the function `json` is another one.
    ///
    /// # Errors
    /// As [`render`](Self::render).
    pub fn render_with(
        &self,
        value: &Value,
        json: fn(&Value) -> String,
    ) -> Result<String, TemplateError> {
        let mut text = String::new();
        evaluate::nodes(&self.nodes, Scope { value, json }, value, &mut text)?;
        Ok(text)
    }
}
