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

/// The first range is taken for all that is below it, too.
fn search(ranges: &[Range]) -> Vec<Instruction> {
    match ranges.len() {
        0 => vec![plain(RETURN, RETURN_KILL)],
        1..=BLOCK => block(ranges),
        count => {
            let (low, high) = ranges.split_at(count / 2);
            let pivot = high.first().map_or(0, |range| range.start);
            branch(JUMP_GREATER_EQUAL, pivot, search(high), search(low))
        }
    }
}

/// So many ranges that a jump reaches the end of their block, where each outcome stands once.
const BLOCK: usize = 64;

/// A search whose comparisons come first and all outcomes after them.
fn block(ranges: &[Range]) -> Vec<Instruction> {
    let mut outcomes: Vec<(Action, usize)> = Vec::new();
    let mut tail = Vec::new();
    for range in ranges {
        if outcomes.iter().all(|(action, _)| *action != range.action) {
            outcomes.push((range.action, tail.len()));
            tail.extend(outcome(range.action));
        }
    }
    // One comparison fewer than there are ranges.
    let end = ranges.len() - 1;
    let target = |action: Action| {
        outcomes
            .iter()
            .find(|(known, _)| *known == action)
            .map_or(end, |(_, at)| end + at)
    };
    let mut program = Vec::with_capacity(end + tail.len());
    compare(ranges, &target, &mut program);
    if program.is_empty() {
        return tail;
    }
    program.extend(tail);
    program
}

/// Appends the comparisons for `ranges`, of which there are at least two.
fn compare(ranges: &[Range], target: &impl Fn(Action) -> usize, program: &mut Vec<Instruction>) {
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let Some(pivot) = high.first().filter(|_| !low.is_empty()) else {
        return;
    };
    let here = program.len();
    // The lower half's comparisons follow at once, then the upper half's.
    let low_at = if let [one] = low {
        target(one.action)
    } else {
        here + 1
    };
    let high_at = if let [one] = high {
        target(one.action)
    } else {
        here + low.len()
    };
    // Within reach: see `BLOCK`.
    let distance = |to: usize| (to - here - 1) as u8;
    program.push(Instruction {
        code: JUMP_GREATER_EQUAL,
        jump_true: distance(high_at),
        jump_false: distance(low_at),
        operand: pivot.start,
    });
    compare(low, target, program);
    compare(high, target, program);
}

fn outcome(action: Action) -> Vec<Instruction> {
    match action {
        Action::Allow => vec![plain(RETURN, RETURN_ALLOW)],
        Action::Fail(errno) => vec![plain(RETURN, RETURN_ERRNO | u32::from(errno))],
        Action::AllowIf(conditions) => {
            let mut program: Vec<Instruction> = conditions.iter().flat_map(test).collect();
            program.extend(outcome(Action::Fail(EPERM)));
            program
        }
    }
}

/// Allows if the condition holds, else goes on with what follows. The number's high half decides
/// first.
fn test(condition: &Condition) -> Vec<Instruction> {
    // Little-endian: the low half first.
    let low = plain(LOAD, ARGUMENTS + 8 * condition.argument);
    let high = plain(LOAD, ARGUMENTS + 8 * condition.argument + 4);
    let allow = plain(RETURN, RETURN_ALLOW);
    match condition.test {
        Test::Equal(value) => vec![
            high,
            jump(JUMP_EQUAL, high_half(value), 0, 3),
            low,
            jump(JUMP_EQUAL, low_half(value), 0, 1),
            allow,
        ],
        Test::NoneOf(bits) => vec![
            high,
            plain(AND, high_half(bits)),
            jump(JUMP_EQUAL, 0, 0, 4),
            low,
            plain(AND, low_half(bits)),
            jump(JUMP_EQUAL, 0, 0, 1),
            allow,
        ],
        Test::Less(value) => vec![
            high,
            jump(JUMP_GREATER, high_half(value), 4, 0),
            jump(JUMP_EQUAL, high_half(value), 0, 2),
            low,
            jump(JUMP_GREATER_EQUAL, low_half(value), 1, 0),
            allow,
        ],
        Test::Greater(value) => vec![
            high,
            jump(JUMP_GREATER, high_half(value), 3, 0),
            jump(JUMP_EQUAL, high_half(value), 0, 3),
            low,
            jump(JUMP_GREATER, low_half(value), 0, 1),
            allow,
        ],
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

const fn jump(code: u16, operand: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction {
        code,
        jump_true,
        jump_false,
        operand,
    }
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
