//! The crate as its users see it: documents in text, and what is made of them.

mod hostile;
