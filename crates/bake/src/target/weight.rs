//! How much room a target takes, about.

use std::collections::BTreeMap;

use super::{Entry, Target};

/// What a string or a list takes beside its bytes.
const EACH: u64 = 16;

impl Target {
    pub(crate) fn weight(&self) -> u64 {
        let single = [
            &self.context,
            &self.dockerfile,
            &self.dockerfile_inline,
            &self.target,
            &self.call,
            &self.network,
            &self.shm_size,
        ];
        let single = single
            .into_iter()
            .flatten()
            .map(|one| text(one))
            .sum::<u64>();
        let lists = [
            &self.annotations,
            &self.inherits,
            &self.no_cache_filter,
            &self.ulimits,
            &self.entitlements,
        ];
        let lists = lists.into_iter().chain(&self.tags).chain(&self.platforms);
        let lists = lists.flatten().map(|one| text(one)).sum::<u64>();
        let maps = [&self.args, &self.contexts, &self.labels, &self.extra_hosts];
        let maps = maps.into_iter().map(pairs).sum::<u64>();
        EACH + text(&self.description) + single + lists + maps + self.entries()
    }

    fn entries(&self) -> u64 {
        let entries = self.cache_from.iter();
        let entries = entries.chain(self.cache_to.iter().flatten());
        let entries = entries.chain(self.output.iter().flatten());
        let entries = entries.map(|Entry { kind, attributes }| text(kind) + pairs(attributes));
        let attests = self.attest.iter();
        let attests = attests.map(|attest| text(&attest.kind) + pairs(&attest.attributes));
        let secrets = self.secret.iter();
        let secrets =
            secrets.map(|secret| text(&secret.id) + text(&secret.src) + text(&secret.env));
        let agents = self.ssh.iter();
        let agents =
            agents.map(|ssh| text(&ssh.id) + ssh.paths.iter().map(|one| text(one)).sum::<u64>());
        entries.chain(attests).chain(secrets).chain(agents).sum()
    }
}

fn text(text: &str) -> u64 {
    EACH + text.len() as u64
}

fn pairs(map: &BTreeMap<String, String>) -> u64 {
    map.iter().map(|(key, value)| text(key) + text(value)).sum()
}
