//! Errors as one line: what happened, and what caused it.

use super::EngineError;

impl EngineError {
    /// The error and what caused it, in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        match self {
            // It reads as what failed it, whose causes are told too.
            Self::Step { step } => chain(&*step.error),
            _ => chain(self),
        }
    }
}

/// An error and what caused it, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        // Some errors only pass on what another says.
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    text
}
