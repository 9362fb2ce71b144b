//! Rules on one Rust source file.

use proc_macro2::Span;
use syn::visit::{self, Visit};

use super::{Finding, Rule};

/// Lines that a file may have, and from which a reviewer looks at it.
const FILE_LINES: usize = 800;
const FILE_REVIEW: usize = 500;

/// Lines that a function may have, and from which a reviewer looks at it.
const FUNCTION_LINES: usize = 100;
const FUNCTION_REVIEW: usize = 60;

/// The one crate that may have unsafe code.
const UNSAFE_CRATE: &str = "crates/sys/";

/// What breaks a rule in this file.
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut visitor = Visitor::new(path, text);
    if !text.starts_with("//!") {
        visitor.find(
            0,
            Rule::Header,
            "the file does not start with a `//!` header",
        );
    }
    let lines = text.lines().count();
    if lines > FILE_LINES {
        visitor.find(
            0,
            Rule::FileLength,
            &format!("{lines} lines, of {FILE_LINES} at most"),
        );
    }
    match syn::parse_file(text) {
        Ok(file) => visitor.visit_file(&file),
        Err(error) => visitor.find(error.span().start().line, Rule::Syntax, &error.to_string()),
    }
    let long = |function: &&Function| function.lines > FUNCTION_LINES;
    let long: Vec<Function> = visitor.functions.iter().filter(long).cloned().collect();
    for Function { name, line, lines } in long {
        let detail = format!("`{name}` has {lines} lines, of {FUNCTION_LINES} at most");
        visitor.find(line, Rule::FunctionLength, &detail);
    }
    visitor.findings
}

/// What is within the rules, but long enough to be looked at.
pub(super) fn review(path: &str, text: &str) -> Vec<String> {
    let mut remarks = Vec::new();
    let lines = text.lines().count();
    if (FILE_REVIEW + 1..=FILE_LINES).contains(&lines) {
        remarks.push(format!("{path}: {lines} lines"));
    }
    let Ok(file) = syn::parse_file(text) else {
        return remarks;
    };
    let mut visitor = Visitor::new(path, text);
    visitor.visit_file(&file);
    for Function { name, line, lines } in visitor.functions {
        if (FUNCTION_REVIEW + 1..=FUNCTION_LINES).contains(&lines) {
            remarks.push(format!("{path}:{line}: `{name}` has {lines} lines"));
        }
    }
    remarks
}

#[derive(Debug, Clone)]
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

struct Visitor<'a> {
    path: &'a str,
    lines: Vec<&'a str>,
    findings: Vec<Finding>,
    functions: Vec<Function>,
}

impl<'a> Visitor<'a> {
    fn new(path: &'a str, text: &'a str) -> Self {
        Self {
            path,
            lines: text.lines().collect(),
            findings: Vec::new(),
            functions: Vec::new(),
        }
    }

    fn find(&mut self, line: usize, rule: Rule, detail: &str) {
        let path = self.path.to_owned();
        self.findings.push(Finding {
            path,
            line,
            rule,
            detail: detail.to_owned(),
        });
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let line = signature.fn_token.span.start().line;
        let lines = block.brace_token.span.close().end().line - line + 1;
        self.functions.push(Function {
            name: signature.ident.to_string(),
            line,
            lines,
        });
    }

    fn unsafe_code(&mut self, span: Span, what: &str) {
        let line = span.start().line;
        if !self.path.starts_with(UNSAFE_CRATE) {
            self.find(
                line,
                Rule::Unsafe,
                &format!("{what} outside of {UNSAFE_CRATE}"),
            );
        }
        if !self.is_justified(line) {
            let detail = format!("{what} without a `// SAFETY:` comment above it");
            self.find(line, Rule::SafetyComment, &detail);
        }
    }

    /// Whether the comment block nearest above this line (counted from 1), with no blank line and
    /// no more than the beginning of the same statement between, says why the code is sound.
    fn is_justified(&self, line: usize) -> bool {
        let above = self.lines[..line.saturating_sub(1)]
            .iter()
            .rev()
            .map(|line| line.trim());
        let mut in_comment = false;
        let mut code_lines = 0;
        for content in above {
            let comment = content.starts_with("//");
            if comment && content.contains("SAFETY:") {
                return true;
            }
            code_lines += usize::from(!comment);
            let ended = content.is_empty() || content.ends_with([';', '}']);
            if (in_comment && !comment) || ended || code_lines > 4 {
                return false;
            }
            in_comment = comment;
        }
        false
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("allow") {
            let line = attribute.pound_token.span.start().line;
            let detail = "`allow` goes stale; use `expect` with a reason";
            self.find(line, Rule::AllowAttribute, detail);
        }
        visit::visit_attribute(self, attribute);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_expr_unsafe(&mut self, expression: &'ast syn::ExprUnsafe) {
        self.unsafe_code(expression.unsafe_token.span, "unsafe block");
        visit::visit_expr_unsafe(self, expression);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let Some(token) = &item.unsafety {
            self.unsafe_code(token.span, "unsafe impl");
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if let Some(name) = call.path.segments.last().map(|segment| &segment.ident)
            && ["todo", "unimplemented"]
                .iter()
                .any(|unfinished| name == unfinished)
        {
            let line = name.span().start().line;
            self.find(
                line,
                Rule::Unfinished,
                &format!("`{name}!` says that this is not done"),
            );
        }
        visit::visit_macro(self, call);
    }
}

#[cfg(test)]
mod tests;
