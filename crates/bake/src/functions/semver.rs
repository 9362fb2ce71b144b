//! Versions and what is asked of them: `semvercmp`, with the constraints that buildx has.

use std::cmp::Ordering;

use super::{Arguments, Done, Function};
use crate::value::Value;

pub(super) const TABLE: &[(&str, Function)] = &[("semvercmp", compare)];

/// Whether a version is one of those that the second argument asks for.
fn compare(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=2)?;
    let (version, wanted) = (arguments.text(0)?, arguments.text(1)?);
    let version = Version::read(&version).ok_or_else(|| format!("{version:?} is no version"))?;
    let mut is_met = false;
    for group in wanted.split("||") {
        let improper = || format!("{wanted:?} asks for no version");
        let all = constraints(group).ok_or_else(improper)?;
        let with_pre = all.iter().any(|one| !one.than.pre.is_empty());
        let is_looked_at = with_pre || version.pre.is_empty();
        is_met |= is_looked_at && all.iter().all(|one| one.is_met_by(&version));
    }
    Ok(Value::Bool(is_met))
}

/// A version, of which parts may have been left out.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    numbers: [u64; 3],
    /// How many of them were said.
    said: usize,
    pre: Vec<String>,
}

/// An operator with what it compares with.
#[derive(Debug)]
struct Constraint {
    operator: String,
    than: Version,
}

impl Version {
    /// One in full or in part, without any `x`.
    fn read(text: &str) -> Option<Self> {
        let has_all = |version: &Self| {
            let numbers = text.trim_start_matches('v').split(['-', '+']).next();
            numbers.map(|numbers| numbers.split('.').count()) == Some(version.said)
        };
        Self::pattern(text).filter(has_all)
    }

    /// The same with `x` or `*` for what does not matter.
    fn pattern(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        let (text, pre) = match text.split_once('-') {
            Some((text, pre)) => (text, Some(pre)),
            None => (text, None),
        };
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
        let pre: Vec<String> = pre
            .iter()
            .flat_map(|pre| pre.split('.'))
            .map(str::to_owned)
            .collect();
        let leads_with_zero =
            |name: &String| name.len() > 1 && is_number(name) && name.starts_with('0');
        let mut names = pre
            .iter()
            .map(String::as_str)
            .chain(build.iter().flat_map(|build| build.split('.')));
        if !names.all(is_name) || pre.iter().any(leads_with_zero) {
            return None;
        }
        let (mut numbers, mut said, mut is_open) = ([0; 3], 0, false);
        for (place, part) in text.split('.').enumerate() {
            let number = numbers.get_mut(place)?;
            match part {
                "x" | "X" | "*" => is_open = true,
                part if is_number(part) => {
                    let read = part.parse().ok()?;
                    if !is_open {
                        (*number, said) = (read, place + 1);
                    }
                }
                _ => return None,
            }
        }
        Some(Self { numbers, said, pre })
    }

    /// Whether the first `count` numbers are those of `other`.
    fn begins_as(&self, other: &Self, count: usize) -> bool {
        self.numbers
            .iter()
            .zip(&other.numbers)
            .take(count)
            .all(|(own, other)| own == other)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_pre = || match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => {
                let names = self.pre.iter().zip(&other.pre);
                let differs = names.map(|(own, other)| by_name(own, other));
                let differs = differs.into_iter().find(|order| order.is_ne());
                differs.unwrap_or_else(|| self.pre.len().cmp(&other.pre.len()))
            }
        };
        self.numbers.cmp(&other.numbers).then_with(by_pre)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Numbers come before words.
fn by_name(own: &str, other: &str) -> Ordering {
    match (own.parse::<u64>(), other.parse::<u64>()) {
        (Ok(own), Ok(other)) => own.cmp(&other),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => own.cmp(other),
    }
}

impl Constraint {
    fn is_met_by(&self, version: &Version) -> bool {
        let than = &self.than;
        let order = version.cmp(than);
        let said = than.said;
        let is_open = said < 3;
        match self.operator.as_str() {
            "" | "=" if is_open => self.is_tilde_met_by(version),
            "" | "=" => order.is_eq(),
            "!=" if said == 0 || !is_open => order.is_ne(),
            "!=" => !version.begins_as(than, said) || said == 2 && version.pre != than.pre,
            ">" if said == 0 || !is_open => order.is_gt(),
            ">" => version.numbers[..said] > than.numbers[..said],
            "<" => order.is_lt(),
            ">=" | "=>" => order.is_ge(),
            "<=" | "=<" if !is_open => order.is_le(),
            "<=" | "=<" => {
                let count = if said == 0 { 2 } else { said };
                version.numbers[..count] <= than.numbers[..count]
            }
            "^" => order.is_ge() && self.is_caret_met_by(version),
            _ => self.is_tilde_met_by(version),
        }
    }

    /// No less, and the same but for the last number that was said.
    fn is_tilde_met_by(&self, version: &Version) -> bool {
        let than = &self.than;
        let is_any = than.numbers == [0; 3] && matches!(than.said, 0 | 3);
        version >= than && (is_any || version.begins_as(than, than.said.clamp(1, 2)))
    }

    /// The same up to the first number that is not zero.
    fn is_caret_met_by(&self, version: &Version) -> bool {
        let than = &self.than;
        let first = than.numbers.iter().position(|number| *number != 0);
        let count = match (first, than.said) {
            (Some(first), _) => first + 1,
            (None, 0) => 3,
            (None, said) => said,
        };
        version.begins_as(than, count)
    }
}

/// Constraints that must all be met, with white space or commas between them; none where one is
/// malformed.
fn constraints(group: &str) -> Option<Vec<Constraint>> {
    let mut all: Vec<Constraint> = Vec::new();
    let mut rest = group.trim();
    loop {
        let end = rest.find(|c| !"=!<>~^".contains(c)).unwrap_or(rest.len());
        let (operator, after) = rest.split_at(end);
        let known = [
            "", "=", "!=", ">", "<", ">=", "=>", "<=", "=<", "~", "~>", "^",
        ];
        if !known.contains(&operator) {
            return None;
        }
        let after = after.trim_start();
        let end = after
            .find(|c: char| c.is_whitespace() || c == ',')
            .unwrap_or(after.len());
        let (version, after) = after.split_at(end);
        all.push(Constraint {
            operator: operator.to_owned(),
            than: Version::pattern(version)?,
        });
        rest = after.trim_start();
        // `A - B` is from A to B.
        if let Some(upper) = rest.strip_prefix("- ").filter(|_| operator.is_empty()) {
            if let Some(lower) = all.last_mut() {
                ">=".clone_into(&mut lower.operator);
            }
            let upper = upper.trim_start();
            let end = upper
                .find(|c: char| c.is_whitespace() || c == ',')
                .unwrap_or(upper.len());
            all.push(Constraint {
                operator: "<=".to_owned(),
                than: Version::pattern(&upper[..end])?,
            });
            rest = upper[end..].trim_start();
        }
        if rest.is_empty() {
            return Some(all);
        }
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_met(version: &str, wanted: &str) -> Option<bool> {
        let version = Version::read(version)?;
        let all = constraints(wanted)?;
        let with_pre = all.iter().any(|one| !one.than.pre.is_empty());
        let is_looked_at = with_pre || version.pre.is_empty();
        Some(is_looked_at && all.iter().all(|one| one.is_met_by(&version)))
    }

    #[test]
    fn versions_meet_constraints() {
        for (wanted, met, others) in [
            (
                "1.2.3",
                &["1.2.3", "v1.2.3+build"][..],
                &["1.2.4", "1.2.3-a"][..],
            ),
            ("1.2", &["1.2.0", "1.2.9"], &["1.3.0", "2.2.0"]),
            ("=1.x", &["1.0.0", "1.9"], &["2.0.0"]),
            ("*", &["0.0.1", "9.9.9"], &["1.0.0-a"]),
            ("!=1.2", &["1.3.0", "2.2.0"], &["1.2.0", "1.2.7"]),
            (">1.2", &["1.3.0", "2.0.0"], &["1.2.9", "1.1.0"]),
            (">11", &["12.0.0"], &["11.1.0"]),
            (">=1.2", &["1.2.0"], &["1.1.9"]),
            ("<=1.2", &["1.2.9", "0.9.0"], &["1.3.0"]),
            ("<1.2.0", &["1.1.9"], &["1.2.0"]),
            ("~1.2.3", &["1.2.3", "1.2.9"], &["1.3.0", "1.2.2"]),
            ("~1", &["1.9.0"], &["2.0.0"]),
            ("^1.2.3", &["1.2.3", "1.9.0"], &["2.0.0", "1.2.2"]),
            ("^0.2.3", &["0.2.9"], &["0.3.0", "0.2.2"]),
            ("^0.0.3", &["0.0.3"], &["0.0.4"]),
            ("^0.0", &["0.0.9"], &["0.1.0"]),
            ("^0", &["0.9.0"], &["1.0.0"]),
            (">= 1.2, < 3", &["1.2.0", "2.9.9"], &["3.0.0"]),
            ("1.2 - 3.4.5", &["1.2.0", "3.4.5"], &["3.4.6", "1.1.0"]),
            (
                ">=1.0.0-alpha.2",
                &["1.0.0-alpha.10", "1.0.0-beta", "1.0.0"],
                &["1.0.0-alpha.1"],
            ),
        ] {
            for version in met {
                assert_eq!(is_met(version, wanted), Some(true), "{version} {wanted}");
            }
            for version in others {
                assert_eq!(is_met(version, wanted), Some(false), "{version} {wanted}");
            }
        }
        for wanted in [
            "", ">", "==1", "1..2", "1.2.3.4", "a", "1-01", ">1<2", "1.2 -",
        ] {
            assert_eq!(is_met("1.0.0", wanted), None, "{wanted}");
        }
        for version in ["", "x", "1.x", "1.2.3.4", "1.2.3-", "-1"] {
            assert!(Version::read(version).is_none(), "{version}");
        }
    }
}
