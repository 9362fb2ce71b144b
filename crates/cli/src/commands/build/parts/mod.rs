//! A build through a builder, in as many parts as it takes nodes. What the parts push becomes one
//! image.

mod index;
mod nodes;
mod part;

use engine::BuildRequest;
use engine::events::{ProgressSender, channel};
use futures_util::future::try_join_all;

use super::elsewhere::{Built, Ended, ask};
use crate::args::build::Build;
use crate::commands::session::{LOG_BYTES, Session};
use crate::error::Error;
use crate::remote::{self, Asked, Host};

use index::{Index, pushed};
pub(in crate::commands) use nodes::Nodes;
use part::{check, of_part, part, pass};

/// What is asked of the nodes for one build.
pub(in crate::commands) struct Parts {
    parts: Vec<Part>,
    index: Option<Index>,
}

struct Part {
    /// The node's name, if there are several.
    name: Option<String>,
    host: Host,
    asked: Asked,
}

impl Parts {
    /// What is asked of the nodes for what `request` asks for, which was typed as `typed`.
    ///
    /// # Errors
    /// It asks for something that no builder can be asked for, or several nodes together.
    pub(in crate::commands) fn of(
        nodes: &Nodes<'_>,
        typed: &Build,
        request: BuildRequest,
        session: &Session<'_, '_>,
    ) -> Result<Self, Error> {
        let shares = nodes.shares(&request.platforms)?;
        let reached = &nodes.builder.nodes;
        if let [share] = shares.as_slice() {
            let node = &reached[share.node];
            let part = Part {
                name: None,
                host: node.host.clone(),
                asked: remote::request(typed, request, session.environment)?,
            };
            return Ok(Self {
                parts: vec![part],
                index: None,
            });
        }
        check(&request)?;
        let names = pushed(&request);
        let parts = shares.into_iter().map(|share| {
            let mut request = request.clone();
            request.platforms = share.platforms;
            let node = &reached[share.node];
            Ok(Part {
                name: Some(node.name.clone()),
                host: node.host.clone(),
                asked: part(remote::request(typed, request, session.environment)?),
            })
        });
        let parts = parts.collect::<Result<_, Error>>()?;
        let index = match names.is_empty() {
            true => None,
            false => Some(Index {
                names,
                options: Box::new(session.engine_options()?),
            }),
        };
        Ok(Self { parts, index })
    }

    /// Asks the nodes, and passes on what they tell; what they say of the result.
    pub(in crate::commands) async fn ask(self, progress: ProgressSender) -> Result<Built, Ended> {
        let each = self.parts.into_iter().map(|part| {
            let progress = progress.clone();
            async move {
                let Some(name) = part.name else {
                    return ask(&part.host, part.asked, progress).await;
                };
                let (sender, receiver) = channel(LOG_BYTES);
                let told = pass(&name, receiver, progress);
                let (built, ()) = tokio::join!(ask(&part.host, part.asked, sender), told);
                built.map_err(|ended| of_part(&name, ended))
            }
        });
        let mut built = try_join_all(each).await?;
        match self.index {
            Some(index) => index.push(&built, &progress).await,
            // As buildx has it, which tells of the first.
            None => Ok(built.swap_remove(0)),
        }
    }
}
