//! The filter that makes the kernel ask.

use sys::seccomp::{Call, Filter, FilterSize, Instruction, When};

const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const JUMP_IF_SET: u16 = 0x45;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const ASK: u32 = 0x7fc0_0000;

/// Offsets in what the filter sees of a call.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Numbers from here on are x32's.
const X32: u32 = 0x4000_0000;
#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;

/// Asks about every [`Call`] when it matters; if processes do not begin as root, about all that open
/// a file. Programs for other kinds of machine are not asked about.
pub(super) fn filter(begins_as_root: bool) -> Result<Filter, FilterSize> {
    let mut program = vec![
        load(ARCHITECTURE),
        test(JUMP_EQUAL, NATIVE, 1, 0),
        plain(RETURN, ALLOW),
        load(NUMBER),
        test(JUMP_GREATER_EQUAL, X32, 0, 1),
        plain(RETURN, ALLOW),
    ];
    for (number, call) in Call::all() {
        let when = match call.when() {
            When::Bits(..) if !begins_as_root => When::Always,
            when => when,
        };
        program.extend(asking(number, when));
    }
    program.push(plain(RETURN, ALLOW));
    Filter::new(program)
}

/// Goes on with what follows if it is another call.
fn asking(number: u32, when: When) -> Vec<Instruction> {
    let (argument, matters) = match when {
        When::Always => return vec![test(JUMP_EQUAL, number, 0, 1), plain(RETURN, ASK)],
        When::Bits(argument, bits) => (argument, test(JUMP_IF_SET, bits, 0, 1)),
        When::Equal(argument, value) => (argument, test(JUMP_EQUAL, value, 0, 1)),
    };
    vec![
        test(JUMP_EQUAL, number, 0, 4),
        load(ARGUMENTS + 8 * argument as u32),
        matters,
        plain(RETURN, ASK),
        plain(RETURN, ALLOW),
    ]
}

const fn load(offset: u32) -> Instruction {
    plain(LOAD, offset)
}

const fn plain(code: u16, operand: u32) -> Instruction {
    test(code, operand, 0, 0)
}

const fn test(code: u16, operand: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction {
        code,
        jump_true,
        jump_false,
        operand,
    }
}
