//! Instructions that change only the config, and `WORKDIR`.

use std::borrow::Cow;

use graph::{FileAction, FileActionKind, FileInput, FileOp, Location, Meta, Mkdir, Op};
use oci::{Empty, HealthConfig};

use super::dispatch::{Current, Dispatcher, Stage};
use super::error::LowerError;
use super::foreign::{default_shell, in_config, is_windows, with_slashes};
use super::image::HistoryLayer;
use super::name::Named;
use super::outline::OutlineArg;
use super::scan;
use super::scope::Scope;
use super::signal::is_signal;
use super::transfer::owner;
use crate::instruction::{Arg, Command, KeyValue, show_duration};
use crate::lint::{Finding, is_secret};
use crate::path;
use crate::quote::{plain_list, quote, quote_list};
use crate::stage::described;
use crate::word::Variables as _;

/// A name and its value, with variables expanded.
type Pair<'w> = (Cow<'w, str>, Cow<'w, str>);

impl Dispatcher<'_> {
    pub(super) fn env(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        pairs: &[KeyValue],
    ) -> Result<(), LowerError> {
        let mut history = "ENV".to_owned();
        for (key, value) in self.pairs(stage, at, pairs)? {
            self.check_secret(at, "ENV", &key);
            history.extend([" ", &key, "=", &value]);
            stage.scope.env.set(&key, &value);
            stage.scope.image.env.replace(&key, &value);
        }
        stage.scope.image.add_history(history, HistoryLayer::Empty);
        Ok(())
    }

    pub(super) fn label(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        pairs: &[KeyValue],
    ) -> Result<(), LowerError> {
        let mut history = "LABEL".to_owned();
        for (key, value) in self.pairs(stage, at, pairs)? {
            history.extend([" ", &key, "=", &value]);
            let labels = &mut stage.scope.image.config.config.labels;
            labels.insert(key.into_owned(), value.into_owned());
        }
        stage.scope.image.add_history(history, HistoryLayer::Empty);
        Ok(())
    }

    /// All pairs see the values from before the instruction.
    fn pairs<'w>(
        &mut self,
        stage: &Stage<'_>,
        at: Current<'_>,
        pairs: &'w [KeyValue],
    ) -> Result<Vec<Pair<'w>>, LowerError> {
        let mut expanded = Vec::with_capacity(pairs.len());
        for pair in pairs {
            if pair.old_form {
                let instruction = at.step.instruction.written().to_owned();
                self.report_at(at, &Finding::LegacyKeyValueFormat { instruction });
            }
            let key = self.expand(stage, at, &pair.key)?;
            let value = self.expand(stage, at, &pair.value)?;
            expanded.push((key, value));
        }
        Ok(expanded)
    }

    pub(super) fn arg(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        args: &[Arg],
    ) -> Result<(), LowerError> {
        let mut history = "ARG".to_owned();
        for Arg { key, value } in args {
            self.check_secret(at, "ARG", key);
            let lowering = self.lowering;
            let given = lowering.options.build_arg(key);
            let inherits =
                given.is_none() && value.is_none() && lowering.globals.env.get(key).is_some();
            let value = match (given, value) {
                (Some(given), _) => Some(given.to_owned()),
                (None, Some(default)) => Some(self.expand(stage, at, default)?.into_owned()),
                (None, None) => lowering.globals.env.get(key).map(str::to_owned),
            };
            history.extend([" ", key]);
            if let Some(value) = &value {
                history.extend(["=", value]);
                if !scan::ARGUMENTS.contains(&key.as_str()) {
                    stage.scope.env.set(key, value);
                }
            }
            let comments = &at.step.instruction.comments;
            let arg = OutlineArg {
                name: key.clone(),
                value: value.clone(),
                description: described(comments, key).map(str::to_owned),
                span: at.span,
            };
            self.noted.arg(arg, inherits);
            let args = &mut stage.scope.args;
            match args.iter_mut().find(|arg| arg.key == *key) {
                Some(arg) => arg.value = value,
                None => args.push(Arg {
                    key: key.clone(),
                    value,
                }),
            }
        }
        stage.scope.image.add_history(history, HistoryLayer::Empty);
        Ok(())
    }

    pub(super) fn maintainer(&mut self, stage: &mut Stage<'_>, author: &str) {
        let image = &mut stage.scope.image;
        author.clone_into(&mut image.config.author);
        image.add_history(format!("MAINTAINER {author}"), HistoryLayer::Empty);
    }

    pub(super) fn cmd(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        command: &Command,
    ) -> Result<(), LowerError> {
        self.check_once(stage.cmd.replace(at.span), at);
        let args = self.command(stage, at, command);
        let image = &mut stage.scope.image;
        image.add_history(format!("CMD {}", quote_list(&args)), HistoryLayer::Empty);
        image.config.config.args_escaped = true;
        image.config.config.cmd = Some(args).filter(|args| !args.is_empty());
        Ok(())
    }

    pub(super) fn entrypoint(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        command: &Command,
    ) -> Result<(), LowerError> {
        self.check_once(stage.entrypoint.replace(at.span), at);
        let args = self.command(stage, at, command);
        let image = &mut stage.scope.image;
        image.add_history(
            format!("ENTRYPOINT {}", quote_list(&args)),
            HistoryLayer::Empty,
        );
        image.config.config.entrypoint = Some(args).filter(|args| !args.is_empty());
        // A command of the base belongs to the base's entrypoint.
        if stage.cmd.is_none() {
            image.config.config.cmd = None;
        }
        Ok(())
    }

    fn command(&mut self, stage: &Stage<'_>, at: Current<'_>, command: &Command) -> Vec<String> {
        if !command.shell {
            return command.words.clone();
        }
        let shell = &stage.scope.config().config.shell;
        if shell.as_ref().is_none_or(Vec::is_empty) {
            let instruction = at.step.instruction.written().to_owned();
            let list = as_list(&command.text());
            self.report_at(at, &Finding::JsonArgsRecommended { instruction, list });
        }
        with_shell(&stage.scope, command.text().into_owned())
    }

    pub(super) fn healthcheck(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        health: &HealthConfig,
    ) -> Result<(), LowerError> {
        self.check_once(stage.healthcheck.replace(at.span), at);
        let history = format!(
            "HEALTHCHECK {{Test:{} Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
            plain_list(&health.test),
            show_duration(health.interval),
            show_duration(health.timeout),
            show_duration(health.start_period),
            show_duration(health.start_interval),
            health.retries
        );
        let image = &mut stage.scope.image;
        image.config.config.healthcheck = Some(health.clone());
        image.add_history(history, HistoryLayer::Empty);
        Ok(())
    }

    pub(super) fn shell(&mut self, stage: &mut Stage<'_>, shell: &[String]) {
        let image = &mut stage.scope.image;
        image.config.config.shell = Some(shell.to_vec());
        image.add_history(format!("SHELL {}", plain_list(shell)), HistoryLayer::Empty);
    }

    pub(super) fn stop_signal(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        signal: &str,
    ) -> Result<(), LowerError> {
        let signal = self.expand(stage, at, signal)?;
        if !is_signal(&signal) {
            return Err(LowerError::Signal(signal.into_owned()));
        }
        let image = &mut stage.scope.image;
        image.add_history(format!("STOPSIGNAL {signal}"), HistoryLayer::Empty);
        image.config.config.stop_signal = signal.into_owned();
        Ok(())
    }

    pub(super) fn user(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        user: &str,
    ) -> Result<(), LowerError> {
        let user = self.expand(stage, at, user)?;
        let image = &mut stage.scope.image;
        image.add_history(format!("USER {user}"), HistoryLayer::Empty);
        image.config.config.user = user.into_owned();
        Ok(())
    }

    pub(super) fn volume(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        paths: &[String],
    ) -> Result<(), LowerError> {
        let mut volumes = Vec::with_capacity(paths.len());
        for path in paths {
            let path = self.expand(stage, at, path)?;
            if path.is_empty() {
                return Err(LowerError::EmptyVolume);
            }
            volumes.push(path.into_owned());
        }
        let image = &mut stage.scope.image;
        image.add_history(
            format!("VOLUME {}", plain_list(&volumes)),
            HistoryLayer::Empty,
        );
        let volumes = volumes.into_iter().map(|path| (path, Empty {}));
        image.config.config.volumes.extend(volumes);
        Ok(())
    }

    pub(super) fn expose(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        ports: &[String],
    ) -> Result<(), LowerError> {
        let mut exposed = Vec::new();
        for word in ports {
            for port in self.lex.words(word, &stage.scope.env)? {
                let mut findings = Vec::new();
                let named = super::expose::parse(&port, &mut findings);
                for finding in findings {
                    self.report_at(at, &finding);
                }
                let named = named?;
                self.budget.spend(named.len() * 16)?;
                exposed.extend(named);
            }
        }
        let image = &mut stage.scope.image;
        image.add_history(
            format!("EXPOSE {}", plain_list(&exposed)),
            HistoryLayer::Empty,
        );
        let exposed = exposed.into_iter().map(|port| (port, Empty {}));
        image.config.config.exposed_ports.extend(exposed);
        Ok(())
    }

    pub(super) fn workdir(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        written: &str,
    ) -> Result<(), LowerError> {
        let written = self.expand(stage, at, written)?;
        let platform = stage.scope.platform.clone();
        let path = with_slashes(&platform, &written)?;
        if !stage.scope.workdir_set && !path.starts_with('/') {
            let path = written.clone().into_owned();
            self.report_at(at, &Finding::WorkdirRelativePath { path });
        }
        stage.scope.workdir_set = true;
        // An absolute path stays as it was written, even with a slash at its end.
        let directory = if path.starts_with('/') && !is_windows(&platform) {
            path.into_owned()
        } else {
            path::absolute(&stage.scope.directory(), &path)
        };
        stage.scope.image.config.config.working_dir = in_config(&platform, directory.clone());
        let history = format!("WORKDIR {directory}");
        let layer = if directory == "/" {
            HistoryLayer::Empty
        } else {
            self.make_directory(stage, at, path::clean(&directory))?
        };
        stage.scope.image.add_history(history, layer);
        Ok(())
    }

    fn make_directory(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        path: String,
    ) -> Result<HistoryLayer, LowerError> {
        self.check_layers(stage.scope.edge)?;
        let Named { name, written } = self.step_name(stage, at, "")?;
        stage.names.pass();
        let scope = &mut stage.scope;
        let user = scope.image.config.config.user.as_str();
        let action = FileAction {
            input: scope
                .edge
                .map_or(FileInput::Scratch, |_| FileInput::Input(0)),
            kind: FileActionKind::Mkdir(Mkdir {
                path,
                mode: 0o755,
                parents: true,
                owner: (!user.is_empty()).then(|| owner(user)),
                created: None,
            }),
            output: Some(0),
        };
        let op = Op::File(FileOp {
            actions: vec![action],
        });
        let meta = Meta {
            name,
            written,
            ignore_cache: false,
            locations: vec![Location::from(at.span)],
            ..Meta::default()
        };
        let inputs = scope.edge.into_iter().collect();
        let edge = self.sources.graph.add(op, inputs, meta)?.into();
        scope.edge = Some(edge);
        Ok(HistoryLayer::Vertex(edge))
    }

    fn check_secret(&mut self, at: Current<'_>, instruction: &'static str, key: &str) {
        if is_secret(key) {
            let key = key.to_owned();
            self.report_at(at, &Finding::SecretsUsedInArgOrEnv { instruction, key });
        }
    }

    /// Only the last of several counts; the finding is about the one before.
    fn check_once(&mut self, before: Option<crate::Span>, at: Current<'_>) {
        if let Some(before) = before {
            let instruction = at.step.instruction.written().to_owned();
            let finding = Finding::MultipleInstructionsDisallowed { instruction };
            self.report(&at.step.instruction.comments, before, &finding);
        }
    }
}

/// The words of a command as a list, when a shell would do nothing but split them.
fn as_list(text: &str) -> Option<String> {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || " ./_-+=:,@%".contains(character);
    let first_sets = text.split_whitespace().next()?.contains('=');
    let words: Vec<String> = text.split_whitespace().map(quote).collect();
    (!first_sets && text.chars().all(is_plain)).then(|| format!("[{}]", words.join(", ")))
}

/// A text as arguments of the stage's shell.
pub(super) fn with_shell(scope: &Scope, text: String) -> Vec<String> {
    let default = || default_shell(&scope.platform).iter().copied();
    match scope.config().config.shell.as_deref() {
        Some(shell) if !shell.is_empty() => shell.iter().cloned().chain([text]).collect(),
        _ => default().map(str::to_owned).chain([text]).collect(),
    }
}
