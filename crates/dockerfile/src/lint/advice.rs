//! What to do about a finding: the rule's advice, or better words where more is known.

use super::finding::{Declared, Finding};
use super::rule;

impl Finding {
    /// What to do about it, in one line.
    pub(crate) fn advice(&self) -> String {
        let special = match self {
            Self::JsonArgsRecommended {
                instruction,
                list: Some(list),
            } => Some(format!("write {instruction} {list}")),
            Self::UndefinedVar { name, declared, .. } => of_variable(name, *declared),
            Self::UndefinedArgInFrom { name, declared, .. } => of_base(name, *declared),
            Self::PackageListsKept { remove, cache, .. } => Some(format!(
                "{remove}, or use RUN --mount=type=cache,target={cache}"
            )),
            Self::CdInsteadOfWorkdir { directory } => Some(format!("use WORKDIR {directory}")),
            Self::CacheMountMissing { cache, .. } => {
                Some(format!("use RUN --mount=type=cache,target={cache}"))
            }
            Self::CopyBeforeInstall { manifests, .. } => Some(format!(
                "copy {manifests} first, install, then copy the rest"
            )),
            _ => None,
        };
        special.unwrap_or_else(|| {
            let rule = rule(self.rule());
            rule.map_or_else(String::new, |rule| rule.fix.to_owned())
        })
    }
}

fn of_variable(name: &str, declared: Declared) -> Option<String> {
    match declared {
        Declared::Nowhere => None,
        Declared::BeforeFrom => Some(format!(
            "ARG {name} before the first FROM counts for FROM lines only: add `ARG {name}` to this stage"
        )),
        Declared::InStage(line) => Some(format!(
            "{name} is declared on line {line}, which does not count here: declare it in this stage, above this line"
        )),
    }
}

fn of_base(name: &str, declared: Declared) -> Option<String> {
    match declared {
        Declared::InStage(line) => Some(format!(
            "ARG {name} on line {line} is part of a stage, and FROM sees only those before the first FROM: declare it there"
        )),
        _ => None,
    }
}
