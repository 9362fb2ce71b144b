//! What was asked of a front end, in the words of its options: as BuildKit's clients have them.

use std::collections::BTreeMap;

use graph::NetworkMode;

use crate::history;
use crate::request::{BuildRequest, Context, NamedContext, NoCache, Remote};
use crate::source::without_password;

/// Options that are about the builder and not about what is built, or name nothing outside of the
/// client's session.
const NOT_ABOUT_THE_RESULT: [&str; 4] = [
    "cgroup-parent",
    "image-resolve-mode",
    "platform",
    "cache-imports",
];
const NOT_ABOUT_THE_RESULT_FAMILIES: [&str; 3] =
    ["attest:", "local-sessionid:", "sharedkey:localdir:"];

/// What was asked of which front end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The front end's name; empty when the steps were defined by a client.
    pub frontend: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
}

impl Asked {
    /// What a client of BuildKit's would ask for in place of `request`, in which nothing has been
    /// brought in yet.
    #[must_use]
    pub fn of(request: &BuildRequest) -> Self {
        let mut options = BTreeMap::new();
        let mut put = |name: String, value: String| drop(options.insert(name, value));
        put(
            "filename".to_owned(),
            history::About::of(request).dockerfile,
        );
        if let Context::Remote { from, .. } = &request.context
            && let Some(text) = place(from)
        {
            put("context".to_owned(), text);
        }
        for (name, context) in &request.named_contexts {
            let text = match context {
                NamedContext::Directory(_) => Some(format!("local:{name}")),
                NamedContext::Image(image) => Some(format!("docker-image://{image}")),
                NamedContext::Layout(layout) => {
                    let digest = layout.digest.map(|digest| format!("@{digest}"));
                    Some(format!("oci-layout://{name}{}", digest.unwrap_or_default()))
                }
                NamedContext::Remote(from) => place(from),
                NamedContext::Source(_)
                | NamedContext::Steps(_)
                | NamedContext::EachSteps(_)
                | NamedContext::Build(_) => None,
            };
            text.into_iter()
                .for_each(|text| put(format!("context:{name}"), text));
        }
        for (name, value) in &request.build_args {
            put(format!("build-arg:{name}"), value.clone());
        }
        for (name, value) in &request.labels {
            put(format!("label:{name}"), value.clone());
        }
        if let Some(target) = &request.target {
            put("target".to_owned(), target.clone());
        }
        match &request.no_cache {
            NoCache::Off => {}
            NoCache::All => put("no-cache".to_owned(), String::new()),
            NoCache::Stages(stages) => put("no-cache".to_owned(), stages.join(",")),
        }
        match request.network {
            NetworkMode::Default => {}
            NetworkMode::None => put("force-network-mode".to_owned(), "none".to_owned()),
            NetworkMode::Host => put("force-network-mode".to_owned(), "host".to_owned()),
        }
        Self {
            frontend: "dockerfile.v0".to_owned(),
            options,
        }
    }

    /// What of it says anything about the result, without passwords.
    pub(super) fn telling(&self) -> BTreeMap<String, String> {
        let tells = |name: &str| {
            !NOT_ABOUT_THE_RESULT.contains(&name)
                && !NOT_ABOUT_THE_RESULT_FAMILIES
                    .iter()
                    .any(|family| name.starts_with(family))
        };
        let options = self.options.iter().filter(|(name, _)| tells(name));
        let shown = |(name, value): (&String, &String)| {
            let is_place =
                *name == self.context_key() || name.starts_with("context:") || name == "vcs:source";
            let value = match is_place {
                true => without_password(value),
                false => value.clone(),
            };
            (name.clone(), value)
        };
        options.map(shown).collect()
    }

    /// Which option says where the context is.
    pub(super) fn context_key(&self) -> &str {
        let own = self.options.get("contextkey").map(String::as_str);
        own.filter(|key| !key.is_empty()).unwrap_or("context")
    }

    /// Where the context is, if it is not the client's.
    pub(super) fn context(&self) -> Option<String> {
        let text = self.options.get(self.context_key())?;
        Some(without_password(text)).filter(|text| !text.is_empty())
    }
}

/// What is typed for a context that is elsewhere; none for what a client sends.
fn place(from: &Remote) -> Option<String> {
    match from {
        Remote::Stream(_) => None,
        Remote::Url(url) => Some(url.clone()),
        Remote::Git(git) => {
            let directory = git.subdirectory.as_ref();
            let reference = git.reference.clone().unwrap_or_default();
            let fragment = match directory {
                Some(directory) => format!("#{reference}:{directory}"),
                None if reference.is_empty() => String::new(),
                None => format!("#{reference}"),
            };
            Some(format!("{}{fragment}", git.url))
        }
    }
}
