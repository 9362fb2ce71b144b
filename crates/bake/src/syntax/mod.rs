//! Bake files as they were written: attributes and blocks, whose expressions are not looked at yet.

mod hcl;
mod json;

use hcl_edit::expr::Expression;

use crate::error::{BakeError, Place, Problem};
use crate::given::File;

/// Files that are longer are no bake files.
const MAX_FILE: usize = 4 << 20;

/// What stands in a file or in a block.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) blocks: Vec<Block>,
}

/// `name = expression`
#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) expression: Expression,
    pub(crate) at: Origin,
}

/// `kind "label" { … }`
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) kind: String,
    pub(crate) labels: Vec<String>,
    pub(crate) body: Body,
    pub(crate) at: Origin,
}

/// Where something was written.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// Which of the files.
    pub(crate) file: usize,
    /// The byte at which it begins; none in JSON.
    pub(crate) start: Option<usize>,
    /// The way to it, in JSON.
    pub(crate) path: String,
}

impl Body {
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }
}

/// What is in the file at the place `number` among `files`, which is no compose file.
pub(crate) fn read(files: &[File], number: usize) -> Result<Body, BakeError> {
    let file = &files[number];
    if file.text.len() > MAX_FILE {
        return Err(Problem::TooLarge(MAX_FILE as u64).at(whole(file)));
    }
    if file.name.ends_with(".json") {
        return json::read(file, number);
    }
    let read = hcl::read(file, number);
    if file.name.ends_with(".hcl") {
        return read;
    }
    // Of what comes on standard input the name says nothing.
    read.or_else(|error| json::read(file, number).map_err(|_| error))
}

/// The file as a place.
pub(crate) fn whole(file: &File) -> Place {
    Place {
        file: file.name.clone(),
        line: None,
        path: String::new(),
    }
}

impl Origin {
    /// Where the byte `start` of the same file is.
    pub(crate) fn place(&self, files: &[File], start: Option<usize>) -> Place {
        let file = &files[self.file];
        let start = start.or(self.start);
        let line = self.start.and(start).map(|start| {
            let before = file.text.as_bytes().get(..start).unwrap_or_default();
            1 + before.iter().filter(|byte| **byte == b'\n').count()
        });
        Place {
            file: file.name.clone(),
            line,
            path: self.path.clone(),
        }
    }
}
