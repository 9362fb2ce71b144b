//! What both ends of a connection have in common, whoever of the two listens: certificates from files,
//! calls over a connection that is there already, a connection within a call, which is how a daemon
//! calls its clients, and the messages of the content service, which both of them serve.
//!
//! Nothing here connects or listens, and nothing runs on its own.

mod caller;
mod certificates;
pub mod content;
mod health;
mod tunnel;

/// What BuildKit's own clients and daemon take as one message, in bytes.
pub const MAX_MESSAGE: usize = 16 << 20;

pub use caller::Caller;
pub use certificates::{PemError, authorities, certificates, key};
pub use health::Health;
pub use tunnel::tunnel;
