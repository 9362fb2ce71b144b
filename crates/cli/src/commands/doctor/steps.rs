//! What steps can have here: limits, networks of their own, other machines' programs.

use std::collections::BTreeMap;
use std::io;

use engine::{Emulator, Engine, EngineError, StepNetwork};
use oci::Platform;
use sandbox::{Connector, ConnectorKind, GroupVersion, Means};

use super::checks::{Check, State, check};
use crate::error::{chain, hint};

/// What would have the kernel run other machines' programs.
const REGISTER: &str = "on the machine itself: install the package qemu-user-binfmt (or \
                        qemu-user-static with binfmt-support), or docker run --privileged --rm \
                        tonistiigi/binfmt --install all";

/// What a step can be limited in.
pub(super) fn limits(engine: &Engine) -> Check {
    match engine.kernel_limits() {
        Ok(means) => limited(&means),
        Err(error) => check("limits", State::Error, chain(&error), None),
    }
}

fn limited(means: &[Means]) -> Check {
    let mut able: BTreeMap<GroupVersion, Vec<&str>> = BTreeMap::new();
    let mut unable: Vec<(&str, &str)> = Vec::new();
    for means in means {
        match &means.held {
            Ok(version) => able.entry(*version).or_default().push(means.name),
            Err(why) => unable.push((means.name, why)),
        }
    }
    let by = |(version, names): (&GroupVersion, &Vec<&str>)| {
        let number = match version {
            GroupVersion::One => 1,
            GroupVersion::Two => 2,
        };
        format!("{} by control groups of version {number}", names.join(", "))
    };
    let held = able.iter().map(by);
    let mut text: Vec<String> = held.chain(["time, output, disk".to_owned()]).collect();
    let Some((_, why)) = unable.first() else {
        return check("limits", State::Ok, text.join("; "), None);
    };
    let names: Vec<&str> = unable.iter().map(|(name, _)| *name).collect();
    text.push(format!("not {}", names.join(", ")));
    // What would give one gives the others.
    check("limits", State::Warning, text.join("; "), Some(why))
}

/// Which network steps have, and whether they can have one of their own.
pub(super) fn network(engine: &Engine, chosen: StepNetwork, in_chroot: bool) -> Check {
    if chosen == StepNetwork::Cni && !in_chroot {
        return plugged(engine.cni_network());
    }
    let interface = sandbox::network::can_connect();
    connected(chosen, &engine.connectors(), in_chroot, interface)
}

fn plugged(found: Result<String, EngineError>) -> Check {
    match found {
        Ok(name) => {
            let text = format!("steps have one of their own by plugins of CNI, {name}");
            check("network", State::Ok, text, None)
        }
        Err(error) => lacking(&chain(&error), hint(&error).as_deref()),
    }
}

fn lacking(why: &str, to_do: Option<&str>) -> Check {
    let text = format!("steps are to have one of their own, and cannot: {why}");
    check("network", State::Error, text, to_do)
}

fn connected(
    chosen: StepNetwork,
    found: &[Connector],
    in_chroot: bool,
    interface: io::Result<()>,
) -> Check {
    let kinds = chosen.connectors();
    let is_host = chosen == StepNetwork::Host;
    let lack = if in_chroot {
        let why = "it takes namespaces and mounts".to_owned();
        Some((why, "what is better above allows it".to_owned()))
    } else if let Err(error) = interface {
        let to_do = "as root: modprobe tun && chmod 0666 /dev/net/tun; in a container: docker run \
                     --device /dev/net/tun";
        Some((format!("open /dev/net/tun: {error}"), to_do.to_owned()))
    } else {
        let wanted = if is_host {
            &ConnectorKind::ALL[..]
        } else {
            kinds
        };
        missing(wanted, found)
    };
    match lack {
        None => check("network", State::Ok, networks(chosen, found), None),
        Some((why, to_do)) if is_host => {
            let text = format!("steps have the machine's, and can have none of their own: {why}");
            check("network", State::Warning, text, Some(&to_do))
        }
        Some((why, to_do)) => lacking(&why, Some(&to_do)),
    }
}

/// Why none of these programs connects a network, and what to do.
fn missing(wanted: &[ConnectorKind], found: &[Connector]) -> Option<(String, String)> {
    if found.iter().any(|found| wanted.contains(&found.kind)) {
        return None;
    }
    let list = |name: fn(ConnectorKind) -> &'static str| {
        let names: Vec<_> = wanted.iter().map(|kind| name(*kind)).collect();
        names.join(" or ")
    };
    let why = format!("{} is not installed", list(ConnectorKind::name));
    Some((
        why,
        format!("install the package {}", list(ConnectorKind::package)),
    ))
}

fn networks(chosen: StepNetwork, found: &[Connector]) -> String {
    let kinds = chosen.connectors();
    let mut names = found.iter().map(|found| found.kind);
    match names.clone().find(|kind| kinds.contains(kind)) {
        Some(kind) => format!("steps have one of their own by {}", kind.name()),
        None => {
            let first = names.next().map(ConnectorKind::name).into_iter();
            let all: Vec<_> = first.chain(names.map(ConnectorKind::name)).collect();
            let all = all.join(" or ");
            format!("steps have the machine's, and can have one of their own by {all}")
        }
    }
}

/// Which other machines' programs run here.
pub(super) fn emulators() -> Check {
    emulated(engine::emulators().as_deref())
}

fn emulated(found: Option<&[Emulator]>) -> Check {
    let here = Platform::host();
    let only = |why: &str| {
        let text = format!("programs for {here} alone run here, as far as can be seen: {why}");
        check("emulators", State::Warning, text, Some(REGISTER))
    };
    let Some(found) = found else {
        return only("binfmt_misc is not mounted");
    };
    let (open, named): (Vec<_>, Vec<_>) = found.iter().partition(|emulator| emulator.is_open);
    let named: Vec<String> = named
        .iter()
        .map(|emulator| {
            let program = emulator.program.display();
            format!("{} in images that have {program}", emulator.platform)
        })
        .collect();
    if open.is_empty() && named.is_empty() {
        return only("no emulator is registered with binfmt_misc");
    }
    let all = open.iter().map(|emulator| emulator.platform.to_string());
    let text: Vec<String> = all.chain(named.iter().cloned()).collect();
    let text = text.join(", ");
    if named.is_empty() {
        return check("emulators", State::Ok, text, None);
    }
    let remedy = format!("register them with the flag F, for all images; {REGISTER}");
    check("emulators", State::Warning, text, Some(&remedy))
}

#[cfg(test)]
mod tests {
    use super::super::checks::tests::told;
    use super::*;

    #[test]
    fn limits_that_can_be_set() {
        let one = || Ok(GroupVersion::One);
        let can = |memory: Result<GroupVersion, &str>, pids: Result<GroupVersion, &str>| {
            let of = |name, held: Result<GroupVersion, &str>| Means {
                name,
                held: held.map_err(str::to_owned),
            };
            limited(&[of("memory", memory), of("cpu", one()), of("pids", pids)])
        };
        let check = |found: Check, expected: &str, remedy: Option<&str>| {
            assert_eq!(told(&found), expected);
            assert_eq!(found.remedy.as_deref(), remedy);
        };
        check(
            can(one(), one()),
            "limits ok: memory, cpu, pids by control groups of version 1; time, output, disk",
            None,
        );
        check(
            can(Ok(GroupVersion::Two), Err("why")),
            "limits warning: cpu by control groups of version 1; memory by control groups of version \
             2; time, output, disk; not pids",
            Some("why"),
        );
        check(
            can(Err("why"), Err("why")),
            "limits warning: cpu by control groups of version 1; time, output, disk; not memory, \
             pids",
            Some("why"),
        );
    }

    #[test]
    fn networks_of_steps() {
        let connector = |kind: ConnectorKind| Connector {
            kind,
            program: "/p".into(),
        };
        let both = ConnectorKind::ALL.map(connector);
        let check = |chosen, found: &[Connector], in_chroot, is_open: bool, expected: &str| {
            let interface = match is_open {
                true => Ok(()),
                false => Err(io::ErrorKind::NotFound.into()),
            };
            let found = connected(chosen, found, in_chroot, interface);
            let remedy = found.remedy.as_deref().unwrap_or("-");
            assert_eq!(format!("{} | {remedy}", told(&found)), expected);
        };
        let (host, pasta) = (StepNetwork::Host, StepNetwork::Pasta);
        check(
            host,
            &both,
            false,
            true,
            "network ok: steps have the machine's, and can have one of their own by pasta or \
             slirp4netns | -",
        );
        check(
            pasta,
            &both,
            false,
            true,
            "network ok: steps have one of their own by pasta | -",
        );
        check(
            host,
            &[],
            false,
            true,
            "network warning: steps have the machine's, and can have none of their own: pasta or \
             slirp4netns is not installed | install the package passt or slirp4netns",
        );
        check(
            pasta,
            &both[1..],
            false,
            true,
            "network error: steps are to have one of their own, and cannot: pasta is not installed \
             | install the package passt",
        );
        check(
            host,
            &both,
            false,
            false,
            "network warning: steps have the machine's, and can have none of their own: open \
             /dev/net/tun: entity not found | as root: modprobe tun && chmod 0666 /dev/net/tun; in \
             a container: docker run --device /dev/net/tun",
        );
        check(
            StepNetwork::Cni,
            &both,
            true,
            true,
            "network error: steps are to have one of their own, and cannot: it takes namespaces and \
             mounts | what is better above allows it",
        );
        check(
            pasta,
            &both,
            true,
            true,
            "network error: steps are to have one of their own, and cannot: it takes namespaces and \
             mounts | what is better above allows it",
        );
    }

    #[test]
    fn networks_that_plugins_set_up() {
        let check = |found, expected: &str| {
            let found = plugged(found);
            let remedy = found.remedy.as_deref().unwrap_or("-");
            assert_eq!(format!("{} | {remedy}", told(&found)), expected);
        };
        check(
            Ok("tests".to_owned()),
            "network ok: steps have one of their own by plugins of CNI, tests | -",
        );
        check(
            Err(EngineError::NoCni),
            "network error: steps are to have one of their own, and cannot: networks of CNI are not \
             configured | set config or bridge of [build.cni] in kiln.toml",
        );
    }

    #[test]
    fn other_machines() {
        let emulator = |architecture: &str, is_open| Emulator {
            platform: Platform::new("linux", architecture, ""),
            program: "/usr/bin/q".into(),
            is_open,
        };
        let check = |found: Option<&[Emulator]>, state: State, expected: &str| {
            let found = emulated(found);
            assert_eq!(found.state, state);
            assert!(found.text.contains(expected), "{}", found.text);
            assert_eq!(found.remedy.is_some(), state == State::Warning);
        };
        let (arm64, s390x) = (emulator("arm64", true), emulator("s390x", false));
        check(None, State::Warning, ": binfmt_misc is not mounted");
        check(Some(&[]), State::Warning, ": no emulator is registered");
        check(Some(std::slice::from_ref(&arm64)), State::Ok, "linux/arm64");
        check(
            Some(&[arm64, s390x]),
            State::Warning,
            "linux/arm64, linux/s390x in images that have /usr/bin/q",
        );
    }
}
