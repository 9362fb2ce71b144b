//! What settings that several daemons have in common do.

use serde_json::Value;

use super::gc;
use super::lowering::Lowering;

/// For what is looked at elsewhere.
pub(super) fn nothing(_: &mut Lowering, _: &Value) -> Result<(), String> {
    Ok(())
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(super) fn debug(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    if value == true {
        lowering.set(&["serve", "log-level"], "debug".into());
    }
    Ok(())
}

/// Levels as logrus has them.
pub(super) fn log_level(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    let level = match text(value) {
        "" => return Ok(()),
        "trace" | "debug" => "debug",
        "info" => "info",
        "warn" | "warning" => "warn",
        "error" | "fatal" | "panic" => "error",
        other => return Err(format!("unsupported log level {other:?}")),
    };
    lowering.set(&["serve", "log-level"], level.into());
    Ok(())
}

pub(super) fn reserved(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    gc::bound(lowering, "reserved-space", value);
    Ok(())
}

pub(super) fn max_used(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    gc::bound(lowering, "max-used-space", value);
    Ok(())
}

pub(super) fn min_free(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    gc::bound(lowering, "min-free-space", value);
    Ok(())
}
