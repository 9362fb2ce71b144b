//! Strings with expressions in them.

use hcl_edit::Span as _;
use hcl_edit::template::{Directive, Element, ForDirective, HeredocTemplate, IfDirective, Strip};

use super::iterate::entries;
use super::{Locals, Scope};
use crate::error::{BakeError, Problem};
use crate::value::Value;

impl Scope<'_> {
    /// A template; the value itself where there is nothing around it.
    pub(super) fn template<'e>(
        &self,
        elements: impl Iterator<Item = &'e Element>,
    ) -> Result<Value, BakeError> {
        let elements: Vec<&Element> = elements.collect();
        if let [Element::Interpolation(alone)] = elements.as_slice() {
            return self.value(&alone.expr);
        }
        let text = self.elements(&elements, (false, false))?;
        Ok(Value::String(text))
    }

    /// A heredoc, whose indentation is gone already if it begins with `<<-`.
    pub(super) fn heredoc(&self, heredoc: &HeredocTemplate) -> Result<Value, BakeError> {
        let is_directive = |element: &Element| matches!(element, Element::Directive(_));
        if let Some(directive) = heredoc
            .template
            .iter()
            .find(|element| is_directive(element))
            && heredoc.indent().is_some()
        {
            let problem = Problem::Unsupported {
                what: "%{…} in a heredoc that loses its indentation".to_owned(),
                instead: "begin it with << in place of <<-",
            };
            return Err(self.error(directive.span(), problem));
        }
        self.template(heredoc.template.iter())
    }

    /// The text of `elements`, without white space where what is around them says so.
    fn elements(
        &self,
        elements: &[&Element],
        (strip_start, strip_end): (bool, bool),
    ) -> Result<String, BakeError> {
        let mut text = String::new();
        for (place, element) in elements.iter().enumerate() {
            let before = place.checked_sub(1).map(|before| elements[before]);
            let after = elements.get(place + 1);
            match element {
                Element::Literal(literal) => {
                    let start = before.map_or(strip_start, |before| strips(before).1);
                    let end = after.map_or(strip_end, |after| strips(after).0);
                    text.push_str(&stripped(literal.as_str(), start, end));
                }
                Element::Interpolation(part) => text.push_str(&self.part(part)?),
                Element::Directive(directive) => match &**directive {
                    Directive::If(directive) => text.push_str(&self.if_directive(directive)?),
                    Directive::For(directive) => text.push_str(&self.for_directive(directive)?),
                },
            }
        }
        self.spend(elements.first().and_then(|e| e.span()), text.len() as u64)?;
        Ok(text)
    }

    fn part(&self, part: &hcl_edit::template::Interpolation) -> Result<String, BakeError> {
        let value = self.value(&part.expr)?;
        value.to_text().ok_or_else(|| {
            let problem = Problem::Kind {
                what: "a part of a string".to_owned(),
                expected: "a string",
                found: value.kind().to_owned(),
            };
            self.error(part.expr.span(), problem)
        })
    }

    fn if_directive(&self, directive: &IfDirective) -> Result<String, BakeError> {
        let first = &directive.if_expr;
        let condition = self.value(&first.cond_expr)?;
        let is_met = condition.to_bool();
        let is_met =
            is_met.ok_or_else(|| self.kind(first.cond_expr.span(), "a bool", &condition))?;
        let end = sides(directive.endif_expr.strip).0;
        let (template, strip) = match (is_met, &directive.else_expr) {
            (true, other) => {
                let other = other.as_ref().map(|other| sides(other.strip).0);
                (
                    &first.template,
                    (sides(first.strip).1, other.unwrap_or(end)),
                )
            }
            (false, Some(other)) => (&other.template, (sides(other.strip).1, end)),
            (false, None) => return Ok(String::new()),
        };
        self.elements(&template.iter().collect::<Vec<_>>(), strip)
    }

    fn for_directive(&self, directive: &ForDirective) -> Result<String, BakeError> {
        let each = &directive.for_expr;
        let collection = self.value(&each.collection_expr)?;
        let span = each.collection_expr.span();
        let items = entries(&collection).ok_or_else(|| self.kind(span, "a list", &collection))?;
        let strip = (sides(each.strip).1, sides(directive.endfor_expr.strip).0);
        let elements: Vec<&Element> = each.template.iter().collect();
        let mut text = String::new();
        for (key, value) in items {
            let mut locals = Locals {
                outer: self.locals,
                ..Locals::default()
            };
            locals
                .values
                .insert(each.value_var.as_str().to_owned(), value);
            if let Some(name) = &each.key_var {
                locals.values.insert(name.as_str().to_owned(), key);
            }
            let scope = self.with(&locals);
            scope.turn(directive.span())?;
            text.push_str(&scope.elements(&elements, strip)?);
        }
        Ok(text)
    }
}

/// A literal without white space at its start and end: that of its first line, and of its last.
fn stripped(literal: &str, start: bool, end: bool) -> String {
    let mut lines: Vec<&str> = literal.split_inclusive('\n').collect();
    if let Some(first) = lines.first_mut().filter(|_| start) {
        *first = first.trim_start();
    }
    if let Some(last) = lines.last_mut().filter(|_| end) {
        *last = last.trim_end();
    }
    lines.concat()
}

/// Whether white space goes before it, and after it.
fn strips(element: &Element) -> (bool, bool) {
    match element {
        Element::Literal(_) => (false, false),
        Element::Interpolation(part) => sides(part.strip),
        Element::Directive(directive) => match &**directive {
            Directive::If(directive) => (
                sides(directive.if_expr.strip).0,
                sides(directive.endif_expr.strip).1,
            ),
            Directive::For(directive) => (
                sides(directive.for_expr.strip).0,
                sides(directive.endfor_expr.strip).1,
            ),
        },
    }
}

const fn sides(strip: Strip) -> (bool, bool) {
    (
        matches!(strip, Strip::Start | Strip::Both),
        matches!(strip, Strip::End | Strip::Both),
    )
}
