//! A step that failed, and how its process ended.

use std::sync::Arc;

use graph::{Location, VertexDigest};

use super::EngineError;

/// What is known of a step that failed.
#[derive(Debug, Clone)]
pub struct StepFailure {
    /// The identity of its definition.
    pub vertex: VertexDigest,
    /// As progress shows it.
    pub name: String,
    /// Where it was written.
    pub locations: Vec<Location>,
    /// Why it failed.
    pub error: Arc<EngineError>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessExit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl ProcessExit {
    /// The code by which a shell reports it.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl std::fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code: {}", self.code())
    }
}

/// What is said behind how a process ended.
pub(super) fn after(disconnected: Option<&sandbox::Disconnected>) -> String {
    disconnected.map_or_else(String::new, |lost| format!("; {lost}"))
}
