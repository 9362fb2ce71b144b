//! `--filter` of `kiln history ls`, as buildx has it: `status=error`, `duration>30s`.

use std::time::{Duration, SystemTime};

use engine::{BuildStatus, PastBuild};

use crate::values::{ValueError, filter};

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    /// The ID has this part.
    Id(Sign, String),
    /// The context has this part.
    Repository(Sign, String),
    /// The status is this one.
    Status(Sign, BuildStatus),
    /// It began before or after.
    Started(Order, SystemTime),
    /// It ended before or after.
    Completed(Order, SystemTime),
    /// It took more or less time.
    Duration(Order, Duration),
}

/// Whether a condition is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Is,
    IsNot,
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    AtMost,
    AtLeast,
    More,
}

impl Filter {
    /// The condition in `text`.
    pub(super) fn parse(text: &str, now: SystemTime) -> Result<Self, ValueError> {
        let unknown = || ValueError::Filter(text.to_owned());
        let signs = ["!=", "<=", ">=", "=", "<", ">"];
        let at = text.find(['!', '<', '>', '=']).ok_or_else(unknown)?;
        let (name, rest) = text.split_at(at);
        let sign = signs.iter().find(|sign| rest.starts_with(**sign));
        let sign = *sign.ok_or_else(unknown)?;
        let value = &rest[sign.len()..];
        let wrong = || ValueError::FilterValue {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        match name {
            "ref" | "repository" | "status" => {
                let sign = match sign {
                    "=" => Sign::Is,
                    "!=" => Sign::IsNot,
                    _ => return Err(unknown()),
                };
                Ok(match name {
                    "ref" => Self::Id(sign, value.to_owned()),
                    "repository" => Self::Repository(sign, value.to_owned()),
                    _ => Self::Status(sign, status(value).ok_or_else(wrong)?),
                })
            }
            "startedAt" | "completedAt" | "duration" => {
                let order = match sign {
                    "<" => Order::Less,
                    "<=" => Order::AtMost,
                    ">=" => Order::AtLeast,
                    ">" => Order::More,
                    _ => return Err(unknown()),
                };
                Ok(match name {
                    "startedAt" => Self::Started(order, filter::until(value, now)?),
                    "completedAt" => Self::Completed(order, filter::until(value, now)?),
                    _ => Self::Duration(order, engine::parse_duration(value).ok_or_else(wrong)?),
                })
            }
            _ => Err(unknown()),
        }
    }

    /// Whether it holds for `build`.
    pub(super) fn passes(&self, build: &PastBuild, now: SystemTime) -> bool {
        match self {
            Self::Id(sign, part) => sign.of(build.id.contains(part.as_str())),
            Self::Repository(sign, part) => sign.of(build.about.context.contains(part.as_str())),
            Self::Status(sign, wanted) => {
                let status = match build.status {
                    BuildStatus::Lost => BuildStatus::Failed,
                    status => status,
                };
                sign.of(status == *wanted)
            }
            Self::Started(order, time) => order.of(&build.started, time),
            Self::Completed(order, time) => {
                build.finished.is_some_and(|ended| order.of(&ended, time))
            }
            Self::Duration(order, wanted) => build
                .duration(now)
                .is_some_and(|taken| order.of(&taken, wanted)),
        }
    }
}

impl Sign {
    const fn of(self, holds: bool) -> bool {
        match self {
            Self::Is => holds,
            Self::IsNot => !holds,
        }
    }
}

impl Order {
    fn of<T: Ord>(self, value: &T, other: &T) -> bool {
        match self {
            Self::Less => value < other,
            Self::AtMost => value <= other,
            Self::AtLeast => value >= other,
            Self::More => value > other,
        }
    }
}

fn status(word: &str) -> Option<BuildStatus> {
    Some(match word {
        "running" => BuildStatus::Running,
        "completed" | "success" => BuildStatus::Completed,
        "error" | "failed" => BuildStatus::Failed,
        "canceled" => BuildStatus::Cancelled,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (text, expected) in [
            ("ref=ab", Some(Filter::Id(Sign::Is, "ab".to_owned()))),
            (
                "status!=error",
                Some(Filter::Status(Sign::IsNot, BuildStatus::Failed)),
            ),
            (
                "duration>30s",
                Some(Filter::Duration(Order::More, Duration::from_secs(30))),
            ),
            (
                "startedAt<=24h",
                Some(Filter::Started(
                    Order::AtMost,
                    now - Duration::from_secs(86400),
                )),
            ),
            ("status>error", None),
            ("status=odd", None),
            ("duration=30s", None),
            ("nonsense", None),
            ("name=x", None),
        ] {
            assert_eq!(Filter::parse(text, now).ok(), expected, "{text}");
        }
    }
}
