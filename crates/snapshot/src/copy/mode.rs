//! Changes of permission bits: octal, or symbolic as for chmod(1) without a umask.

use std::str::FromStr;

use crate::Kind;

/// A change of permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModeChange {
    /// To exactly these.
    Octal(u32),
    /// Step by step.
    Symbolic(Vec<Clause>),
}

/// One operation of a symbolic change, such as `go-w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clause {
    /// Bits that may change.
    who: u32,
    operation: Operation,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Add,
    Remove,
    Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// These bits; with `X` also to execute what is a directory or can be executed already.
    Bits { bits: u32, execute: bool },
    /// Those that the class at this shift has.
    Class(u32),
}

/// A text that is no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid chmod parameter: '{0}'. it should be octal string and between 0 and 07777")]
pub struct ModeError(pub String);

const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;
const STICKY: u32 = 0o1000;

impl ModeChange {
    /// The permission bits after the change.
    #[must_use]
    pub fn apply(&self, kind: Kind, mode: u32) -> u32 {
        match self {
            Self::Octal(bits) => *bits,
            Self::Symbolic(clauses) => clauses
                .iter()
                .fold(mode, |now, clause| clause.apply(kind, mode, now)),
        }
    }
}

impl Clause {
    fn apply(&self, kind: Kind, before: u32, now: u32) -> u32 {
        let bits = match self.what {
            What::Bits { bits, execute } => {
                let executable = execute && (kind == Kind::Directory || before & 0o111 != 0);
                bits | if executable { 0o111 } else { 0 }
            }
            What::Class(shift) => {
                let class = now >> shift & 0o7;
                class << 6 | class << 3 | class
            }
        } & self.who;
        match self.operation {
            Operation::Add => now | bits,
            Operation::Remove => now & !bits,
            Operation::Set => now & !self.who | bits,
        }
    }
}

impl FromStr for ModeChange {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        let invalid = || ModeError(text.to_owned());
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            let bits = u32::from_str_radix(text, 8).map_err(|_| invalid())?;
            return if bits <= 0o7777 {
                Ok(Self::Octal(bits))
            } else {
                Err(invalid())
            };
        }
        let mut clauses = Vec::new();
        for part in text.split(',') {
            parse(part, &mut clauses).ok_or_else(invalid)?;
        }
        Ok(Self::Symbolic(clauses))
    }
}

/// `[ugoa]*([-+=]([rwxXst]*|[ugo]))+`
fn parse(part: &str, clauses: &mut Vec<Clause>) -> Option<()> {
    let names = part.find(['-', '+', '='])?;
    let (who, mut rest) = part.split_at(names);
    let everybody = who.is_empty();
    // The sticky bit is changed only where a `t` says so.
    let mut mask = if everybody { 0o6777 } else { 0 };
    for name in who.chars() {
        mask |= match name {
            'u' => SET_UID | 0o700,
            'g' => SET_GID | 0o070,
            'o' => 0o007,
            'a' => SET_UID | SET_GID | 0o777,
            _ => return None,
        };
    }
    let only_others = !everybody && mask == 0o007;
    while let Some(sign) = rest.chars().next() {
        let operation = match sign {
            '+' => Operation::Add,
            '-' => Operation::Remove,
            '=' => Operation::Set,
            _ => return None,
        };
        let end = rest[1..]
            .find(['-', '+', '='])
            .map_or(rest.len(), |at| at + 1);
        let what = match what(&rest[1..end], only_others)? {
            What::Bits {
                bits,
                execute: true,
            } if operation == Operation::Remove => What::Bits {
                bits: bits | 0o111,
                execute: false,
            },
            what => what,
        };
        let sticky = match what {
            What::Bits { bits, .. } => bits & STICKY,
            What::Class(_) => 0,
        };
        clauses.push(Clause {
            who: mask | sticky,
            operation,
            what,
        });
        rest = &rest[end..];
    }
    Some(())
}

fn what(text: &str, only_others: bool) -> Option<What> {
    match text {
        "u" => return Some(What::Class(6)),
        "g" => return Some(What::Class(3)),
        "o" => return Some(What::Class(0)),
        _ => {}
    }
    let (mut bits, mut execute) = (0, false);
    for letter in text.chars() {
        match letter {
            'r' => bits |= 0o444,
            'w' => bits |= 0o222,
            'x' => bits |= 0o111,
            'X' => execute = true,
            's' if !only_others => bits |= SET_UID | SET_GID,
            't' if !only_others => bits |= STICKY,
            's' | 't' => {}
            _ => return None,
        }
    }
    Some(What::Bits { bits, execute })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes() {
        for (text, kind, before, after) in [
            ("755", Kind::File, 0o600, 0o755),
            ("0", Kind::File, 0o644, 0),
            ("7777", Kind::Directory, 0, 0o7777),
            ("u=rwX,go=rX", Kind::File, 0o600, 0o644),
            ("u=rwX,go=rX", Kind::File, 0o700, 0o755),
            ("u=rwX,go=rX", Kind::Directory, 0o600, 0o755),
            ("+x", Kind::File, 0o644, 0o755),
            ("a-w", Kind::File, 0o666, 0o444),
            ("go=", Kind::File, 0o755, 0o700),
            ("g=u", Kind::File, 0o740, 0o770),
            ("o=g-w", Kind::File, 0o060, 0o064),
            ("u+s,g+s", Kind::File, 0o755, 0o6755),
            ("+t", Kind::Directory, 0o755, 0o1755),
            ("u=rw", Kind::Directory, 0o1755, 0o1655),
            ("a=r", Kind::File, 0o4755, 0o444),
            ("u+r+w", Kind::File, 0, 0o600),
        ] {
            let change: ModeChange = text.parse().unwrap();
            let found = change.apply(kind, before);
            assert_eq!(found, after, "{text} {before:o}: {found:o}");
        }
    }

    #[test]
    fn invalid() {
        for text in ["", "8", "10000", "u", "z+x", "u+q", "755x", "u=rw,", "-1"] {
            assert!(text.parse::<ModeChange>().is_err(), "{text}");
        }
    }
}
