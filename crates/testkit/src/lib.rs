//! What tests need and no product has: scratch directories, trees as text, a fake registry.
