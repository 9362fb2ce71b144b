//! Which stages are wanted, and which names are for which of them.
//!
//! Of several `--target`, the last is *the* target: it gets the names without a stage and
//! everything else that is said about a result.

use engine::MoreTarget;
use oci::Reference;

use crate::error::{Error, choice};
use crate::values::output;

/// The stages that are wanted, with their names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Targets {
    pub(super) target: Option<String>,
    pub(super) tags: Vec<Reference>,
    pub(super) more: Vec<MoreTarget>,
}

/// `--target` and `--tag`; a tag is a name, or `target=name`.
pub(super) fn targets(stages: &[String], tags: &[String]) -> Result<Targets, Error> {
    let mut stages = stages.iter().filter(|stage| !stage.is_empty()).cloned();
    let mut targets = Targets {
        target: stages.next_back(),
        ..Targets::default()
    };
    let more = |stage| MoreTarget {
        stage,
        tags: Vec::new(),
    };
    targets.more.extend(stages.map(more));
    for text in tags {
        match text.split_once('=') {
            None => targets.tags.push(output::tag(text)?),
            Some((stage, name)) => {
                let name = output::tag(name)?;
                let place = targets
                    .place(stage)
                    .ok_or_else(|| choice("--tag", text, "there is no --target of that name"))?;
                place.push(name);
            }
        }
    }
    Ok(targets)
}

impl Targets {
    /// Where the names of a stage are.
    fn place(&mut self, stage: &str) -> Option<&mut Vec<Reference>> {
        let is_target = |target: &String| target.eq_ignore_ascii_case(stage);
        if self.target.as_ref().is_some_and(is_target) {
            return Some(&mut self.tags);
        }
        let mut more = self.more.iter_mut();
        more.find(|more| is_target(&more.stage))
            .map(|more| &mut more.tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stages: &[&str], tags: &[&str], expected: &str) {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let (stages, tags): (Vec<String>, Vec<String>) = (owned(stages), owned(tags));
        let shown = match targets(&stages, &tags) {
            Err(error) => format!("error: {}", error.message),
            Ok(targets) => {
                let names = |tags: &[Reference]| {
                    let names: Vec<String> = tags.iter().map(Reference::familiar).collect();
                    names.join(" ")
                };
                let more = targets.more.iter();
                let mut lines: Vec<String> = more
                    .map(|more| format!("{}: {}", more.stage, names(&more.tags)))
                    .collect();
                let target = targets.target.as_deref().unwrap_or("-");
                lines.push(format!("{target}: {}", names(&targets.tags)));
                lines.join(", ")
            }
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn names_find_their_targets() {
        check(&[], &["a", "b:1"], "-: a:latest b:1");
        check(&[""], &[], "-: ");
        check(&["app"], &["app=a", "b"], "app: a:latest b:latest");
        check(
            &["test", "app"],
            &["TEST=t", "a", "app=b"],
            "test: t:latest, app: a:latest b:latest",
        );
        check(
            &["app"],
            &["test=t"],
            "error: invalid argument \"test=t\" for \"--tag\" flag: there is no --target of that name",
        );
    }
}
