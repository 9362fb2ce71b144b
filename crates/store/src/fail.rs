//! Fail points: where a disk may be full or gone while something is written. In builds with debug
//! assertions one of them can be made to fail; a release has none.
//!
//! Who runs a build again and again, each time with another pass of another point failing, has seen
//! what comes of every write.

use std::io;

#[cfg(debug_assertions)]
mod armed {
    use std::io;
    use std::path::PathBuf;
    use std::sync::{Mutex, PoisonError};

    /// The pass that is to fail.
    struct Armed {
        name: String,
        /// Passes until then, this one included.
        left: u64,
        mark: PathBuf,
    }

    static ARMED: Mutex<Option<Armed>> = Mutex::new(None);

    /// Lets the point `name` fail when it is passed the `nth` time from now on, counted from 1. The file
    /// `mark` is made then.
    pub fn arm(name: &str, nth: u64, mark: PathBuf) {
        *ARMED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Armed {
            name: name.to_owned(),
            left: nth,
            mark,
        });
    }

    pub(super) fn passed(name: &str) -> io::Result<()> {
        let mut guard = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(armed) = guard.as_mut().filter(|armed| armed.name == name) else {
            return Ok(());
        };
        armed.left = armed.left.saturating_sub(1);
        if armed.left > 0 {
            return Ok(());
        }
        std::fs::write(&armed.mark, name)?;
        *guard = None;
        let failure = format!("fail point {name:?}");
        Err(io::Error::new(io::ErrorKind::StorageFull, failure))
    }
}

#[cfg(debug_assertions)]
pub use armed::arm;

/// Passes a fail point.
///
/// # Errors
/// It is the one that was asked to fail.
#[inline]
pub fn point(name: &'static str) -> io::Result<()> {
    #[cfg(debug_assertions)]
    armed::passed(name)?;
    // What has no points has no use for their names.
    let _ = name;
    Ok(())
}
