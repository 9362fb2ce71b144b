//! The archive format: what others write, what we write for others, and what nobody should.

mod foreign;
mod hostile;
mod layers;
mod raw;
mod writer;
