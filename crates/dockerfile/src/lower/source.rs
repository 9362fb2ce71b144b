//! Vertices that bring something in. Each is made once, when something first uses it.

use std::collections::BTreeMap;

use graph::{Edge, Graph, ImageSource, LocalSource, Meta, Op, SourceOp};

use super::error::LowerError;
use super::options::{BuildContext, NamedContext, Options, Steps};

/// The graph as it grows, and what was brought in.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) graph: Graph,
    context: Option<Edge>,
    named: BTreeMap<String, Edge>,
    /// Names of local contexts that are used.
    pub(super) locals: Vec<String>,
    /// What must be made beside what uses it.
    pub(super) required: Vec<Edge>,
    /// Images with layers as Windows has them.
    pub(super) windows: Vec<Edge>,
}

impl Sources {
    /// Nothing yet, with room for so many vertices.
    pub(super) fn with_capacity(vertices: usize) -> Self {
        Self {
            graph: Graph::with_capacity(vertices),
            ..Self::default()
        }
    }

    /// The build context; none when it is empty.
    pub(super) fn context(&mut self, options: &Options) -> Result<Option<Edge>, LowerError> {
        if self.context.is_some() {
            return Ok(self.context);
        }
        const NAME: &str = "[internal] load build context";
        self.context = match &options.context {
            BuildContext::Empty => None,
            BuildContext::Local { name, exclude } => {
                Some(self.local(name, exclude, NAME.to_owned())?)
            }
            BuildContext::Source(op) => Some(self.source(op.clone(), NAME.to_owned())?),
            BuildContext::Steps(steps) => self.steps(steps)?,
        };
        Ok(self.context)
    }

    /// A named context that is no image; none when it is empty.
    pub(super) fn named(
        &mut self,
        key: &str,
        context: &NamedContext,
    ) -> Result<Option<Edge>, LowerError> {
        if let Some(edge) = self.named.get(key) {
            return Ok(Some(*edge));
        }
        let edge = match context {
            NamedContext::Scratch | NamedContext::Image(_) => return Ok(None),
            NamedContext::Steps(steps) => match self.steps(steps)? {
                Some(edge) => edge,
                None => return Ok(None),
            },
            NamedContext::Local { name, exclude } => {
                self.local(name, exclude, format!("[context {key}] load from client"))?
            }
            NamedContext::Source(op) => {
                let shown = match op {
                    SourceOp::Git(git) => git.url.as_str(),
                    SourceOp::Http(http) => http.url.as_str(),
                    _ => "load",
                };
                self.source(op.clone(), format!("[context {key}] {shown}"))?
            }
        };
        self.named.insert(key.to_owned(), edge);
        Ok(Some(edge))
    }

    /// The file system of an image.
    pub(super) fn image(&mut self, image: ImageSource, meta: Meta) -> Result<Edge, LowerError> {
        let op = Op::Source(SourceOp::Image(image));
        Ok(self.graph.add(op, Vec::new(), meta)?.into())
    }

    /// It is what the client offers, and nothing else.
    pub(super) fn is_local(&self, edge: Edge) -> bool {
        let vertex = self.graph.get(edge.vertex);
        vertex.is_some_and(|vertex| matches!(vertex.op, Op::Source(SourceOp::Local(_))))
    }

    /// Anything else.
    pub(super) fn source(&mut self, op: SourceOp, name: String) -> Result<Edge, LowerError> {
        let meta = Meta {
            name,
            ..Meta::default()
        };
        Ok(self.graph.add(Op::Source(op), Vec::new(), meta)?.into())
    }

    /// What further steps make.
    fn steps(&mut self, steps: &Steps) -> Result<Option<Edge>, LowerError> {
        let Some(root) = steps.root else {
            return Ok(None);
        };
        let known = self.graph.len();
        let wanted = [&[root], &steps.required[..]].concat();
        let mut edges = self.graph.graft(&steps.graph, &wanted)?.into_iter();
        let root = edges.next();
        self.required.extend(edges);
        for (_, vertex) in self.graph.iter().skip(known) {
            if let Op::Source(SourceOp::Local(local)) = &vertex.op
                && !self.locals.contains(&local.name)
            {
                self.locals.push(local.name.clone());
            }
        }
        Ok(root)
    }

    fn local(&mut self, name: &str, exclude: &[String], shown: String) -> Result<Edge, LowerError> {
        if !self.locals.iter().any(|known| known == name) {
            self.locals.push(name.to_owned());
        }
        let op = SourceOp::Local(LocalSource {
            name: name.to_owned(),
            include: Vec::new(),
            exclude: exclude.to_vec(),
            follow: Vec::new(),
        });
        self.source(op, shown)
    }
}
