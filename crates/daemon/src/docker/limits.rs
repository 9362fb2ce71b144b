//! What a container may take, in Docker's words.

use api::docker::HostConfig;
use engine::{MoreSettings, Resources, Ulimit};

use crate::answer::Refusal;

/// Billionths in one.
const BILLION: i64 = 1_000_000_000;

/// Puts the limits that were asked for where the engine takes them from.
pub(super) fn limit(host: &HostConfig, more: &mut MoreSettings) -> Result<(), Refusal> {
    let resources = resources(host)?;
    more.nano_cpus = host.nano_cpus.unsigned_abs();
    more.limits = resources.kernel;
    let ulimits = host.ulimits.iter().flatten();
    more.ulimits = ulimits
        .map(|asked| Ulimit {
            name: asked.name.clone(),
            soft: asked.soft,
            hard: asked.hard,
        })
        .collect();
    Ok(())
}

fn resources(host: &HostConfig) -> Result<Resources, Refusal> {
    if host.nano_cpus != 0 && (host.cpu_period, host.cpu_quota) != (0, 0) {
        let text = "Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set";
        return Err(Refusal::bad(text));
    }
    if host.nano_cpus < 0 {
        let text = "invalid NanoCpus: expected billionths of a CPU, and no fewer than none";
        return Err(Refusal::bad(text));
    }
    let mut resources = Resources::default();
    let mut set = |key, value: String| {
        let set = resources.set(key, &value);
        set.map_err(|error| Refusal::bad(error.to_string()))
    };
    // All swap that there is, without a word on memory, is no limit.
    let is_unlimited = host.memory == 0 && host.memory_swap == -1;
    for (key, number) in [
        ("memory", host.memory),
        (
            "memory-swap",
            if is_unlimited { 0 } else { host.memory_swap },
        ),
        ("cpu-shares", host.cpu_shares),
        ("cpu-period", host.cpu_period),
        ("cpu-quota", host.cpu_quota),
        ("pids", host.pids_limit.unwrap_or_default().max(0)),
    ] {
        if number != 0 {
            set(key, number.to_string())?;
        }
    }
    if host.nano_cpus != 0 {
        let (whole, rest) = (host.nano_cpus / BILLION, host.nano_cpus % BILLION);
        set("cpus", format!("{whole}.{rest:09}"))?;
    }
    for (key, list) in [
        ("cpuset-cpus", &host.cpuset_cpus),
        ("cpuset-mems", &host.cpuset_mems),
    ] {
        if !list.is_empty() {
            set(key, list.clone())?;
        }
    }
    let check = resources.check();
    check.map_err(|error| Refusal::bad(error.to_string()))?;
    Ok(resources)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(document: &str) -> String {
        let host = serde_json::from_str(document).unwrap();
        match resources(&host) {
            Ok(Resources { kernel, .. }) => {
                let numbers = [
                    kernel.memory,
                    kernel.memory_swap,
                    kernel.cpu_shares,
                    kernel.cpu_period,
                    kernel.cpu_quota,
                    kernel.pids,
                ];
                let numbers = numbers.map(|number| number.map_or("-".into(), |n| n.to_string()));
                let lists = [kernel.cpuset_cpus, kernel.cpuset_mems];
                let lists = lists.map(Option::unwrap_or_default);
                format!("{} {}", numbers.join(" "), lists.join(" "))
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn dockers_words() {
        let all = u64::MAX;
        for (document, expected) in [
            ("{}", "- - - - - -  ".to_owned()),
            (
                r#"{"Memory":67108864,"MemorySwap":-1,"PidsLimit":-1,"CpuQuota":-1}"#,
                format!("67108864 {all} - - {all} -  "),
            ),
            (r#"{"MemorySwap":-1,"PidsLimit":0}"#, "- - - - - -  ".into()),
            (
                r#"{"NanoCpus":1500000000,"CpuShares":512,"PidsLimit":30,"CpusetCpus":"0,2"}"#,
                "- - 512 100000 150000 30 0,2 ".into(),
            ),
            (
                r#"{"NanoCpus":1,"CpuQuota":1000}"#,
                "Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set".into(),
            ),
            (
                r#"{"NanoCpus":-500000000}"#,
                "invalid NanoCpus: expected billionths of a CPU, and no fewer than none".into(),
            ),
            (
                r#"{"Memory":1}"#,
                "invalid value \"1\" for resource memory: a size of 6m or more, such as 2g, or \
                 unlimited"
                    .into(),
            ),
            (
                r#"{"MemorySwap":67108864}"#,
                "resource memory-swap is memory and swap together, so it needs memory beside it"
                    .into(),
            ),
        ] {
            assert_eq!(told(document), expected, "{document}");
        }
    }
}
