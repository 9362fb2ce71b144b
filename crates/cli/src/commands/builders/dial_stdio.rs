//! `kiln builder dial-stdio`: somebody else's calls to a builder, over standard input and output.

use std::io::{self, Read, Write};

use tokio_util::io::SyncIoBridge;

use crate::args::builders::DialStdio;
use crate::build::plan::asked_platform;
use crate::commands::build::{Nodes, note_use};
use crate::commands::session::{Session, block_on};
use crate::error::{CliError, Error, choice};
use crate::ui;

/// Bytes that are passed on at once.
const PIECE: usize = 1 << 16;

/// Passes bytes on until the builder hangs up; the end of standard input is passed on too.
pub(super) fn run(session: &mut Session<'_, '_>, args: &DialStdio) -> Result<(), Error> {
    if let Some(mode) = args.progress.as_deref()
        && !matches!(mode, "none" | "quiet")
    {
        return Err(choice("--progress", mode, "expected none"));
    }
    let builder = session.builder.take();
    let builder = builder.ok_or_else(|| {
        Error::new("no connection leads to this process, which builds where no builder is named")
            .hint("name one with --builder, as unix://PATH of `kiln serve`")
    })?;
    let platform = asked_platform(args.platform.as_ref(), session.environment)?;
    note_use(session, &builder);
    let nodes = Nodes::new(&builder);
    let host = nodes.host(platform)?;
    block_on(async {
        let connection = client::dial(&host.address, host.way).await?;
        let (from, to) = tokio::io::split(connection);
        let asked = tokio::task::spawn_blocking(move || {
            let mut to = SyncIoBridge::new(to);
            pass(ui::input(), &mut to)?;
            to.shutdown()
        });
        let answered =
            tokio::task::spawn_blocking(move || pass(SyncIoBridge::new(from), ui::stream()));
        // Who asks may be silent for as long as it likes; an error of its side is one of the builder's
        // side as well.
        drop(asked);
        let passed = answered
            .await
            .map_err(|error| Error::new(error.to_string()))?;
        passed.map_err(|error| CliError::Output(error).into())
    })?
}

/// Passes on all that comes, when it comes.
fn pass(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(&piece[..read])?;
        to.flush()?;
    }
}
