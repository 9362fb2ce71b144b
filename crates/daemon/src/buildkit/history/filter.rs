//! Which builds a client asks for: conditions as BuildKit has them, `status==error,duration>30s`.
//! All of those in one text must hold, of one text at least.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{BuildHistoryEvent, BuildHistoryRecord};
use tonic::Status;

/// Texts of conditions that are read.
const MAX_FILTERS: usize = 64;

/// What must hold for a build.
#[derive(Debug)]
pub(super) struct Filters(Vec<Vec<Condition>>);

#[derive(Debug)]
enum Condition {
    Text(fn(&BuildHistoryRecord) -> String, Sign, String),
    Number(fn(&BuildHistoryRecord) -> i128, Order, i128),
}

#[derive(Debug, Clone, Copy)]
enum Sign {
    Is,
    IsNot,
    Contains,
}

#[derive(Debug, Clone, Copy)]
enum Order {
    AtLeast,
    AtMost,
    More,
    Less,
}

/// The longer ones first.
const SIGNS: [(&str, Sign); 4] = [
    ("!=", Sign::IsNot),
    ("~=", Sign::Contains),
    ("==", Sign::Is),
    ("=", Sign::Is),
];
const ORDERS: [(&str, Order); 4] = [
    (">=", Order::AtLeast),
    ("<=", Order::AtMost),
    (">", Order::More),
    ("<", Order::Less),
];

impl Filters {
    /// # Errors
    /// A condition is none of those that there are.
    pub(super) fn parse(texts: &[String], now: SystemTime) -> Result<Self, Status> {
        if texts.len() > MAX_FILTERS {
            return Err(Status::invalid_argument("there are too many filters"));
        }
        let all = |text: &String| text.split(',').map(|one| condition(one, now)).collect();
        let texts = texts.iter().filter(|text| !text.is_empty());
        Ok(Self(texts.map(all).collect::<Result<_, _>>()?))
    }

    /// Whether they hold for a build.
    pub(super) fn pass(&self, event: &BuildHistoryEvent) -> bool {
        let Some(record) = &event.record else {
            return false;
        };
        let mut texts = self.0.iter();
        let holds = |all: &Vec<Condition>| all.iter().all(|one| one.holds(record));
        self.0.is_empty() || texts.any(holds)
    }
}

impl Condition {
    fn holds(&self, record: &BuildHistoryRecord) -> bool {
        match self {
            Self::Text(of, sign, wanted) => match sign {
                Sign::Is => of(record) == *wanted,
                Sign::IsNot => of(record) != *wanted,
                Sign::Contains => of(record).contains(wanted.as_str()),
            },
            Self::Number(of, order, wanted) => match order {
                Order::AtLeast => of(record) >= *wanted,
                Order::AtMost => of(record) <= *wanted,
                Order::More => of(record) > *wanted,
                Order::Less => of(record) < *wanted,
            },
        }
    }
}

fn condition(text: &str, now: SystemTime) -> Result<Condition, Status> {
    let text = text.trim().trim_matches('"');
    let invalid = || Status::invalid_argument(format!("failed to parse history filters {text:?}"));
    let at = text.find(['=', '!', '~', '<', '>']).ok_or_else(invalid)?;
    let (name, rest) = text.split_at(at);
    if let Some(of) = text_of(name) {
        let sign = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign));
        let (sign, meaning) = sign.ok_or_else(invalid)?;
        let value = rest[sign.len()..].to_owned();
        // What contains something is told by a pattern; those of clients are plain words.
        let is_pattern = value.contains(['*', '+', '?', '(', '[', '{', '|', '^', '$', '\\']);
        if matches!(meaning, Sign::Contains) && is_pattern {
            let message = format!("the pattern {value:?} is not provided by kiln: use plain words");
            return Err(Status::unimplemented(message));
        }
        return Ok(Condition::Text(of, *meaning, value));
    }
    let order = ORDERS.iter().find(|(order, _)| rest.starts_with(order));
    let (order, meaning) = order.ok_or_else(invalid)?;
    let value = &rest[order.len()..];
    Ok(match name {
        "startedAt" => Condition::Number(started, *meaning, time(value, now).ok_or_else(invalid)?),
        "completedAt" => Condition::Number(ended, *meaning, time(value, now).ok_or_else(invalid)?),
        "duration" => {
            let duration = engine::parse_duration(value).ok_or_else(invalid)?;
            Condition::Number(taken, *meaning, nanoseconds(duration))
        }
        _ => return Err(invalid()),
    })
}

fn text_of(name: &str) -> Option<fn(&BuildHistoryRecord) -> String> {
    Some(match name {
        "ref" => |record| record.r#ref.clone(),
        "status" => |record| status(record).to_owned(),
        "repository" => |record| {
            let names = ["vcs:source", "context"].into_iter();
            let mut found = names.filter_map(|name| record.frontend_attrs.get(name));
            found.next().cloned().unwrap_or_default()
        },
        _ => return None,
    })
}

fn status(record: &BuildHistoryRecord) -> &'static str {
    match (&record.completed_at, &record.error) {
        (None, _) => "running",
        (Some(_), None) => "completed",
        (Some(_), Some(error)) if error.message.contains("context canceled") => "canceled",
        (Some(_), Some(_)) => "error",
    }
}

/// Whole seconds since 1970, of the beginning and of the end.
fn started(record: &BuildHistoryRecord) -> i128 {
    record.created_at.map_or(0, |at| at.seconds.into())
}

fn ended(record: &BuildHistoryRecord) -> i128 {
    record.completed_at.map_or(0, |at| at.seconds.into())
}

fn taken(record: &BuildHistoryRecord) -> i128 {
    let since = |at: &Timestamp| i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos);
    match (&record.created_at, &record.completed_at) {
        (Some(began), Some(ended)) => since(ended) - since(began),
        _ => 0,
    }
}

/// So long ago, or a time in RFC 3339.
fn time(text: &str, now: SystemTime) -> Option<i128> {
    if let Some(before) = engine::parse_duration(text) {
        let since = now.checked_sub(before)?.duration_since(UNIX_EPOCH).ok()?;
        return Some(since.as_secs().into());
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.as_second().into())
}

fn nanoseconds(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::google::rpc;

    use super::*;

    fn event(name: &str, began: i64, took: Option<i64>, error: Option<&str>) -> BuildHistoryEvent {
        let at = |seconds| Timestamp { seconds, nanos: 0 };
        BuildHistoryEvent {
            r#type: 1,
            record: Some(BuildHistoryRecord {
                r#ref: name.to_owned(),
                created_at: Some(at(began)),
                completed_at: took.map(|took| at(began + took)),
                error: error.map(|message| rpc::Status {
                    message: message.to_owned(),
                    ..rpc::Status::default()
                }),
                ..BuildHistoryRecord::default()
            }),
        }
    }

    #[test]
    fn conditions() {
        let now = UNIX_EPOCH + Duration::from_secs(10_000);
        let events = [
            event("aone", 9_000, Some(60), None),
            event("two", 9_900, Some(5), Some("process failed")),
            event("three", 9_950, Some(1), Some("context canceled")),
            event("four", 9_990, None, None),
        ];
        for (texts, expected) in [
            (&[][..], "aone two three four"),
            (&["ref~=one"], "aone"),
            (&["ref==two"], "two"),
            (&["status!=completed"], "two three four"),
            (&["status==running", "status=canceled"], "three four"),
            (&["status==error,duration>=5s"], "two"),
            (&["startedAt<2m"], "aone"),
            (&["completedAt>1970-01-01T02:30:00Z"], "aone two three"),
            (&["\"status==error\""], "two"),
        ] {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let filters = Filters::parse(&texts, now).unwrap();
            let passed = events.iter().filter(|event| filters.pass(event));
            let passed = passed.map(|event| event.record.as_ref().unwrap().r#ref.as_str());
            let passed: Vec<&str> = passed.collect();
            assert_eq!(passed.join(" "), expected, "{texts:?}");
        }
        for text in [
            "name=x",
            "status",
            "duration=5s",
            "startedAt>odd",
            "ref~=a.*b",
        ] {
            assert!(Filters::parse(&[text.to_owned()], now).is_err(), "{text}");
        }
    }
}
