//! From statements to instructions.

use std::borrow::Cow;

use super::flags::{FlagKind, Flags};
use super::size::DurationError;
use super::{
    AddOptions, Arg, Command, CopyOptions, Device, DeviceError, FlagError, Instruction,
    InstructionKind, KeyValue, Keyword, MountError, Run, RunNetwork, Transfer, health, mount,
};
use crate::heredoc::Heredoc;
use crate::quote::quote;
use crate::stage::Stage;
use crate::statement::{Arguments, Statement};
use crate::suggest;

/// What a statement is.
#[derive(Debug, Clone)]
pub(crate) enum Parsed {
    /// The beginning of a stage.
    Stage(Stage),
    /// Part of a stage.
    Instruction(Instruction),
}

/// Why a statement is no instruction; the words are BuildKit's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InstructionError {
    #[error("unknown instruction: {name}{hint}")]
    Unknown { name: String, hint: String },
    #[error(transparent)]
    Flag(#[from] FlagError),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("{0} requires at least one argument")]
    AtLeastOne(&'static str),
    #[error("{0} requires exactly one argument")]
    ExactlyOne(&'static str),
    #[error(
        "{0} requires at least two arguments, but only one was provided. Destination could not be determined"
    )]
    NoDestination(&'static str),
    #[error("{0} cannot accept a heredoc as a destination")]
    HeredocDestination(&'static str),
    #[error("{0} names can not be blank")]
    BlankName(&'static str),
    #[error("FROM requires either one or three arguments")]
    FromArguments,
    #[error(
        "invalid name for build stage: {}, name can't start with a number or contain symbols",
        quote(.0)
    )]
    StageName(String),
    #[error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")]
    OnbuildOnbuild,
    #[error("{0} isn't allowed as an ONBUILD trigger")]
    OnbuildTrigger(String),
    #[error("HEALTHCHECK NONE takes no arguments")]
    HealthNoneArguments,
    #[error("Missing command after HEALTHCHECK CMD")]
    HealthNoCommand,
    #[error("Unknown type {} in HEALTHCHECK (try CMD)", quote(.0))]
    HealthKind(String),
    #[error(transparent)]
    Duration(#[from] DurationError),
    #[error("Interval {} cannot be less than 1ms", quote(.0))]
    IntervalTooShort(&'static str),
    #[error("strconv.ParseInt: parsing {0}: {1}")]
    Number(String, &'static str),
    #[error("--retries cannot be negative ({0})")]
    NegativeRetries(i64),
    #[error("VOLUME specified can not be an empty string")]
    EmptyVolume,
    #[error("SHELL requires the arguments to be in JSON form")]
    ShellNotJson,
    #[error("invalid network mode {}", quote(.0))]
    Network(String),
    #[error("security {} is not valid", quote(.0))]
    Security(String),
}

type Result<T> = std::result::Result<T, InstructionError>;

/// What a statement means.
pub(crate) fn parse(mut statement: Statement<'_>) -> Result<Parsed> {
    let Some(keyword) = statement.keyword else {
        let names = Keyword::ALL.iter().map(|keyword| keyword.name());
        return Err(InstructionError::Unknown {
            hint: suggest::hint_any_case(statement.written, names),
            name: statement.written.to_owned(),
        });
    };
    if keyword == Keyword::From {
        return Ok(Parsed::Stage(parse_from(statement)?));
    }
    let kind = parse_kind(keyword, &mut statement)?;
    Ok(Parsed::Instruction(Instruction {
        kind,
        text: statement.text.trim().to_owned(),
        span: statement.span,
        comments: statement.comments,
    }))
}

fn parse_kind(keyword: Keyword, statement: &mut Statement<'_>) -> Result<InstructionKind> {
    let flags = std::mem::take(&mut statement.flags);
    match keyword {
        Keyword::Add => parse_add(statement, &flags),
        Keyword::Copy => parse_copy(statement, &flags),
        Keyword::Run => parse_run(statement, &flags),
        Keyword::Healthcheck => health::parse(statement, &flags).map(InstructionKind::Healthcheck),
        _ => {
            Flags::parse(&flags, &[])?;
            parse_flagless(keyword, statement)
        }
    }
}

fn parse_flagless(keyword: Keyword, statement: &mut Statement<'_>) -> Result<InstructionKind> {
    let name = keyword.name();
    Ok(match keyword {
        Keyword::Arg => InstructionKind::Arg(parse_arg(at_least_one(name, statement)?)?),
        Keyword::Cmd => InstructionKind::Cmd(command(statement)),
        Keyword::Entrypoint => InstructionKind::Entrypoint(command(statement)),
        Keyword::Env => InstructionKind::Env(pairs(name, statement)?),
        Keyword::Expose => {
            let mut ports = at_least_one(name, statement)?;
            ports.sort();
            InstructionKind::Expose(ports)
        }
        Keyword::Label => InstructionKind::Label(pairs(name, statement)?),
        Keyword::Maintainer => InstructionKind::Maintainer(exactly_one(name, statement)?),
        Keyword::Onbuild => InstructionKind::Onbuild(parse_onbuild(statement)?),
        Keyword::Shell => match &mut statement.arguments {
            Arguments::Json(shell) if !shell.is_empty() => {
                InstructionKind::Shell(std::mem::take(shell))
            }
            Arguments::Words(words) if !words.is_empty() => {
                return Err(InstructionError::ShellNotJson);
            }
            _ => return Err(InstructionError::AtLeastOne(name)),
        },
        Keyword::StopSignal => InstructionKind::StopSignal(exactly_one(name, statement)?),
        Keyword::User => InstructionKind::User(exactly_one(name, statement)?),
        Keyword::Volume => InstructionKind::Volume(parse_volume(at_least_one(name, statement)?)?),
        _ => InstructionKind::Workdir(exactly_one(name, statement)?),
    })
}

fn parse_from(statement: Statement<'_>) -> Result<Stage> {
    let words = words(&statement);
    let name = match words {
        [_] => None,
        [_, keyword, name] if keyword.eq_ignore_ascii_case("as") => {
            let lower = name.to_lowercase();
            if !is_stage_name(&lower) {
                return Err(InstructionError::StageName(name.clone()));
            }
            Some(lower)
        }
        _ => return Err(InstructionError::FromArguments),
    };
    let flags = Flags::parse(&statement.flags, &[("platform", FlagKind::Value)])?;
    Ok(Stage {
        name,
        written_name: words.get(2).cloned(),
        written_as: words.get(1).cloned(),
        base: words[0].clone(),
        platform: flags.text("platform"),
        written: statement.written.to_owned(),
        text: statement.text.trim().to_owned(),
        span: statement.span,
        comments: statement.comments,
        instructions: Vec::new(),
    })
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c))
}

const COPY_FLAGS: &[(&str, FlagKind)] = &[
    ("chown", FlagKind::Value),
    ("chmod", FlagKind::Value),
    ("link", FlagKind::Switch),
    ("exclude", FlagKind::Values),
    ("from", FlagKind::Value),
    ("parents", FlagKind::Switch),
];

const ADD_FLAGS: &[(&str, FlagKind)] = &[
    ("chown", FlagKind::Value),
    ("chmod", FlagKind::Value),
    ("link", FlagKind::Switch),
    ("exclude", FlagKind::Values),
    ("keep-git-dir", FlagKind::Switch),
    ("checksum", FlagKind::Value),
    ("unpack", FlagKind::Switch),
];

fn parse_add(statement: &mut Statement<'_>, flags: &[Cow<'_, str>]) -> Result<InstructionKind> {
    let flags = transfer_flags("ADD", statement, flags, ADD_FLAGS)?;
    let options = AddOptions {
        keep_git_directory: flags.switch("keep-git-dir"),
        checksum: flags.text("checksum"),
        unpack: flags.switch("unpack"),
    };
    Ok(InstructionKind::Add(
        transfer("ADD", statement, &flags)?,
        options,
    ))
}

fn parse_copy(statement: &mut Statement<'_>, flags: &[Cow<'_, str>]) -> Result<InstructionKind> {
    let flags = transfer_flags("COPY", statement, flags, COPY_FLAGS)?;
    let options = CopyOptions {
        from: flags.text("from"),
        parents: flags.switch("parents") == Some(true),
    };
    Ok(InstructionKind::Copy(
        transfer("COPY", statement, &flags)?,
        options,
    ))
}

fn transfer_flags<'a>(
    name: &'static str,
    statement: &Statement<'_>,
    given: &'a [Cow<'_, str>],
    known: &[(&'static str, FlagKind)],
) -> Result<Flags<'a>> {
    if words(statement).len() < 2 {
        return Err(InstructionError::NoDestination(name));
    }
    Ok(Flags::parse(given, known)?)
}

fn transfer(
    name: &'static str,
    statement: &mut Statement<'_>,
    flags: &Flags<'_>,
) -> Result<Transfer> {
    let mut sources = take_words(statement);
    let destination = sources.pop().ok_or(InstructionError::NoDestination(name))?;
    if is_heredoc(&destination).is_some() {
        return Err(InstructionError::HeredocDestination(name));
    }
    let mut heredocs = Vec::new();
    sources.retain(|source| {
        let Some(mut heredoc) = is_heredoc(source) else {
            return true;
        };
        let named = |known: &&Heredoc| known.name == heredoc.name;
        if let Some(read) = statement.heredocs.iter().rfind(named) {
            heredoc.body.clone_from(&read.body);
        }
        heredocs.push(heredoc);
        false
    });
    Ok(Transfer {
        sources,
        heredocs,
        destination,
        chown: flags.text("chown"),
        chmod: flags.text("chmod"),
        link: flags.switch("link") == Some(true),
        exclude: flags.values("exclude").map(str::to_owned).collect(),
    })
}

fn is_heredoc(word: &str) -> Option<Heredoc> {
    Heredoc::parse(word).ok().flatten()
}

const RUN_FLAGS: &[(&str, FlagKind)] = &[
    ("mount", FlagKind::Values),
    ("network", FlagKind::Value),
    ("security", FlagKind::Value),
    ("device", FlagKind::Values),
];

fn parse_run(statement: &mut Statement<'_>, flags: &[Cow<'_, str>]) -> Result<InstructionKind> {
    let flags = Flags::parse(flags, RUN_FLAGS)?;
    let mounts: Vec<String> = flags.values("mount").map(str::to_owned).collect();
    for text in &mounts {
        mount::fields(text).try_for_each(|field| field.map(|_| ()))?;
    }
    Ok(InstructionKind::Run(Run {
        command: command(statement),
        heredocs: std::mem::take(&mut statement.heredocs),
        mounts,
        network: match flags.value("network") {
            None | Some("default") => RunNetwork::Default,
            Some("none") => RunNetwork::None,
            Some("host") => RunNetwork::Host,
            Some(other) => return Err(InstructionError::Network(other.to_owned())),
        },
        security: match flags.value("security") {
            None | Some("sandbox") => graph::SecurityMode::Sandbox,
            Some("insecure") => graph::SecurityMode::Insecure,
            Some(other) => return Err(InstructionError::Security(other.to_owned())),
        },
        devices: flags
            .values("device")
            .map(Device::parse)
            .collect::<std::result::Result<_, _>>()?,
    }))
}

fn command(statement: &mut Statement<'_>) -> Command {
    Command {
        words: take_words(statement),
        shell: !matches!(statement.arguments, Arguments::Json(_)),
    }
}

fn parse_onbuild(statement: &Statement<'_>) -> Result<String> {
    let Arguments::Instruction(trigger) = &statement.arguments else {
        return Err(InstructionError::AtLeastOne("ONBUILD"));
    };
    match trigger.keyword {
        Some(Keyword::Onbuild) => return Err(InstructionError::OnbuildOnbuild),
        Some(Keyword::Maintainer | Keyword::From) => {
            return Err(InstructionError::OnbuildTrigger(
                trigger.written.to_uppercase(),
            ));
        }
        _ => {}
    }
    let text = statement.text.trim_start();
    let text = text.get("ONBUILD".len()..).unwrap_or_default().trim_start();
    let mut expression = text.to_owned();
    for heredoc in &statement.heredocs {
        expression.push('\n');
        expression.push_str(&heredoc.body);
        expression.push_str(&heredoc.name);
    }
    Ok(expression)
}

fn parse_arg(words: Vec<String>) -> Result<Vec<Arg>> {
    words
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) => Err(InstructionError::BlankName("ARG")),
            Some((key, value)) => Ok(Arg {
                key: key.to_owned(),
                value: Some(value.to_owned()),
            }),
            None => Ok(Arg {
                key: word,
                value: None,
            }),
        })
        .collect()
}

fn parse_volume(words: Vec<String>) -> Result<Vec<String>> {
    words
        .iter()
        .map(|word| match word.trim() {
            "" => Err(InstructionError::EmptyVolume),
            path => Ok(path.to_owned()),
        })
        .collect()
}

fn pairs(name: &'static str, statement: &mut Statement<'_>) -> Result<Vec<KeyValue>> {
    match &mut statement.arguments {
        Arguments::Pairs(pairs) if pairs.is_empty() => Err(InstructionError::AtLeastOne(name)),
        Arguments::Pairs(pairs) if pairs.iter().any(|pair| pair.key.is_empty()) => {
            Err(InstructionError::BlankName(name))
        }
        Arguments::Pairs(pairs) => Ok(std::mem::take(pairs)),
        _ => Err(InstructionError::AtLeastOne(name)),
    }
}

fn words<'s>(statement: &'s Statement<'_>) -> &'s [String] {
    match &statement.arguments {
        Arguments::Words(words) | Arguments::Json(words) => words,
        Arguments::Pairs(_) | Arguments::Instruction(_) => &[],
    }
}

fn take_words(statement: &mut Statement<'_>) -> Vec<String> {
    match &mut statement.arguments {
        Arguments::Words(words) | Arguments::Json(words) => std::mem::take(words),
        Arguments::Pairs(_) | Arguments::Instruction(_) => Vec::new(),
    }
}

fn at_least_one(name: &'static str, statement: &mut Statement<'_>) -> Result<Vec<String>> {
    let words = take_words(statement);
    if words.is_empty() {
        return Err(InstructionError::AtLeastOne(name));
    }
    Ok(words)
}

fn exactly_one(name: &'static str, statement: &mut Statement<'_>) -> Result<String> {
    match <[String; 1]>::try_from(take_words(statement)) {
        Ok([word]) => Ok(word),
        Err(_) => Err(InstructionError::ExactlyOne(name)),
    }
}
