//! How large a Dockerfile may be, and what it may grow to. What is beyond is an error that names
//! the limit; nothing else ends because something is too large.

/// Bytes of a Dockerfile.
pub const MAX_FILE: usize = 16 << 20;

/// Bytes of one line, without its end; the same as BuildKit's.
pub const MAX_LINE: usize = (64 << 10) - 1;

/// Stages of a Dockerfile.
pub const MAX_STAGES: usize = 10_000;

/// Heredocs of one instruction.
pub const MAX_HEREDOCS: usize = 1_000;

/// `ONBUILD` triggers of one base. A trigger cannot be an `ONBUILD`, so they nest one deep.
pub const MAX_TRIGGERS: usize = 10_000;

/// Bytes of a word after its variables are expanded.
pub const MAX_WORD: usize = 1 << 20;

/// How deep `${a:-${b:-…}}` goes.
pub const MAX_WORD_DEPTH: u32 = 64;

/// Bytes of text that a graph may hold.
pub const MAX_GRAPH: usize = 256 << 20;
