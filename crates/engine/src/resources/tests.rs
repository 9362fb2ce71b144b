//! Texts to limits, and limits over limits.

use super::*;

/// Each limit that is set, or the error.
fn read(texts: &[&str]) -> String {
    let mut resources = Resources::default();
    for text in texts {
        if let Err(error) = resources.read(text) {
            return error.to_string();
        }
    }
    match resources.check() {
        Err(error) => error.to_string(),
        Ok(()) => shown(&resources),
    }
}

fn shown(resources: &Resources) -> String {
    let number = |name: &str, value: Option<u64>| {
        let value = value.map(|value| match value {
            u64::MAX => "unlimited".to_owned(),
            value => value.to_string(),
        });
        value.map(|value| format!("{name} {value}"))
    };
    let text = |name: &str, value: &Option<String>| Some(format!("{name} {}", value.as_ref()?));
    let all = [
        number("memory", resources.kernel.memory),
        number("swap", resources.kernel.memory_swap),
        number("shares", resources.kernel.cpu_shares),
        number("period", resources.kernel.cpu_period),
        number("quota", resources.kernel.cpu_quota),
        text("cpus", &resources.kernel.cpuset_cpus),
        text("mems", &resources.kernel.cpuset_mems),
        number("pids", resources.kernel.pids),
        resources.time.map(|time| match time {
            Duration::MAX => "time unlimited".to_owned(),
            time => format!("time {time:?}"),
        }),
        number("output", resources.output),
        number("disk", resources.disk),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[test]
fn texts() {
    for (texts, expected) in [
        (&[][..], ""),
        (&["memory=64m"], "memory 67108864"),
        (&["memory=64m", "memory=1g"], "memory 1073741824"),
        (
            &["memory=64m,memory-swap=-1"],
            "memory 67108864, swap unlimited",
        ),
        (
            &["memory-swap=128m", "memory=64m"],
            "memory 67108864, swap 134217728",
        ),
        (&["memory=0,cpus=0,cpu-shares=0"], ""),
        (&["cpus=1.5"], "period 100000, quota 150000"),
        (&["cpus=0.01"], "period 100000, quota 1000"),
        (&["cpu-quota=-1"], "quota unlimited"),
        (
            &["cpu-period=50000,cpu-quota=25000"],
            "period 50000, quota 25000",
        ),
        (&["cpu-shares=512"], "shares 512"),
        (&["cpuset-cpus=0,2-3,pids=5"], "cpus 0,2-3, pids 5"),
        (&["cpuset-mems=0"], "mems 0"),
        (&[" pids = 100 "], "pids 100"),
        (
            &["time=1h30m,output=1m,disk=2g"],
            "time 5400s, output 1048576, disk 2147483648",
        ),
        (
            &[
                "memory=unlimited,pids=unlimited,time=unlimited,output=unlimited,disk=unlimited,cpus=unlimited",
            ],
            "memory unlimited, quota unlimited, pids unlimited, time unlimited, output unlimited, disk unlimited",
        ),
    ] {
        assert_eq!(read(texts), expected, "{texts:?}");
    }
}

#[test]
fn what_is_no_limit() {
    for (text, expected) in [
        ("", "invalid resource \"\", expected key=value"),
        ("memory", "invalid resource \"memory\", expected key=value"),
        (
            "cpu=1",
            "unknown resource \"cpu\": there are memory, memory-swap, cpus, cpu-shares, cpu-period, \
             cpu-quota, cpuset-cpus, cpuset-mems, pids, time, output and disk",
        ),
        (
            "memory=5m",
            "invalid value \"5m\" for resource memory: a size of 6m or more, such as 2g, or unlimited",
        ),
        (
            "memory=lots",
            "invalid value \"lots\" for resource memory: a size of 6m or more, such as 2g, or unlimited",
        ),
        (
            "memory-swap=1g",
            "resource memory-swap is memory and swap together, so it needs memory beside it",
        ),
        (
            "memory=1g,memory-swap=512m",
            "resource memory-swap is memory and swap together, so it cannot be less than memory",
        ),
        (
            "cpus=-1",
            "invalid value \"-1\" for resource cpus: a number of CPUs from 0.01 up, such as 1.5, or unlimited",
        ),
        (
            "cpus=NaN",
            "invalid value \"NaN\" for resource cpus: a number of CPUs from 0.01 up, such as 1.5, or unlimited",
        ),
        (
            "cpu-shares=1",
            "invalid value \"1\" for resource cpu-shares: a number from 2 to 262144",
        ),
        (
            "cpu-period=10",
            "invalid value \"10\" for resource cpu-period: microseconds from 1000 to 1000000",
        ),
        (
            "cpu-quota=999",
            "invalid value \"999\" for resource cpu-quota: microseconds from 1000 up, or unlimited",
        ),
        (
            "cpuset-cpus=2-1",
            "invalid value \"2-1\" for resource cpuset-cpus: numbers and ranges such as 0-2,5",
        ),
        (
            "cpuset-mems=0,,1",
            "invalid value \"0,,1\" for resource cpuset-mems: numbers and ranges such as 0-2,5",
        ),
        (
            "pids=0",
            "invalid value \"0\" for resource pids: a number above 0, or unlimited",
        ),
        (
            "time=10",
            "invalid value \"10\" for resource time: a duration such as 90s or 1h30m, or unlimited",
        ),
        (
            "output=0",
            "invalid value \"0\" for resource output: a size above 0, such as 100m, or unlimited",
        ),
        (
            "disk=-1",
            "invalid value \"-1\" for resource disk: a size above 0, such as 100m, or unlimited",
        ),
    ] {
        assert_eq!(read(&[text]), expected, "{text:?}");
    }
}

#[test]
fn over_the_defaults() {
    let of = |text: &str| {
        let mut resources = Resources::default();
        if !text.is_empty() {
            resources.read(text).unwrap();
        }
        resources
    };
    for (asked, default, expected) in [
        ("", "", ""),
        ("", "pids=5,time=1s", "pids 5, time 1s"),
        ("pids=7", "pids=5,disk=1m", "pids 7, disk 1048576"),
        // With its own swap the default would be less than the memory that is asked for.
        ("memory=2g", "memory=1g,memory-swap=1g", "memory 2147483648"),
        ("cpu-quota=5000", "cpus=2", "quota 5000"),
        (
            "cpuset-cpus=1",
            "cpuset-cpus=0,cpuset-mems=0",
            "cpus 1, mems 0",
        ),
    ] {
        let both = of(asked).or(&of(default));
        assert_eq!(shown(&both), expected, "{asked:?} {default:?}");
    }
}

#[test]
fn no_limit_is_none_to_the_kernel() {
    let mut resources = Resources::default();
    let text = "memory=unlimited,memory-swap=-1,pids=unlimited,cpus=unlimited,time=5s";
    resources.read(text).unwrap();
    assert_eq!(resources.group(), GroupLimits::default());
}

#[test]
fn in_the_words_of_clients() {
    let of = |said: &[(&str, &str)]| {
        let said = said.to_vec();
        Resources::of_clients(|name| {
            let found = said.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    };
    let said = [
        ("memory", "67108864"),
        ("memswap", "-1"),
        ("cpushares", "512"),
        ("cpuperiod", "50000"),
        ("cpuquota", "25000"),
        ("cpusetcpus", "0"),
        ("cpusetmems", "0"),
    ];
    let resources = of(&said).unwrap();
    assert_eq!(
        shown(&resources),
        "memory 67108864, swap unlimited, shares 512, period 50000, quota 25000, cpus 0, mems 0"
    );
    let told = resources.to_clients().unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(told, said);
    // As for Docker, 0 says nothing.
    assert_eq!(
        of(&[("memory", "0"), ("cpuquota", "0")]),
        Ok(Resources::default())
    );
    let error = of(&[("memswap", "1")]).unwrap_err();
    assert_eq!(error, ResourceError::SwapAlone);

    for text in [
        "pids=5",
        "time=1s",
        "output=1m",
        "disk=1m",
        "memory=unlimited",
        "cpus=unlimited",
    ] {
        let mut resources = Resources::default();
        resources.read(text).unwrap();
        assert_eq!(resources.to_clients(), None, "{text}");
    }
}
