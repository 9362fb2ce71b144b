//! How large a definition may be. BuildKit bounds messages alone, to 16 MiB.

/// Bytes of a definition.
pub const BYTES: usize = 16 << 20;

/// Ops of a definition, with all definitions that build ops lead to.
pub const OPS: usize = 20_000;

/// Inputs, mounts or actions of one op.
pub const PARTS: usize = 10_000;

/// Inputs, mounts and actions of all ops together.
pub const ALL_PARTS: usize = 500_000;

/// Definitions within one another.
pub const DEPTH: usize = 8;

/// Bytes of a name that is made of the names of inputs.
pub(crate) const NAME: usize = 200;
