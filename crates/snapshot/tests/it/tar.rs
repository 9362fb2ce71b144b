//! The archive format: what others write, and what we write for others.
