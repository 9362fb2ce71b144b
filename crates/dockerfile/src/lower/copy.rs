//! `COPY` and `ADD`: what they read from the Dockerfile and where it comes from.
//!
//! Variables are expanded here; [`Transfers`] makes actions of what is found.

use std::borrow::Cow;

use graph::{
    Edge, FileAction, FileActionKind, FileInput, FileOp, HttpSource, Location, MergeOp, Meta,
    Mkfile, Op, SourceOp,
};

use super::dispatch::{Current, Dispatcher, Stage};
use super::error::LowerError;
use super::foreign::with_slashes;
use super::git;
use super::image::HistoryLayer;
use super::name::Named;
use super::options::BuildContext;
use super::scope::Scope;
use super::transfer::{Destination, Transfers, parse_mode};
use super::url;
use crate::Heredoc;
use crate::ignore::Patterns;
use crate::instruction::{AddOptions, CopyOptions, Transfer};
use crate::lint::Finding;
use crate::path;
use crate::word::Lex;

impl Dispatcher<'_> {
    pub(super) fn copy(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        transfer: &Transfer,
        options: &CopyOptions,
    ) -> Result<(), LowerError> {
        let mut transfers = self.begin_transfer(stage, at, transfer, None)?;
        transfers.parents = options.parents;
        if let Some((name, node)) = at
            .step
            .from
            .first()
            .and_then(|from| Some((&from.name, from.node?)))
        {
            let edge = self.done.edge(node);
            let edge = edge.ok_or_else(|| LowerError::CopyForward {
                from: name.clone(),
                stage: stage.name.to_owned(),
            })?;
            self.check_layers(edge)?;
            transfers.set_from(edge, &self.sources);
            transfers.from_context = false;
        }
        self.finish_transfer(stage, at, transfers)
    }

    pub(super) fn add(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        transfer: &Transfer,
        options: &AddOptions,
    ) -> Result<(), LowerError> {
        let mut transfers = self.begin_transfer(stage, at, transfer, Some(options))?;
        transfers.checksum = self.expand(stage, at, &options.checksum)?;
        self.finish_transfer(stage, at, transfers)
    }

    fn begin_transfer<'a>(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        transfer: &'a Transfer,
        add: Option<&'a AddOptions>,
    ) -> Result<Transfers<'a>, LowerError> {
        let chown = self.expand(stage, at, &transfer.chown)?;
        let chmod = self.expand(stage, at, &transfer.chmod)?;
        let written = self.expand(stage, at, &transfer.destination)?;
        self.check_layers(stage.scope.edge)?;
        let destination = Destination::new(&stage.scope, written)?;
        let mode = parse_mode(&chmod)?;
        let named = self.step_name(stage, at, "")?;
        // A mode may be for what is already there, through links of the image.
        let link = transfer.link && chmod.is_empty();
        let base = stage.scope.edge.filter(|_| !link);
        let mut inputs = Vec::with_capacity(2);
        inputs.extend(base);
        let sources = transfer.sources.len() + transfer.heredocs.len();
        Ok(Transfers {
            transfer,
            link,
            add,
            checksum: Cow::Borrowed(""),
            parents: false,
            from: None,
            from_context: true,
            from_local: false,
            destination,
            chown,
            chmod,
            mode,
            named,
            has_base: base.is_some(),
            inputs,
            actions: Vec::with_capacity(sources),
            told: Vec::new(),
        })
    }

    fn finish_transfer(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        mut transfers: Transfers<'_>,
    ) -> Result<(), LowerError> {
        let heredocs = transfers.transfer.heredocs.len();
        let mut sources = Vec::with_capacity(transfers.transfer.sources.len() + heredocs);
        for source in &transfers.transfer.sources {
            sources.push(self.expand(stage, at, source)?);
        }
        transfers.check_checksum(&sources)?;
        for source in &sources {
            self.transfer_source(&stage.scope, at, &mut transfers, source)?;
        }
        transfers.told = sources;
        for heredoc in &transfers.transfer.heredocs {
            self.transfer_heredoc(stage, at, &mut transfers, heredoc)?;
            let told = Cow::Owned(format!("<<{}", heredoc.name));
            transfers.told.push(told);
        }
        let history = transfers.history();
        let layer = self.add_transfer(stage, at, transfers)?;
        stage.scope.image.add_history(history, layer);
        Ok(())
    }

    fn transfer_source(
        &mut self,
        scope: &Scope,
        at: Current<'_>,
        transfers: &mut Transfers<'_>,
        source: &str,
    ) -> Result<(), LowerError> {
        if git::parse(source)?.is_some() && transfers.add.is_none() {
            return Err(LowerError::CopyGit);
        }
        if url::is_http(source) && transfers.add.is_none() {
            return Err(LowerError::CopyUrl);
        }
        let options = transfers.add.cloned().unwrap_or_default();
        if let Some(op) = added(source, &options, &transfers.checksum)? {
            let file_name = match &op {
                SourceOp::Http(file) => Some(format!("/{}", file.file_name)),
                _ => None,
            };
            let edge = self.sources.source(op, transfers.named.name.clone())?;
            match file_name {
                Some(path) => transfers.push_file(edge, path, options.unpack == Some(true)),
                None => transfers.push_repository(edge),
            }
        } else {
            if transfers.from_context {
                self.check_ignored(at, source, transfers.add.is_some());
                let context = self.sources.context(&self.lowering.options)?;
                transfers.set_from(context, &self.sources);
            }
            transfers.push_path(&with_slashes(&scope.platform, source)?);
        }
        Ok(())
    }

    fn transfer_heredoc(
        &mut self,
        stage: &Stage<'_>,
        at: Current<'_>,
        transfers: &mut Transfers<'_>,
        heredoc: &Heredoc,
    ) -> Result<(), LowerError> {
        let mut content = heredoc.content();
        if heredoc.expand {
            let lex = Lex {
                plain_quotes: true,
                ..Lex::new('\\')
            };
            content = self.expand_with(lex, stage, at, &content)?.into_owned();
        }
        let path = path::absolute("/", &heredoc.name);
        let edge = self.inline_file(path.clone(), content, 0o644)?;
        transfers.push_file(edge, path, false);
        Ok(())
    }

    /// A file system with one file, which the Dockerfile itself holds.
    pub(super) fn inline_file(
        &mut self,
        path: String,
        content: String,
        mode: u32,
    ) -> Result<Edge, LowerError> {
        let action = FileAction {
            input: FileInput::Scratch,
            kind: FileActionKind::Mkfile(Mkfile {
                path,
                data: content.into_bytes(),
                mode,
                owner: None,
                created: None,
            }),
            output: Some(0),
        };
        let op = Op::File(FileOp {
            actions: vec![action],
        });
        let meta = Meta {
            name: "[internal] preparing inline document".to_owned(),
            ..Meta::default()
        };
        Ok(self.sources.graph.add(op, Vec::new(), meta)?.into())
    }

    fn add_transfer(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        mut transfers: Transfers<'_>,
    ) -> Result<HistoryLayer, LowerError> {
        let link = transfers.link;
        let named = std::mem::take(&mut transfers.named);
        let meta = |Named { name, written }: Named| Meta {
            name,
            written,
            ignore_cache: stage.ignore_cache,
            locations: vec![Location::from(at.span)],
            ..Meta::default()
        };
        let (op, inputs) = transfers.into_op();
        let mut edge: Edge = self.sources.graph.add(op, inputs, meta(named))?.into();
        if let Some(base) = stage.scope.edge.filter(|_| link) {
            let named = self.step_name(stage, at, "LINK ")?;
            let inputs = vec![base, edge];
            edge = self
                .sources
                .graph
                .add(Op::Merge(MergeOp), inputs, meta(named))?
                .into();
        }
        stage.names.pass();
        stage.scope.edge = Some(edge);
        Ok(HistoryLayer::Vertex(edge))
    }

    /// Reports a source that the ignore file leaves out. With exceptions there is no telling.
    fn check_ignored(&mut self, at: Current<'_>, source: &str, is_add: bool) {
        let Some(patterns) = &self.ignored else {
            return;
        };
        let path = path::clean(source);
        if matches!(path.as_str(), "." | "/") && !patterns.exclude_root() {
            return;
        }
        if patterns.excludes(&path) {
            let instruction = if is_add { "Add" } else { "Copy" };
            self.report_at(at, &Finding::CopyIgnoredFile { instruction, path });
        }
    }
}

/// The patterns of the context's ignore file, when it can be told from them alone what they leave
/// out.
pub(super) fn ignored(context: &BuildContext) -> Option<Patterns> {
    let BuildContext::Local { exclude, .. } = context else {
        return None;
    };
    // Who read the file reports what is wrong with it.
    let patterns = Patterns::new(exclude).ok()?;
    (!patterns.is_empty() && !patterns.has_exceptions()).then_some(patterns)
}

/// What `ADD` brings in from elsewhere; none when the source is files of the context.
pub(super) fn added(
    source: &str,
    options: &AddOptions,
    checksum: &str,
) -> Result<Option<SourceOp>, LowerError> {
    if let Some(repository) = git::parse(source)? {
        let op = repository.into_source(options.keep_git_directory, checksum)?;
        return Ok(Some(op));
    }
    if !url::is_http(source) {
        return Ok(None);
    }
    Ok(Some(SourceOp::Http(HttpSource {
        url: source.to_owned(),
        checksum: match checksum {
            "" => None,
            checksum => Some(checksum.parse()?),
        },
        file_name: url::file_name(source),
        ..HttpSource::default()
    })))
}
