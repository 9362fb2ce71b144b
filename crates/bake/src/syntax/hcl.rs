//! Files in HCL's own syntax.

use hcl_edit::Span as _;
use hcl_edit::structure::{Body as Parsed, Structure};

use super::{Attribute, Block, Body, Origin};
use crate::error::{BakeError, Place, Problem};
use crate::given::File;

pub(super) fn read(file: &File, number: usize) -> Result<Body, BakeError> {
    let parsed = hcl_edit::parser::parse_body(&file.text);
    let parsed = parsed.map_err(|error| {
        let place = Place {
            file: file.name.clone(),
            line: Some(error.location().line()),
            path: String::new(),
        };
        Problem::Syntax(error.message().to_owned()).at(place)
    })?;
    body(parsed, file, number)
}

fn body(parsed: Parsed, file: &File, number: usize) -> Result<Body, BakeError> {
    let mut body = Body::default();
    for structure in parsed {
        let origin = |span: Option<std::ops::Range<usize>>| Origin {
            file: number,
            start: span.map(|span| span.start).or(Some(0)),
            path: String::new(),
        };
        match structure {
            Structure::Attribute(attribute) => {
                let at = origin(attribute.key.span());
                let name = attribute.key.to_string();
                let name = name.trim().to_owned();
                if body.attribute(&name).is_some() {
                    let again = Problem::value(name, "was said before in the same place");
                    return Err(again.at(at.place(std::slice::from_ref(file), None)));
                }
                body.attributes.push(Attribute {
                    name,
                    expression: attribute.value,
                    at,
                });
            }
            Structure::Block(block) => {
                let at = origin(block.ident.span());
                let labels = block.labels.iter().map(|label| label.as_str().to_owned());
                body.blocks.push(Block {
                    kind: block.ident.as_str().to_owned(),
                    labels: labels.collect(),
                    body: self::body(block.body, file, number)?,
                    at,
                });
            }
        }
    }
    Ok(body)
}
