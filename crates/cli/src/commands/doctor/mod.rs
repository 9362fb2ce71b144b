//! `kiln doctor`: where this is, what would be better, and whether all is well.

mod checks;
mod place;
mod steps;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use engine::Engine;
use sandbox::CapabilitySet;
use sandbox::rootless::Lack;
use serde_json::{Value, json};

use super::session::{Session, block_on};
use crate::args::system::Doctor;
use crate::error::{Error, FAILURE, choice};

use checks::{Check, State};
use place::{Diagnosis, Found, Place};

/// Looks, and tells; 1 when no step can run, or something is wrong.
pub(super) fn run(
    session: &mut Session<'_, '_>,
    args: &Doctor,
    entered: Result<Vec<Lack>, Error>,
) -> Result<u8, Error> {
    let as_json = match args.format.as_deref() {
        None | Some("") => false,
        Some("json") => true,
        Some(other) => return Err(choice("--format", other, "must be json")),
    };
    let mut found = of_process(session.environment.is_root, entered);
    let mut all = Vec::new();
    if found.refused.is_none() {
        let options = session.engine_options()?;
        found.is_chosen = options.config.build.isolation.is_some();
        let (root, domains) = (options.root.clone(), domains(&options.config));
        let network = options.config.build.network;
        let engine = Engine::open(options)?;
        found.in_chroot = engine.runs_in_chroot()?;
        all.push(checks::store(&root, &engine));
        all.push(checks::disk(&root));
        all.push(steps::limits(&engine));
        all.push(steps::network(&engine, network, found.in_chroot));
        all.push(steps::emulators());
        all.extend(checks::registries(&ask(&engine, domains)?));
    }
    let diagnosis = found.diagnose();
    let text = if as_json {
        format!("{:#}\n", document(&diagnosis, &all))
    } else {
        told(&diagnosis, &all)
    };
    session.ui.print(&text)?;
    let is_wrong = all.iter().any(|check| check.state == State::Error);
    Ok(match diagnosis.place {
        Place::Nowhere => FAILURE,
        _ if is_wrong => FAILURE,
        _ => 0,
    })
}

/// Those that kiln.toml names, and the one that images without a domain come from. Who has mirrors is
/// not asked, but they are.
fn domains(config: &engine::Config) -> BTreeSet<String> {
    let mut domains = BTreeSet::new();
    let usual = "docker.io";
    if !config.registry.contains_key(usual) {
        domains.insert(usual.to_owned());
    }
    for (domain, registry) in &config.registry {
        let mirrors = registry.mirrors.iter().map(|mirror| authority(mirror));
        domains.extend(mirrors.map(str::to_owned));
        if registry.mirrors.is_empty() {
            domains.insert(domain.clone());
        }
    }
    domains
}

/// Without scheme and path.
fn authority(mirror: &str) -> &str {
    let rest = mirror.split_once("://").map_or(mirror, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

type Answer = (String, Result<Option<i64>, String>);

fn ask(engine: &Engine, domains: BTreeSet<String>) -> Result<Vec<Answer>, Error> {
    block_on(async {
        let mut answers = Vec::new();
        for domain in domains {
            let answer = engine.ask_registry(&domain).await;
            let answer = answer.map_err(|error| crate::error::chain(&error));
            answers.push((domain, answer));
        }
        answers
    })
}

/// What the kernel says of this process.
fn of_process(is_root: bool, entered: Result<Vec<Lack>, Error>) -> Found {
    let (lacks, refused) = match entered {
        Ok(lacks) => (lacks, None),
        Err(error) => (Vec::new(), Some(error.message)),
    };
    let capabilities = CapabilitySet::held().unwrap_or(CapabilitySet::EMPTY);
    let line = |path: &str| {
        let text = fs::read_to_string(path).ok()?;
        Some(text.trim_matches(['\n', '\0']).to_owned()).filter(|text| !text.is_empty())
    };
    let status = line("/proc/self/status").unwrap_or_default();
    let sysctl = |name: &'static str| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        Some((name, line(&path)?))
    };
    Found {
        is_root,
        refused,
        lacks: lacks
            .iter()
            .map(|lack| (lack.to_string(), lack.remedy()))
            .collect(),
        in_chroot: false,
        is_chosen: false,
        lacks_sys_admin: !capabilities.has("SYS_ADMIN"),
        is_filtered: status.lines().any(|line| line == "Seccomp:\t2"),
        profile: profile(),
        sysctls: place::sysctls().filter_map(sysctl).collect(),
    }
}

/// Without AppArmor the file is another module's, or cannot be read.
fn profile() -> Option<String> {
    if !Path::new("/sys/module/apparmor").exists() {
        return None;
    }
    let text = fs::read_to_string("/proc/self/attr/current").ok()?;
    let name = text.split(" (").next()?.trim();
    (!name.is_empty() && name != "unconfined").then(|| name.to_owned())
}

fn told(diagnosis: &Diagnosis, checks: &[Check]) -> String {
    let mut lines = vec![format!("place: {}", diagnosis.place.text())];
    lines.extend(diagnosis.why.iter().map(|why| format!("  because {why}")));
    if let Some(next) = &diagnosis.next {
        lines.push(format!("better: {}", next.place.text()));
        lines.extend(next.steps.iter().map(|step| format!("  {step}")));
    }
    for check in checks {
        let Check {
            name,
            state,
            text,
            remedy,
        } = check;
        lines.push(format!("{name}: {}: {text}", state.name()));
        lines.extend(remedy.iter().map(|remedy| format!("  {remedy}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn document(diagnosis: &Diagnosis, checks: &[Check]) -> Value {
    let next = diagnosis.next.as_ref();
    let checks: Vec<Value> = checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name,
                "state": check.state.name(),
                "text": check.text,
                "remedy": check.remedy,
            })
        })
        .collect();
    json!({
        "place": diagnosis.place.name(),
        "why": diagnosis.why,
        "next": next.map(|next| json!({"place": next.place.name(), "steps": next.steps})),
        "checks": checks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_to_ask() {
        let check = |text: &str, expected: &[&str]| {
            let config = engine::Config::parse(text).unwrap();
            assert!(domains(&config).iter().eq(expected), "{text}");
        };
        check("", &["docker.io"]);
        check("[registry.a]\nhttp = true\n", &["a", "docker.io"]);
        check(
            "[registry.\"docker.io\"]\nmirrors = [\"http://m:5/x\", \"n\"]\n[registry.n]\n",
            &["m:5", "n"],
        );
    }
}
