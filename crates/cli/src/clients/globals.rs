//! Flags of docker's that come before its commands.

use std::ffi::{OsStr, OsString};

use crate::error::{Error, USAGE};

/// Flags before the command, and what follows them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Globals {
    /// `--host`
    pub(super) host: Option<String>,
    /// `--context`
    pub(super) context: Option<String>,
    /// `--config`: the directory of the client's configuration.
    pub(super) config: Option<String>,
    /// `--builder`, which is buildx's.
    pub(super) builder: Option<String>,
    /// `--debug`
    pub(super) debug: bool,
    /// `--version`
    pub(super) version: bool,
    /// Flags about certificates.
    pub(super) tls: TlsFlags,
    /// The command with its own flags.
    pub(super) rest: Vec<OsString>,
}

/// Flags about certificates.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TlsFlags {
    /// `--tls`: encrypts.
    pub(super) encrypts: Option<bool>,
    /// `--tlsverify`: and wants to know who the daemon is.
    pub(super) verifies: Option<bool>,
    /// `--tlscacert`
    pub(super) authority: Option<String>,
    /// `--tlscert`
    pub(super) certificate: Option<String>,
    /// `--tlskey`
    pub(super) key: Option<String>,
}

impl TlsFlags {
    /// A file is named, which encrypts nothing by itself.
    pub(super) const fn names_a_file(&self) -> bool {
        self.authority.is_some() || self.certificate.is_some() || self.key.is_some()
    }
}

impl Globals {
    /// Of a command line without its program.
    ///
    /// # Errors
    /// A flag is unknown, is nothing that kiln has, or lacks its value.
    pub(super) fn read(line: &[OsString]) -> Result<Self, Error> {
        let mut globals = Self::default();
        let mut words = line.iter();
        while let Some(word) = words.next() {
            let text = word.to_str().unwrap_or_default();
            let Some(flag) = Flag::of(text) else {
                globals.rest = std::iter::once(word).chain(words).cloned().collect();
                break;
            };
            globals.take(&flag, || words.next())?;
        }
        Ok(globals)
    }

    fn take<'a>(
        &mut self,
        flag: &Flag<'_>,
        next: impl FnOnce() -> Option<&'a OsString>,
    ) -> Result<(), Error> {
        let value = || {
            let next = || next().and_then(|word| word.to_str()).map(str::to_owned);
            let value = flag.value.map(str::to_owned).or_else(next);
            value.ok_or_else(|| usage(format!("flag needs an argument: {}", flag.typed)))
        };
        let is_on = flag.value != Some("false");
        match flag.name {
            "host" | "H" => self.host = Some(value()?),
            "context" | "c" => self.context = Some(value()?),
            "config" => self.config = Some(value()?),
            "builder" => self.builder = Some(value()?),
            // There is no log to be told how much.
            "log-level" | "l" => drop(value()?),
            "debug" | "D" => self.debug = is_on,
            "version" | "v" => self.version = is_on,
            // The help of the command line that follows.
            "help" | "h" => self.rest.push(OsStr::new("--help").to_owned()),
            "tls" => self.tls.encrypts = Some(is_on),
            "tlsverify" => self.tls.verifies = Some(is_on),
            "tlscacert" => self.tls.authority = Some(value()?),
            "tlscert" => self.tls.certificate = Some(value()?),
            "tlskey" => self.tls.key = Some(value()?),
            _ => return Err(usage(format!("unknown flag: {}", flag.typed))),
        }
        Ok(())
    }
}

/// A flag as it was typed.
struct Flag<'a> {
    typed: &'a str,
    name: &'a str,
    value: Option<&'a str>,
}

impl<'a> Flag<'a> {
    /// The flag that `word` is, if it is one.
    fn of(word: &'a str) -> Option<Self> {
        let (typed, value) = match word.split_once('=') {
            Some((typed, value)) => (typed, Some(value)),
            None => (word, None),
        };
        if let Some(name) = typed.strip_prefix("--") {
            return (!name.is_empty()).then_some(Self { typed, name, value });
        }
        let letters = word.strip_prefix('-')?;
        let end = letters.chars().next()?.len_utf8();
        let (name, rest) = letters.split_at(end);
        let rest = rest.strip_prefix('=').unwrap_or(rest);
        Some(Self {
            typed: word,
            name,
            value: (!rest.is_empty()).then_some(rest),
        })
    }
}

fn usage(message: String) -> Error {
    Error::new(message).exit(USAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Globals, String> {
        let line: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Globals::read(&line).map_err(|error| error.message)
    }

    #[test]
    fn flags_before_the_command() {
        let found = read("-H unix:///a -D --config=/c --log-level info build -D .").unwrap();
        let rest: Vec<&str> = found.rest.iter().filter_map(|word| word.to_str()).collect();
        assert_eq!(rest, ["build", "-D", "."]);
        assert_eq!(found.host.as_deref(), Some("unix:///a"));
        assert_eq!(found.config.as_deref(), Some("/c"));
        assert!(found.debug && found.context.is_none());
        assert_eq!(
            read("-Hunix:///b ps").unwrap().host.as_deref(),
            Some("unix:///b")
        );
        assert!(read("-v").unwrap().version);
        assert_eq!(read("--what").unwrap_err(), "unknown flag: --what");
        assert_eq!(read("-c").unwrap_err(), "flag needs an argument: -c");
        let tls = read("--tlsverify --tlscacert ca.pem ps").unwrap().tls;
        assert!(tls.verifies == Some(true) && tls.authority.as_deref() == Some("ca.pem"));
    }
}
