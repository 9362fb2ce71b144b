//! What the compiled filter says of calls, against the table it was compiled from.

use sys::capability::CapabilitySet;
use sys::seccomp::Filter;

use super::machine::{Call, run};
use super::profile::{
    AUDIT_AARCH64, AUDIT_ARM, AUDIT_I386, AUDIT_X86_64, Action, Architecture, X32_BIT,
    architectures,
};
use super::*;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const KILL: u32 = 0x8000_0000;

fn ask(filter: &Filter, architecture: u32, number: u32, argument: u64) -> u32 {
    run(
        filter,
        Call {
            number,
            architecture,
            arguments: [argument, 0, 0, 0, 0, 0],
        },
    )
}

/// Each number of each architecture of a machine, against the table.
fn check(machine: &'static str) {
    let filter = filter_for(machine, CapabilitySet::DOCKER_DEFAULT).unwrap();
    for Architecture {
        audit,
        offset,
        rules,
        newest,
    } in architectures(machine, CapabilitySet::DOCKER_DEFAULT).unwrap()
    {
        for number in (0..1000).chain(983_000..983_100) {
            let rule = rules
                .iter()
                .find(|(known, _)| *known == number)
                .map(|(_, action)| *action);
            let expected = match rule {
                Some(Action::Allow) => ALLOW,
                Some(Action::Fail(errno)) => 0x0005_0000 | u32::from(errno),
                // Argument 0: allowed by each of the three conditions.
                Some(Action::AllowIf(_)) => ALLOW,
                None if number > newest => ENOSYS,
                None => EPERM,
            };
            let found = ask(&filter, audit, number + offset, 0);
            assert_eq!(found, expected, "call {number} of {audit:#x}+{offset:#x}");
        }
        assert_eq!(ask(&filter, audit, u32::MAX, 0), ENOSYS);
    }
    assert_eq!(ask(&filter, 0xdead, 0, 0), KILL);
    assert!(
        filter.instructions().len() < 700,
        "{}",
        filter.instructions().len()
    );
}

#[test]
fn every_number_of_every_architecture() {
    check("x86_64");
    check("aarch64");
}

#[test]
fn machines_without_a_table() {
    let error = filter_for("vax", CapabilitySet::EMPTY).unwrap_err();
    assert_eq!(error.to_string(), "no system call filter for vax");
}

#[test]
fn known_calls() {
    #[rustfmt::skip]
    let cases = [
        // name, architecture, number, argument, by default, with all capabilities
        ("read", AUDIT_X86_64, 0, 0, ALLOW, ALLOW),
        ("mount", AUDIT_X86_64, 165, 0, EPERM, ALLOW),
        ("chroot", AUDIT_X86_64, 161, 0, ALLOW, ALLOW),
        ("keyctl", AUDIT_X86_64, 250, 0, EPERM, EPERM),
        ("io_uring_setup", AUDIT_X86_64, 425, 0, EPERM, EPERM),
        ("clone, plain", AUDIT_X86_64, 56, 0x11, ALLOW, ALLOW),
        ("clone, NEWUSER", AUDIT_X86_64, 56, 0x1000_0011, EPERM, ALLOW),
        ("clone, NEWCGROUP", AUDIT_X86_64, 56, 0x0200_0000, EPERM, ALLOW),
        ("clone3", AUDIT_X86_64, 435, 0, ENOSYS, ALLOW),
        ("socket INET6", AUDIT_X86_64, 41, 10, ALLOW, ALLOW),
        ("socket ALG", AUDIT_X86_64, 41, 38, EPERM, EPERM),
        ("socket NFC", AUDIT_X86_64, 41, 39, ALLOW, ALLOW),
        ("socket VSOCK", AUDIT_X86_64, 41, 40, EPERM, EPERM),
        ("socket KCM", AUDIT_X86_64, 41, 41, ALLOW, ALLOW),
        ("socket, high", AUDIT_X86_64, 41, 1 << 40, ALLOW, ALLOW),
        ("personality, query", AUDIT_X86_64, 135, 0xffff_ffff, ALLOW, ALLOW),
        ("personality, 32-bit", AUDIT_X86_64, 135, 8, ALLOW, ALLOW),
        ("personality, no ASLR", AUDIT_X86_64, 135, 0x4_0000, EPERM, EPERM),
        ("personality, high", AUDIT_X86_64, 135, 1 << 32, EPERM, EPERM),
        ("x32 execve", AUDIT_X86_64, 520 + X32_BIT, 0, ALLOW, ALLOW),
        ("x32 mount", AUDIT_X86_64, 165 + X32_BIT, 0, EPERM, ALLOW),
        ("i386 mount", AUDIT_I386, 21, 0, EPERM, ALLOW),
        ("i386 socketcall", AUDIT_I386, 102, 0, ALLOW, ALLOW),
        ("i386 clock_settime64", AUDIT_I386, 404, 0, EPERM, ALLOW),
        ("new", AUDIT_X86_64, 900, 0, ENOSYS, ENOSYS),
        ("aarch64 mount", AUDIT_AARCH64, 40, 0, EPERM, ALLOW),
        ("aarch64 clone, NEWNS", AUDIT_AARCH64, 220, 0x2_0000, EPERM, ALLOW),
        ("arm open", AUDIT_ARM, 5, 0, ALLOW, ALLOW),
        ("arm set_tls", AUDIT_ARM, 0xf_0005, 0, ALLOW, ALLOW),
    ];
    for (name, architecture, number, argument, by_default, with_all) in cases {
        let machine = if matches!(architecture, AUDIT_AARCH64 | AUDIT_ARM) {
            "aarch64"
        } else {
            "x86_64"
        };
        let docker = filter_for(machine, CapabilitySet::DOCKER_DEFAULT).unwrap();
        let all = filter_for(machine, CapabilitySet::from_bits(u64::MAX)).unwrap();
        assert_eq!(
            ask(&docker, architecture, number, argument),
            by_default,
            "{name}"
        );
        assert_eq!(
            ask(&all, architecture, number, argument),
            with_all,
            "{name} with all"
        );
    }
}
