//! How large a graph may become: a short Dockerfile can ask for a great deal by doubling a
//! variable again and again.

use super::error::LowerError;

pub(super) use crate::limits::MAX_GRAPH as MAX_BYTES;

/// What is left to use.
#[derive(Debug, Clone)]
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(MAX_BYTES)
    }
}

impl Budget {
    /// Uses some, or fails.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), LowerError> {
        match self.0.checked_sub(bytes) {
            Some(left) => self.0 = left,
            None => return Err(LowerError::TooLarge),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends() {
        let mut budget = Budget::default();
        assert_eq!(budget.spend(MAX_BYTES), Ok(()));
        let error = budget.spend(1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the build definition has more than 268435456 bytes"
        );
    }
}
