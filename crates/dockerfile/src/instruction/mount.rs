//! `RUN --mount`: comma-separated `key=value` fields, quoted as CSV has it.
//!
//! Fields are read in order, so that `type` comes before what depends on it.

use std::borrow::Cow;

use crate::quote::quote;
use crate::suggest;
use crate::word::WordError;

use super::size::parse_bytes;

/// One `--mount` with its variables expanded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mount {
    /// What it shows.
    pub kind: MountKind,
    /// The stage, context or image that it shows; empty when it was not given.
    pub from: String,
    /// The path there.
    pub source: String,
    /// Where it is seen.
    pub target: String,
    /// The process cannot write there.
    pub read_only: bool,
    /// Bytes at most (`tmpfs`).
    pub size: Option<u64>,
    /// Which cache, secret or agent.
    pub id: String,
    /// Who else may use the cache.
    pub sharing: Option<Sharing>,
    /// Fail when the client does not offer it.
    pub required: bool,
    /// The environment variable that gets the secret.
    pub env: Option<String>,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
}

/// What a mount shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MountKind {
    /// Files of a stage, an image or the context.
    #[default]
    Bind,
    /// A directory that outlives the build.
    Cache,
    /// Memory.
    Tmpfs,
    /// A secret.
    Secret,
    /// An SSH agent.
    Ssh,
}

/// Who may use a cache at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Everybody.
    Shared,
    /// Nobody: another gets its own.
    Private,
    /// Nobody: another waits.
    Locked,
}

/// Why a mount cannot be used; the words are BuildKit's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MountError {
    #[error("failed to parse csv mounts: EOF")]
    Empty,
    #[error(
        "failed to parse csv mounts: parse error on line 1, column {0}: bare \" in non-quoted-field"
    )]
    BareQuote(usize),
    #[error(
        "failed to parse csv mounts: parse error on line 1, column {0}: extraneous or missing \" in quoted-field"
    )]
    Quote(usize),
    #[error("invalid field '{0}' must be a key=value pair")]
    NotPair(String),
    #[error("unexpected key '{key}' for mount type '{kind}'")]
    WrongKind { key: String, kind: MountKind },
    #[error("unexpected key '{key}' in '{field}'{hint}")]
    UnknownKey {
        key: String,
        field: String,
        hint: String,
    },
    #[error("unsupported mount type {}{hint}", quote(.value))]
    Kind { value: String, hint: String },
    #[error("unsupported sharing value {}{hint}", quote(.value))]
    Sharing { value: String, hint: String },
    #[error("invalid value for {key}: {value}")]
    Value { key: String, value: String },
    #[error("invalid value {value} for {key}")]
    Number { key: &'static str, value: String },
    #[error("{key} not allowed for {} type mounts", quote(&.kind.to_string()))]
    NotAllowed { key: &'static str, kind: MountKind },
    #[error("secret mount should not have a from")]
    SecretFrom,
    #[error("secret mount should not define sharing")]
    SecretSharing,
    #[error("invalid secret mount. one of source, target required")]
    SecretUnnamed,
    #[error("both source and id can't be set")]
    SecretTwoNames,
    #[error("invalid cache sharing set for {0} mount")]
    NotCache(MountKind),
    #[error(transparent)]
    Word(#[from] WordError),
}

const KEYS: &[&str] = &[
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

impl MountKind {
    const ALL: [Self; 5] = [
        Self::Bind,
        Self::Cache,
        Self::Tmpfs,
        Self::Secret,
        Self::Ssh,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Cache => "cache",
            Self::Tmpfs => "tmpfs",
            Self::Secret => "secret",
            Self::Ssh => "ssh",
        }
    }

    fn parse(value: &str) -> Result<Self, MountError> {
        let lower = lower_case(value);
        let known = Self::ALL.into_iter().find(|kind| kind.name() == lower);
        known.ok_or_else(|| MountError::Kind {
            value: value.to_owned(),
            hint: suggest::hint(value, Self::ALL.iter().map(|kind| kind.name())),
        })
    }
}

impl std::fmt::Display for MountKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Sharing {
    fn parse(value: &str) -> Result<Self, MountError> {
        Ok(match lower_case(value).as_ref() {
            "shared" => Self::Shared,
            "private" => Self::Private,
            "locked" => Self::Locked,
            _ => {
                return Err(MountError::Sharing {
                    value: value.to_owned(),
                    hint: suggest::hint(value, ["locked", "private", "shared"]),
                });
            }
        })
    }
}

/// The value of `from` as it was written; empty when there is none.
pub(crate) fn written_from(text: &str) -> Result<String, MountError> {
    let mut from = String::new();
    for field in fields(text) {
        if let Some((key, value)) = field?.split_once('=')
            && key.eq_ignore_ascii_case("from")
        {
            value.clone_into(&mut from);
        }
    }
    Ok(from)
}

impl Mount {
    /// Reads a mount that shows `from`; `expand` gives values of variables.
    pub(crate) fn parse(
        text: &str,
        from: &str,
        expand: &mut dyn for<'w> FnMut(&'w str) -> Result<Cow<'w, str>, WordError>,
    ) -> Result<Self, MountError> {
        let mut mount = Self {
            from: from.to_owned(),
            ..Self::default()
        };
        let mut read_only = None;
        for field in fields(text) {
            let field = field?;
            let (key, value) = match field.split_once('=') {
                // Which stage or image it is was found out before.
                Some((key, _)) if key.eq_ignore_ascii_case("from") => continue,
                Some((key, value)) => (lower_case(key), Some(expand(value)?)),
                None => (lower_case(&field), None),
            };
            match (key.as_ref(), value) {
                ("readonly" | "ro", None) => read_only = Some(true),
                ("readwrite" | "rw", None) => read_only = Some(false),
                ("readonly" | "ro", Some(value)) => read_only = Some(parse_bool(&key, &value)?),
                ("readwrite" | "rw", Some(value)) => read_only = Some(!parse_bool(&key, &value)?),
                ("required", value) => {
                    mount.check_kind(&key, &[MountKind::Secret, MountKind::Ssh])?;
                    mount.required = value.map_or(Ok(true), |value| parse_bool(&key, &value))?;
                }
                (_, None) => return Err(MountError::NotPair(field.into_owned())),
                (key, Some(value)) => mount.set(key, &value, &field)?,
            }
        }
        let writable = matches!(mount.kind, MountKind::Cache | MountKind::Tmpfs);
        mount.read_only = read_only.unwrap_or(!writable);
        mount.check()?;
        Ok(mount)
    }

    fn set(&mut self, key: &str, value: &str, field: &str) -> Result<(), MountError> {
        match key {
            "type" => self.kind = MountKind::parse(value)?,
            "source" | "src" => value.clone_into(&mut self.source),
            "target" | "dst" | "destination" => value.clone_into(&mut self.target),
            "size" => {
                self.check_kind(key, &[MountKind::Tmpfs])?;
                let size = parse_bytes(value).ok_or_else(|| bad_value(key, value))?;
                self.size = u64::try_from(size).ok().filter(|size| *size > 0);
            }
            "id" => value.clone_into(&mut self.id),
            "sharing" => self.sharing = Some(Sharing::parse(value)?),
            "mode" => self.mode = Some(parse_number("mode", value, 8)?),
            "uid" => self.uid = Some(parse_number("uid", value, 10)?),
            "gid" => self.gid = Some(parse_number("gid", value, 10)?),
            "env" => self.env = Some(value.to_owned()),
            _ => {
                return Err(MountError::UnknownKey {
                    key: key.to_owned(),
                    field: field.to_owned(),
                    hint: suggest::hint(key, KEYS.iter().copied()),
                });
            }
        }
        Ok(())
    }

    fn check_kind(&self, key: &str, allowed: &[MountKind]) -> Result<(), MountError> {
        if allowed.contains(&self.kind) {
            Ok(())
        } else {
            Err(MountError::WrongKind {
                key: key.to_owned(),
                kind: self.kind,
            })
        }
    }

    /// What only the whole mount can tell.
    fn check(&self) -> Result<(), MountError> {
        let kind = self.kind;
        if matches!(kind, MountKind::Bind | MountKind::Tmpfs) {
            for (key, value) in [("mode", self.mode), ("uid", self.uid), ("gid", self.gid)] {
                if value.is_some() {
                    return Err(MountError::NotAllowed { key, kind });
                }
            }
        }
        if kind == MountKind::Secret {
            if !self.from.is_empty() {
                return Err(MountError::SecretFrom);
            }
            if self.sharing.is_some() {
                return Err(MountError::SecretSharing);
            }
            if self.source.is_empty() && self.target.is_empty() && self.id.is_empty() {
                return Err(MountError::SecretUnnamed);
            }
            if !self.source.is_empty() && !self.id.is_empty() {
                return Err(MountError::SecretTwoNames);
            }
        }
        if self.sharing.is_some() && kind != MountKind::Cache {
            return Err(MountError::NotCache(kind));
        }
        Ok(())
    }
}

/// The fields of one CSV line.
pub(super) fn fields(text: &str) -> Fields<'_> {
    Fields {
        text: text.strip_suffix('\n').unwrap_or(text),
        at: Some(0),
    }
}

/// The fields of one CSV line, up to the first that cannot be read.
pub(super) struct Fields<'a> {
    text: &'a str,
    /// Where the next one begins.
    at: Option<usize>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Cow<'a, str>, MountError>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at.take()?;
        Some(self.field(at).map(|(field, end)| {
            self.at = (end < self.text.len()).then_some(end + 1);
            field
        }))
    }
}

impl<'a> Fields<'a> {
    /// The field that begins there, and where it ends.
    fn field(&self, at: usize) -> Result<(Cow<'a, str>, usize), MountError> {
        if self.text.is_empty() {
            return Err(MountError::Empty);
        }
        let rest = &self.text[at..];
        if let Some(quoted) = rest.strip_prefix('"') {
            let (field, length) = quoted_field(quoted, at + 1)?;
            return Ok((Cow::Owned(field), at + 1 + length));
        }
        let (field, after) = rest.split_at(rest.find([',', '"']).unwrap_or(rest.len()));
        let end = at + field.len();
        match after.starts_with('"') {
            true => Err(MountError::BareQuote(end + 1)),
            false => Ok((Cow::Borrowed(field), end)),
        }
    }
}

/// A field after its first quote, and the length of it with its last quote.
fn quoted_field(text: &str, at: usize) -> Result<(String, usize), MountError> {
    let mut field = String::new();
    let mut length = 0;
    loop {
        let rest = &text[length..];
        let quote = rest.find('"').ok_or(MountError::Quote(at + length + 1))?;
        field.push_str(&rest[..quote]);
        length += quote + 1;
        match text[length..].chars().next() {
            Some('"') => {
                field.push('"');
                length += 1;
            }
            None | Some(',') => return Ok((field, length)),
            Some(_) => return Err(MountError::Quote(at + length)),
        }
    }
}

fn lower_case(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii_lowercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

/// As Go reads truth values.
pub(super) fn parse_bool(key: &str, value: &str) -> Result<bool, MountError> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(bad_value(key, value)),
    }
}

fn parse_number(key: &'static str, value: &str, radix: u32) -> Result<u32, MountError> {
    // Rust takes a plus sign, Go does not.
    let digits = value.starts_with(|c: char| c.is_ascii_digit());
    let number = digits
        .then(|| u32::from_str_radix(value, radix).ok())
        .flatten();
    number.ok_or_else(|| MountError::Number {
        key,
        value: value.to_owned(),
    })
}

fn bad_value(key: &str, value: &str) -> MountError {
    MountError::Value {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}
