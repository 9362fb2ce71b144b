//! The kernel's machine for filters, as far as ours use it: to see what a filter says of a call
//! without making it.

use sys::seccomp::Filter;

/// A call as a filter sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) architecture: u32,
    pub(super) arguments: [u64; 6],
}

impl Call {
    fn word(self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.architecture,
            16.. => {
                let argument = self.arguments[((offset - 16) / 8) as usize];
                if offset.is_multiple_of(8) {
                    argument as u32
                } else {
                    (argument >> 32) as u32
                }
            }
            _ => panic!("load of {offset}"),
        }
    }
}

/// What the filter returns.
pub(super) fn run(filter: &Filter, call: Call) -> u32 {
    let program = filter.instructions();
    let (mut accumulator, mut at) = (0, 0);
    loop {
        let instruction = program[at];
        let operand = instruction.operand;
        at += 1;
        let holds = match instruction.code {
            0x20 => {
                accumulator = call.word(operand);
                continue;
            }
            0x54 => {
                accumulator &= operand;
                continue;
            }
            0x05 => {
                at += operand as usize;
                continue;
            }
            0x06 => return operand,
            0x15 => accumulator == operand,
            0x25 => accumulator > operand,
            0x35 => accumulator >= operand,
            code => panic!("instruction {code:#x}"),
        };
        at += usize::from(if holds {
            instruction.jump_true
        } else {
            instruction.jump_false
        });
    }
}
