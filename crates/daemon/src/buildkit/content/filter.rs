//! Which content a client asks for: conditions as containerd has them,
//! `digest==sha256:…,labels.name`. All of those in one text must hold, of one text at least.

use tonic::Status;

/// Texts of conditions that are read.
const MAX_FILTERS: usize = 64;
/// The longer ones first.
const SIGNS: [(&str, Sign); 4] = [
    ("==", Sign::Is),
    ("!=", Sign::IsNot),
    ("~=", Sign::Contains),
    ("=", Sign::Is),
];

/// What must hold for content.
#[derive(Debug)]
pub(super) struct Filters(Vec<Vec<Condition>>);

#[derive(Debug)]
struct Condition {
    field: Field,
    sign: Sign,
    value: String,
}

#[derive(Debug, Clone, Copy)]
enum Field {
    Digest,
    /// Content of the store has no labels, so it has none of any name.
    Label,
}

#[derive(Debug, Clone, Copy)]
enum Sign {
    IsThere,
    Is,
    IsNot,
    Contains,
}

impl Filters {
    /// # Errors
    /// A condition is none of those that there are.
    pub(super) fn parse(texts: &[String]) -> Result<Self, Status> {
        if texts.len() > MAX_FILTERS {
            return Err(Status::invalid_argument("there are too many filters"));
        }
        let all = |text: &String| parts(text).into_iter().map(condition).collect();
        let texts = texts.iter().filter(|text| !text.is_empty());
        Ok(Self(texts.map(all).collect::<Result<_, _>>()?))
    }

    /// Whether they hold for the content of this digest.
    pub(super) fn pass(&self, digest: &str) -> bool {
        let holds = |all: &Vec<Condition>| all.iter().all(|one| one.holds(digest));
        self.0.is_empty() || self.0.iter().any(holds)
    }
}

impl Condition {
    fn holds(&self, digest: &str) -> bool {
        let found = match self.field {
            Field::Digest => Some(digest),
            Field::Label => None,
        };
        let text = found.unwrap_or_default();
        match self.sign {
            Sign::IsThere => found.is_some(),
            Sign::Is => found == Some(self.value.as_str()),
            Sign::IsNot => text != self.value,
            Sign::Contains => text.contains(&self.value),
        }
    }
}

/// What commas divide that are in no quotes.
fn parts(text: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let divides = |c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    };
    text.split(divides).collect()
}

fn condition(text: &str) -> Result<Condition, Status> {
    let invalid = || Status::invalid_argument(format!("failed to parse content filter {text:?}"));
    let mut is_quoted = false;
    let at = text.find(|c: char| {
        is_quoted ^= c == '"';
        !is_quoted && matches!(c, '=' | '!' | '~')
    });
    let (name, rest) = text.split_at(at.unwrap_or(text.len()));
    let field = match name.trim() {
        "digest" => Field::Digest,
        name if name.strip_prefix("labels.").is_some_and(|n| !n.is_empty()) => Field::Label,
        _ => return Err(invalid()),
    };
    if rest.is_empty() {
        let (sign, value) = (Sign::IsThere, String::new());
        return Ok(Condition { field, sign, value });
    }
    let sign = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign));
    let (written, sign) = *sign.ok_or_else(invalid)?;
    let value = rest[written.len()..].trim().trim_matches('"').to_owned();
    // What contains something is told by a pattern; those of clients are plain words.
    let is_pattern = value.contains(['*', '+', '?', '(', '[', '{', '|', '^', '$', '\\']);
    if matches!(sign, Sign::Contains) && is_pattern {
        let message = format!("the pattern {value:?} is not provided by kiln: use plain words");
        return Err(Status::unimplemented(message));
    }
    Ok(Condition { field, sign, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        let digests = ["sha256:aa", "sha256:ab", "sha256:bb"];
        for (texts, expected) in [
            (&[][..], "sha256:aa sha256:ab sha256:bb"),
            (&[""], "sha256:aa sha256:ab sha256:bb"),
            (&["digest==sha256:ab"], "sha256:ab"),
            (&["digest=\"sha256:ab\""], "sha256:ab"),
            (&["digest!=sha256:ab"], "sha256:aa sha256:bb"),
            (&["digest~=:a,digest!=sha256:aa"], "sha256:ab"),
            (
                &["digest==sha256:aa", "digest==sha256:bb"],
                "sha256:aa sha256:bb",
            ),
            (&["digest"], "sha256:aa sha256:ab sha256:bb"),
            (&["labels.\"a=b,c/d\""], ""),
            (&["labels.a==b"], ""),
            (&["labels.a!=b,digest==sha256:aa"], "sha256:aa"),
        ] {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let filters = Filters::parse(&texts).unwrap();
            let passed = digests.into_iter().filter(|digest| filters.pass(digest));
            assert_eq!(passed.collect::<Vec<_>>().join(" "), expected, "{texts:?}");
        }
        for text in ["size==3", "digest!", "labels.", "=x", "digest~=a.*"] {
            assert!(Filters::parse(&[text.to_owned()]).is_err(), "{text}");
        }
    }
}
