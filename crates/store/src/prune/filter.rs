//! Which things a rule is about, in the words of BuildKit: `type==regular`, `id~=ab`, `shared`,
//! several joined by commas that must all hold.

use std::fmt;
use std::str::FromStr;

/// Conditions that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    field: Field,
    test: Test,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Id,
    Type,
    Description,
    InUse,
    Shared,
    Private,
    Mutable,
    Immutable,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Present,
    Equals(String),
    Differs(String),
    Contains {
        text: String,
        at_start: bool,
        at_end: bool,
    },
}

/// What a filter looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'static str,
    pub(crate) description: &'a str,
    pub(crate) in_use: bool,
    pub(crate) shared: bool,
    pub(crate) mutable: bool,
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A field that nothing has.
    #[error("unknown field {0:?}: there are {FIELDS}")]
    Field(String),
    /// A type that nothing has.
    #[error("unknown type {0:?}: there are {TYPES}")]
    Type(String),
    /// An operator that there is not.
    #[error("invalid condition {0:?}: expected FIELD, FIELD==VALUE, FIELD!=VALUE or FIELD~=TEXT")]
    Condition(String),
    /// A pattern.
    #[error("unsupported pattern {0:?}: ~= takes a text, with ^ before or $ after it at will")]
    Pattern(String),
}

const FIELDS: &str = "id, type, description, inuse, shared, private, mutable and immutable";
const TYPES: &str =
    "regular, source.git.checkout, exec.cachemount, internal, frontend and source.local";

/// The types of BuildKit's, also those that kiln keeps nothing of.
const KNOWN_TYPES: &[&str] = &[
    "regular",
    "source.git.checkout",
    "exec.cachemount",
    "internal",
    "frontend",
    "source.local",
];

impl Filter {
    /// Whether all conditions hold.
    pub(crate) fn matches(&self, subject: &Subject<'_>) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.holds(subject))
    }
}

impl Condition {
    fn holds(&self, subject: &Subject<'_>) -> bool {
        let truth = |is: bool| if is { "true" } else { "false" };
        let value = match self.field {
            Field::Id => subject.id,
            Field::Type => subject.kind,
            Field::Description => subject.description,
            Field::InUse => truth(subject.in_use),
            Field::Shared => truth(subject.shared),
            Field::Private => truth(!subject.shared),
            Field::Mutable => truth(subject.mutable),
            Field::Immutable => truth(!subject.mutable),
        };
        match &self.test {
            Test::Present => !value.is_empty() && value != "false",
            Test::Equals(wanted) => value == wanted,
            Test::Differs(unwanted) => value != unwanted,
            Test::Contains {
                text,
                at_start,
                at_end,
            } => match (at_start, at_end) {
                (true, true) => value == text,
                (true, false) => value.starts_with(text),
                (false, true) => value.ends_with(text),
                (false, false) => value.contains(text),
            },
        }
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let mut is_quoted = false;
        let conditions = text.split(|c: char| {
            is_quoted ^= c == '"';
            c == ',' && !is_quoted
        });
        let conditions = conditions.map(|one| condition(one.trim()));
        Ok(Self {
            conditions: conditions.collect::<Result<_, _>>()?,
        })
    }
}

fn condition(text: &str) -> Result<Condition, FilterError> {
    let name_ends = text
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(name_ends);
    if name.is_empty() {
        return Err(FilterError::Condition(text.to_owned()));
    }
    let field = field(name)?;
    if rest.is_empty() {
        let test = Test::Present;
        return Ok(Condition { field, test });
    }
    let value = |operator| {
        rest.strip_prefix(operator)
            .map(|text: &str| text.trim_matches('"'))
    };
    let exact = value("==").or_else(|| value("!="));
    if let Some(kind) = exact
        && field == Field::Type
        && !KNOWN_TYPES.contains(&kind)
    {
        return Err(FilterError::Type(kind.to_owned()));
    }
    let test = match (value("=="), value("!="), value("~=")) {
        (Some(value), ..) => Test::Equals(value.to_owned()),
        (_, Some(value), _) => Test::Differs(value.to_owned()),
        (.., Some(value)) => pattern(value)?,
        _ => return Err(FilterError::Condition(text.to_owned())),
    };
    Ok(Condition { field, test })
}

fn field(name: &str) -> Result<Field, FilterError> {
    Ok(match name {
        "id" => Field::Id,
        "type" => Field::Type,
        "description" => Field::Description,
        "inuse" => Field::InUse,
        "shared" => Field::Shared,
        "private" => Field::Private,
        "mutable" => Field::Mutable,
        "immutable" => Field::Immutable,
        _ => return Err(FilterError::Field(name.to_owned())),
    })
}

/// A regular expression that is a text, with an anchor at will.
fn pattern(value: &str) -> Result<Test, FilterError> {
    let (at_start, text) = match value.strip_prefix('^') {
        Some(text) => (true, text),
        None => (false, value),
    };
    let (at_end, text) = match text.strip_suffix('$') {
        Some(text) => (true, text),
        None => (false, text),
    };
    if text.contains([
        '*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '\\', '^', '$',
    ]) {
        return Err(FilterError::Pattern(value.to_owned()));
    }
    Ok(Test::Contains {
        text: text.to_owned(),
        at_start,
        at_end,
    })
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, condition) in self.conditions.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            let name = match condition.field {
                Field::Id => "id",
                Field::Type => "type",
                Field::Description => "description",
                Field::InUse => "inuse",
                Field::Shared => "shared",
                Field::Private => "private",
                Field::Mutable => "mutable",
                Field::Immutable => "immutable",
            };
            write!(f, "{comma}{name}")?;
            match &condition.test {
                Test::Present => {}
                Test::Equals(value) => write!(f, "==\"{value}\"")?,
                Test::Differs(value) => write!(f, "!=\"{value}\"")?,
                Test::Contains {
                    text,
                    at_start,
                    at_end,
                } => {
                    let (start, end) = (
                        ["", "^"][usize::from(*at_start)],
                        ["", "$"][usize::from(*at_end)],
                    );
                    write!(f, "~=\"{start}{text}{end}\"")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        let subject = Subject {
            id: "0badcafe",
            kind: "regular",
            description: "[build 2/4] RUN make",
            in_use: false,
            shared: true,
            mutable: false,
        };
        for (text, expected) in [
            ("type==regular", true),
            ("type!=regular", false),
            ("type==exec.cachemount", false),
            ("type~=^reg", true),
            ("id~=badc", true),
            ("id~=^badc", false),
            ("id~=cafe$", true),
            ("id==0badcafe,shared", true),
            ("shared,private", false),
            ("inuse", false),
            ("inuse==false", true),
            ("immutable", true),
            ("mutable", false),
            ("description~=RUN make", true),
            ("description==\"[build 2/4] RUN make\"", true),
            ("description!=\"a,b\",shared", true),
        ] {
            let filter: Filter = text.parse().unwrap();
            assert_eq!(filter.matches(&subject), expected, "{text}");
            let again: Filter = filter.to_string().parse().unwrap();
            assert_eq!(again, filter, "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        for (text, expected) in [
            (
                "label==x",
                "unknown field \"label\": there are id, type, description, inuse, shared, private, mutable and immutable",
            ),
            (
                "type==regulr",
                "unknown type \"regulr\": there are regular, source.git.checkout, exec.cachemount, internal, frontend and source.local",
            ),
            (
                "id=x",
                "invalid condition \"id=x\": expected FIELD, FIELD==VALUE, FIELD!=VALUE or FIELD~=TEXT",
            ),
            (
                "",
                "invalid condition \"\": expected FIELD, FIELD==VALUE, FIELD!=VALUE or FIELD~=TEXT",
            ),
            (
                "id~=a.*b",
                "unsupported pattern \"a.*b\": ~= takes a text, with ^ before or $ after it at will",
            ),
        ] {
            let error = text.parse::<Filter>().unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
