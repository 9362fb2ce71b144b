//! Which system calls are allowed: the facts of Docker's default profile.

use sys::capability::CapabilitySet;

/// The table; its header says how it reads.
const SYSCALLS: &str = include_str!("syscalls.txt");

/// `EPERM`.
pub(super) const EPERM: u16 = 1;
/// `ENOSYS`.
pub(super) const ENOSYS: u16 = 38;

/// Numbers from here on are private to arm, outside the order in which calls were added.
const ARM_PRIVATE: u32 = 0xf_0000;

/// What is allowed on one architecture.
#[derive(Debug)]
pub(super) struct Architecture {
    /// The kernel's number for it.
    pub(super) audit: u32,
    /// Added to every number: x32 shares its architecture with x86_64 and marks its calls so.
    pub(super) offset: u32,
    /// By number, rising. What is missing is denied.
    pub(super) rules: Vec<(u32, Action)>,
    /// The largest number that the profile knows; what is beyond does not exist.
    pub(super) newest: u32,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Allow,
    Fail(u16),
    /// Allowed if one of the conditions holds.
    AllowIf(&'static [Condition]),
}

/// On one argument, as an unsigned number of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) argument: u32,
    pub(super) test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Equal(u64),
    Less(u64),
    Greater(u64),
    /// None of these bits is set.
    NoneOf(u64),
}

/// All but `AF_ALG` (38), by which the kernel's crypto is reached, and `AF_VSOCK` (40), which
/// reaches the hypervisor.
const SOCKET: [Condition; 3] = [
    first(Test::Less(38)),
    first(Test::Equal(39)),
    first(Test::Greater(40)),
];

/// Linux and 32-bit Linux, each with its own version number or one of 2.6; and asking what it is.
const PERSONALITY: [Condition; 5] = [
    first(Test::Equal(0)),
    first(Test::Equal(0x8)),
    first(Test::Equal(0x2_0000)),
    first(Test::Equal(0x2_0008)),
    first(Test::Equal(0xffff_ffff)),
];

/// No new namespace.
const CLONE: [Condition; 1] = [first(Test::NoneOf(0x7e02_0000))];

/// A kind of machine: the architectures that its kernel runs, its own first. Each with the kernel's
/// number, what is added to the numbers of its calls, and its column in the table.
struct Machine {
    name: &'static str,
    architectures: &'static [(u32, u32, usize)],
}

const MACHINES: [Machine; 2] = [
    Machine {
        name: "x86_64",
        architectures: &[
            (AUDIT_X86_64, 0, 0),
            (AUDIT_X86_64, X32_BIT, 2),
            (AUDIT_I386, 0, 1),
        ],
    },
    Machine {
        name: "aarch64",
        architectures: &[(AUDIT_AARCH64, 0, 3), (AUDIT_ARM, 0, 4)],
    },
];

/// Marks the calls of x32.
pub(super) const X32_BIT: u32 = 0x4000_0000;
pub(super) const AUDIT_X86_64: u32 = 0xc000_003e;
pub(super) const AUDIT_I386: u32 = 0x4000_0003;
pub(super) const AUDIT_AARCH64: u32 = 0xc000_00b7;
pub(super) const AUDIT_ARM: u32 = 0x4000_0028;

/// What is allowed on each architecture that a machine runs, its own first. Nothing for a machine
/// that the table does not cover.
pub(super) fn architectures(
    machine: &str,
    capabilities: CapabilitySet,
) -> Option<Vec<Architecture>> {
    let machine = MACHINES.iter().find(|known| known.name == machine)?;
    let all = machine
        .architectures
        .iter()
        .map(|(audit, offset, column)| architecture(*audit, *offset, *column, capabilities));
    Some(all.collect())
}

fn architecture(
    audit: u32,
    offset: u32,
    column: usize,
    capabilities: CapabilitySet,
) -> Architecture {
    let mut rules = Vec::new();
    let mut newest = 0;
    for line in SYSCALLS.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let number = words
            .clone()
            .nth(column)
            .and_then(|number| number.parse::<u32>().ok());
        let (Some(number), Some(when)) = (number, words.next_back()) else {
            continue;
        };
        if number < ARM_PRIVATE {
            newest = newest.max(number);
        }
        if let Some(action) = action(name, when, capabilities) {
            rules.push((number, action));
        }
    }
    rules.sort_unstable_by_key(|(number, _)| *number);
    Architecture {
        audit,
        offset,
        rules,
        newest,
    }
}

fn action(name: &str, when: &str, capabilities: CapabilitySet) -> Option<Action> {
    match (name, when) {
        (_, "*") => Some(Action::Allow),
        ("socket", _) => Some(Action::AllowIf(&SOCKET)),
        ("personality", _) => Some(Action::AllowIf(&PERSONALITY)),
        ("clone" | "clone3", _) if capabilities.has("SYS_ADMIN") => Some(Action::Allow),
        ("clone", _) => Some(Action::AllowIf(&CLONE)),
        // Its flags are in memory, where a filter cannot look: so it is said not to exist.
        ("clone3", _) => Some(Action::Fail(ENOSYS)),
        (_, names) => names
            .split('|')
            .any(|name| capabilities.has(name))
            .then_some(Action::Allow),
    }
}

const fn first(test: Test) -> Condition {
    Condition { argument: 0, test }
}
