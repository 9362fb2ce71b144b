//! A case: a title, options, definitions, and what is expected, in one text.
//!
//! ```text
//! ## title
//! allow-insecure
//! ```llb
//! a: source { identifier: "docker-image://alpine:latest" }
//! result: inputs { digest: @a }
//! ! a name "the base"
//! ```
//! (what comes out)
//! ```
//!
//! A line of a definition that begins with `!` is metadata of an op. A further definition is what a
//! file holds that a build op asks for.

use llb::{DeviceLookup, Loading, Options, SourceQuestion, Step};

use crate::{show, text};

/// One case.
pub(crate) struct Case {
    /// All of it.
    pub(crate) text: String,
    /// All before what is expected.
    given: String,
    options: Options,
    definitions: Vec<String>,
}

const OPEN: &str = "```llb\n";
const CLOSE: &str = "```\n";

pub(crate) fn split(text: &str) -> Vec<Case> {
    let mut starts: Vec<usize> = text.match_indices("## ").map(|(at, _)| at).collect();
    starts.retain(|at| *at == 0 || text.as_bytes()[at - 1] == b'\n');
    starts.push(text.len());
    let cases = starts.windows(2);
    cases
        .map(|pair| Case::new(&text[pair[0]..pair[1]]))
        .collect()
}

impl Case {
    fn new(text: &str) -> Self {
        let (head, _) = text.split_once(OPEN).unwrap();
        let mut options = Options {
            platform: Some("linux/amd64".parse().unwrap()),
            ..Options::default()
        };
        for line in head.lines().skip(1).filter(|line| !line.is_empty()) {
            set(&mut options, line);
        }
        let mut given = head.to_owned();
        let mut definitions = Vec::new();
        let mut rest = &text[head.len()..];
        while let Some(inside) = rest.strip_prefix(OPEN) {
            let end = inside.find(CLOSE).unwrap();
            given.push_str(&format!("{OPEN}{}{CLOSE}", &inside[..end]));
            definitions.push(inside[..end].to_owned());
            rest = &inside[end + CLOSE.len()..];
        }
        Self {
            text: text.to_owned(),
            given,
            options,
            definitions,
        }
    }

    /// The case with what comes out.
    pub(crate) fn answered(&self) -> String {
        let mut names = text::Names::default();
        let outcome = self.outcome(&mut names);
        format!("{}{}\n", self.given, names.put_back(&outcome))
    }

    fn outcome(&self, names: &mut text::Names) -> String {
        let mut out = String::new();
        let mut definitions = self.definitions.iter();
        let first = text::definition(definitions.next().unwrap(), names);
        let mut run = || {
            let mut loading = Loading::new(&first, self.options.clone())?;
            loop {
                let question = match loading.step()? {
                    Step::Done(loaded) => return Ok(show::loaded(&loaded)),
                    Step::NeedFile(question) => question,
                    Step::NeedSources(questions) => {
                        for question in questions {
                            out.push_str(&format!("asks about {}\n", question.source.identifier));
                            loading.decide(&question, self.decide(&question));
                        }
                        continue;
                    }
                };
                out.push_str(&format!("asks for {question:?}\n"));
                let definition = text::definition(definitions.next().unwrap(), names);
                loading.answer(&prost::Message::encode_to_vec(&definition))?;
            }
        };
        let shown = run().unwrap_or_else(|error: llb::LoadError| format!("error: {error}\n"));
        out + &shown
    }

    /// What takes the place of a source: what a line `source OLD NEW` says.
    fn decide(&self, question: &SourceQuestion) -> llb::pb::SourceOp {
        let mut source = question.source.clone();
        let lines = self.given.lines();
        let mut named = lines.filter_map(|line| line.strip_prefix("source ")?.split_once(' '));
        if let Some((_, new)) = named.find(|(old, _)| *old == source.identifier) {
            source.identifier = new.to_owned();
        }
        source
    }
}

fn set(options: &mut Options, line: &str) {
    let (key, value) = line.split_once(' ').unwrap_or((line, ""));
    match key {
        "allow-insecure" => options.allow_insecure = true,
        "allow-host-network" => options.allow_host_network = true,
        "platform" => options.platform = Some(value.parse().unwrap()),
        "session" => options.session = Some(value.to_owned()),
        "layout" => {
            let (store, reference) = value.split_once(' ').unwrap();
            let reference: oci::Reference = reference.parse().unwrap();
            let layout = llb::Layout {
                store: store.to_owned(),
                digest: reference.digest().unwrap(),
            };
            options.layouts.insert(layout, reference);
        }
        "source" => options.ask_sources = true,
        "pull" => options.pull = graph::PullPolicy::Newer,
        "device" => {
            let name = value.to_owned();
            options.devices = Some(DeviceLookup::new(move |asked, optional| {
                let digest = oci::Digest::of(name.as_bytes());
                let name = name.clone();
                match asked == name {
                    true => Ok(vec![graph::Device { name, digest }]),
                    false if optional => Ok(Vec::new()),
                    false => Err(format!("required device {asked:?} is not registered")),
                }
            }));
        }
        "secret-digest" => {
            options.secret_digests.insert(value.to_owned(), [7; 32]);
        }
        _ => panic!("no option {key}"),
    }
}
