//! From what is allowed to the kernel's instructions.
//!
//! ```text
//! load the architecture; to its search, or kill if it is none of ours
//! per architecture: load the number; x32 among x86_64's is told by a bit of it
//! a binary search over ranges of numbers with the same outcome, ending in a return or in the
//! tests of a call's arguments
//! ```
//! Parts are built back to front: a conditional jump reaches 255 instructions, so a farther branch
//! goes by way of a plain jump.

use sys::seccomp::{Filter, FilterSize, Instruction};

use super::profile::{Action, Architecture, Condition, ENOSYS, EPERM, Test};

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

const RETURN_ALLOW: u32 = 0x7fff_0000;
const RETURN_ERRNO: u32 = 0x0005_0000;
const RETURN_KILL: u32 = 0x8000_0000;

/// Offsets in what the filter sees of a call.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// A range of numbers from `start` up to the next range's, with one outcome.
struct Range {
    start: u32,
    action: Action,
}

/// Compiles; those that share a kernel architecture follow one another, the one without an offset
/// first.
pub(super) fn compile(architectures: &[Architecture]) -> Result<Filter, FilterSize> {
    let mut program = vec![plain(RETURN, RETURN_KILL)];
    let mut rest = architectures;
    let mut groups = Vec::new();
    while let Some(one) = rest.first() {
        let (group, others) = rest.split_at(
            rest.iter()
                .take_while(|other| other.audit == one.audit)
                .count(),
        );
        groups.push((one.audit, group));
        rest = others;
    }
    for (audit, group) in groups.into_iter().rev() {
        let search = calls(group);
        program = branch(JUMP_EQUAL, audit, search, program);
    }
    program.insert(0, plain(LOAD, ARCHITECTURE));
    Filter::new(program)
}

/// The calls of all that share one kernel architecture.
fn calls(group: &[Architecture]) -> Vec<Instruction> {
    let mut ranges = Vec::new();
    for architecture in group {
        add_ranges(architecture, &mut ranges);
    }
    let mut program = vec![plain(LOAD, NUMBER)];
    program.extend(search(&ranges));
    program
}

fn add_ranges(architecture: &Architecture, ranges: &mut Vec<Range>) {
    let Architecture {
        offset,
        rules,
        newest,
        ..
    } = architecture;
    let mut push = |start: u32, action: Action| {
        let same = ranges
            .last()
            .is_some_and(|last: &Range| last.action == action);
        if !same {
            ranges.push(Range { start, action });
        }
    };
    let denied = |number: u32| Action::Fail(if number > *newest { ENOSYS } else { EPERM });
    let mut next = 0;
    for (number, action) in rules {
        if *number > next {
            push(offset + next, denied(next));
            // Private numbers come after a gap that starts out denied and ends not existing.
            if *number > newest + 1 && next <= *newest {
                push(offset + newest + 1, Action::Fail(ENOSYS));
            }
        }
        push(offset + number, *action);
        next = number + 1;
    }
    if next <= *newest {
        push(offset + next, Action::Fail(EPERM));
    }
    push(offset + next.max(newest + 1), Action::Fail(ENOSYS));
}

/// `ranges` is not empty; the first one is taken for all that is below.
fn search(ranges: &[Range]) -> Vec<Instruction> {
    match ranges {
        [] => vec![plain(RETURN, RETURN_KILL)],
        [one] => outcome(one.action),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let pivot = high.first().map_or(0, |range| range.start);
            branch(JUMP_GREATER_EQUAL, pivot, search(high), search(low))
        }
    }
}

fn outcome(action: Action) -> Vec<Instruction> {
    match action {
        Action::Allow => vec![plain(RETURN, RETURN_ALLOW)],
        Action::Fail(errno) => vec![plain(RETURN, RETURN_ERRNO | u32::from(errno))],
        Action::AllowIf(conditions) => {
            let denied = outcome(Action::Fail(EPERM));
            conditions
                .iter()
                .rev()
                .fold(denied, |otherwise, condition| test(condition, &otherwise))
        }
    }
}

/// Allows if the condition holds, else goes on with `otherwise`. The number's high half decides
/// first.
fn test(condition: &Condition, otherwise: &[Instruction]) -> Vec<Instruction> {
    // Little-endian: the low half first.
    let low = ARGUMENTS + 8 * condition.argument;
    let high = low + 4;
    let allow = || vec![plain(RETURN, RETURN_ALLOW)];
    let otherwise = || otherwise.to_vec();
    let with = |load: Vec<Instruction>, then: Vec<Instruction>| [load, then].concat();
    match condition.test {
        Test::Equal(value) => {
            let low = with(
                vec![plain(LOAD, low)],
                branch(JUMP_EQUAL, low_half(value), allow(), otherwise()),
            );
            with(
                vec![plain(LOAD, high)],
                branch(JUMP_EQUAL, high_half(value), low, otherwise()),
            )
        }
        Test::NoneOf(bits) => {
            let low = with(
                vec![plain(LOAD, low), plain(AND, low_half(bits))],
                branch(JUMP_EQUAL, 0, allow(), otherwise()),
            );
            with(
                vec![plain(LOAD, high), plain(AND, high_half(bits))],
                branch(JUMP_EQUAL, 0, low, otherwise()),
            )
        }
        Test::Less(value) => {
            let low = with(
                vec![plain(LOAD, low)],
                branch(JUMP_GREATER_EQUAL, low_half(value), otherwise(), allow()),
            );
            let equal = branch(JUMP_EQUAL, high_half(value), low, allow());
            with(
                vec![plain(LOAD, high)],
                branch(JUMP_GREATER, high_half(value), otherwise(), equal),
            )
        }
        Test::Greater(value) => {
            let low = with(
                vec![plain(LOAD, low)],
                branch(JUMP_GREATER, low_half(value), allow(), otherwise()),
            );
            let equal = branch(JUMP_EQUAL, high_half(value), low, otherwise());
            with(
                vec![plain(LOAD, high)],
                branch(JUMP_GREATER, high_half(value), allow(), equal),
            )
        }
    }
}

/// Goes to `then` if the comparison holds, else to `otherwise`, which follows at once.
fn branch(
    code: u16,
    operand: u32,
    then: Vec<Instruction>,
    otherwise: Vec<Instruction>,
) -> Vec<Instruction> {
    let mut program = Vec::with_capacity(then.len() + otherwise.len() + 2);
    match u8::try_from(otherwise.len()) {
        Ok(distance) => {
            program.push(Instruction {
                code,
                jump_true: distance,
                jump_false: 0,
                operand,
            });
        }
        Err(_) => {
            program.push(Instruction {
                code,
                jump_true: 0,
                jump_false: 1,
                operand,
            });
            // A program is at most 4096 instructions long.
            program.push(plain(JUMP, otherwise.len() as u32));
        }
    }
    program.extend(otherwise);
    program.extend(then);
    program
}

const fn plain(code: u16, operand: u32) -> Instruction {
    Instruction {
        code,
        jump_true: 0,
        jump_false: 0,
        operand,
    }
}

const fn low_half(value: u64) -> u32 {
    value as u32
}

const fn high_half(value: u64) -> u32 {
    (value >> 32) as u32
}
