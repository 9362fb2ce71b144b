//! What a build was asked for, as its record keeps it.

use std::collections::{BTreeMap, HashMap};

use oci::Platform;
use serde::{Deserialize, Serialize};

use crate::request::{BuildRequest, Context, Remote};

/// Characters of a value that are kept.
const MAX_VALUE: usize = 4096;
/// Characters of an ID.
const MAX_ID: usize = 64;

/// What a build was asked for, as people call it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// A short name: the directory of the context, and the target when one was asked for.
    pub name: String,
    /// A directory, a URL, or `-` for what came on standard input.
    pub context: String,
    /// The Dockerfile, within the context when it is there.
    pub dockerfile: String,
    /// The stages that were asked for; none for the last one.
    pub targets: Vec<String>,
    /// The platforms that were asked for, with commas between them.
    pub platform: Option<String>,
    /// The front end that a client of BuildKit's asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub frontend: String,
    /// What it told that front end, without what may be secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// The ID that the client gives the build. One that is not letters and digits is not taken.
    #[serde(skip)]
    pub id: Option<String>,
}

impl About {
    /// What `request` asks for.
    #[must_use]
    pub fn of(request: &BuildRequest) -> Self {
        let (context, directory) = match &request.context {
            Context::Directory { path, .. } => {
                let whole = path.canonicalize();
                let shown = whole.as_ref().unwrap_or(path).display().to_string();
                (shown, Some(path))
            }
            Context::Empty => ("-".to_owned(), None),
            Context::Remote { from, .. } => (from_where(from), None),
            Context::Source(_) | Context::Steps(_) => (String::new(), None),
        };
        let path = request.dockerfile.path.as_deref();
        let within = path.and_then(|path| path.strip_prefix(directory?).ok());
        let dockerfile = match within.or(path) {
            Some(path) => path.display().to_string(),
            None => request.dockerfile.name.clone(),
        };
        let more = request.more_targets.iter().map(|more| &more.stage);
        let targets: Vec<String> = request.target.iter().chain(more).cloned().collect();
        Self {
            name: name(&context, &dockerfile, &targets),
            context,
            dockerfile,
            targets,
            platform: platforms(&request.platforms),
            ..Self::default()
        }
    }

    /// With what a client of BuildKit's asked a front end for. Neither values of arguments whose
    /// names say that they are secrets nor passwords in URLs are kept, and of long values the
    /// beginning.
    #[must_use]
    pub fn asked(self, frontend: &str, options: &HashMap<String, String>) -> Self {
        let kept = |(name, value): (&String, &String)| {
            let argument = name.strip_prefix("build-arg:");
            let value = match argument.is_some_and(dockerfile::is_secret) {
                true => "****".to_owned(),
                false => beginning(&crate::source::without_password(value)),
            };
            (name.clone(), value)
        };
        Self {
            frontend: frontend.to_owned(),
            options: options.iter().map(kept).collect(),
            ..self
        }
    }

    /// What a client of BuildKit's asked a front end for, as a builder's record tells it.
    #[must_use]
    pub fn recorded(frontend: &str, options: &HashMap<String, String>) -> Self {
        let one = |name: &str| options.get(name).cloned().unwrap_or_default();
        let mut named = ["vcs:source", "context"].map(one).into_iter();
        let context = named.find(|name| !name.is_empty());
        let dockerfile = match one("filename") {
            name if name.is_empty() && frontend == "dockerfile.v0" => "Dockerfile".to_owned(),
            name => name,
        };
        let target = Some(one("target")).filter(|target| !target.is_empty());
        let targets: Vec<String> = target.into_iter().collect();
        Self {
            name: match &context {
                Some(context) => name(context, &dockerfile, &targets),
                None => targets.first().unwrap_or(&dockerfile).clone(),
            },
            context: context.unwrap_or_default(),
            dockerfile,
            targets,
            platform: Some(one("platform")).filter(|platform| !platform.is_empty()),
            ..Self::default()
        }
        .asked(frontend, options)
    }

    /// The ID that the client gives it, if that can be one.
    pub(super) fn own_id(&self) -> Option<&str> {
        let id = self.id.as_deref()?;
        let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_plain && (1..=MAX_ID).contains(&id.len())).then_some(id)
    }
}

fn platforms(platforms: &[Platform]) -> Option<String> {
    let texts: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

fn beginning(value: &str) -> String {
    match value.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

fn from_where(from: &Remote) -> String {
    match from {
        Remote::Stream(_) => "-".to_owned(),
        Remote::Url(url) => crate::source::without_password(url),
        Remote::Git(git) => {
            let url = crate::source::without_password(&git.url);
            match &git.reference {
                Some(reference) => format!("{url}#{reference}"),
                None => url,
            }
        }
    }
}

/// As buildx names builds: the last part of the context, the Dockerfile when it has a name of its
/// own, and the target.
fn name(context: &str, dockerfile: &str, targets: &[String]) -> String {
    let mut name = match context.trim_end_matches('/').rsplit_once('/') {
        Some((_, last)) if !context.contains("://") => last.to_owned(),
        _ => context.to_owned(),
    };
    if !matches!(dockerfile, "Dockerfile" | "dockerfile") {
        name = format!("{name}/{}", dockerfile.trim_start_matches('/'));
    }
    if !targets.is_empty() {
        name = format!("{name} ({})", targets.join(", "));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (context, dockerfile, targets, expected) in [
            ("/home/me/app", "Dockerfile", &[][..], "app"),
            (
                "/home/me/app/",
                "docker/Dockerfile",
                &["test"],
                "app/docker/Dockerfile (test)",
            ),
            ("-", "Dockerfile", &["a", "b"], "- (a, b)"),
            (
                "https://host/r.git#main",
                "Dockerfile",
                &[],
                "https://host/r.git#main",
            ),
        ] {
            let targets: Vec<String> = targets.iter().map(|t| (*t).to_owned()).collect();
            assert_eq!(name(context, dockerfile, &targets), expected);
        }
    }

    #[test]
    fn what_may_be_secret_is_not_kept() {
        let options = [
            ("build-arg:API_TOKEN", "hush", "****"),
            ("build-arg:MODE", "fast", "fast"),
            ("context", "https://me:pw@host/r.git", "https://host/r.git"),
            ("token", "shown", "shown"),
        ];
        let given = options.map(|(name, value, _)| (name.to_owned(), value.to_owned()));
        let kept = options.map(|(name, _, value)| (name.to_owned(), value.to_owned()));
        let about = About::default().asked("dockerfile.v0", &HashMap::from(given));
        assert_eq!(about.options, BTreeMap::from(kept));
        let long = HashMap::from([("a".to_owned(), "é".repeat(MAX_VALUE + 1))]);
        let about = About::default().asked("", &long);
        assert_eq!(about.options["a"], format!("{}…", "é".repeat(MAX_VALUE)));
    }

    #[test]
    fn builds_of_which_a_builder_tells() {
        let named = |frontend: &str, options: &[(&str, &str)]| {
            let options = options.iter();
            let options = options.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            About::recorded(frontend, &options.collect()).name
        };
        let typed = [("context", "/home/me/app"), ("filename", "Dockerfile")];
        assert_eq!(named("", &typed), "app");
        assert_eq!(named("dockerfile.v0", &[]), "Dockerfile");
        assert_eq!(named("dockerfile.v0", &[("target", "test")]), "test");
        assert_eq!(named("", &[]), "");
        let source = [("vcs:source", "https://host/r.git"), ("target", "a")];
        assert_eq!(named("dockerfile.v0", &source), "https://host/r.git (a)");
    }

    #[test]
    fn ids() {
        for (id, is_taken) in [
            ("k7x0", true),
            ("", false),
            ("../x", false),
            ("a.pinned", false),
            (&"a".repeat(65), false),
        ] {
            let about = About {
                id: Some(id.to_owned()),
                ..About::default()
            };
            assert_eq!(about.own_id().is_some(), is_taken, "{id}");
        }
    }
}
