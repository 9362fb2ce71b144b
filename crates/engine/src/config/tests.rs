//! Registries and limits in configuration files.

use super::*;

#[test]
fn registries() {
    let config = Config::parse(
        "[registry.\"docker.io\"]\nmirrors = [\"127.0.0.1:5000\"]\n[registry.\"127.0.0.1:5000\"]\nhttp = true\n",
    )
    .unwrap();
    assert_eq!(config.registry["docker.io"].mirrors, ["127.0.0.1:5000"]);
    assert!(config.registry["127.0.0.1:5000"].http);
    let error = Config::parse("[registry.x]\nhtpp = true\n")
        .unwrap_err()
        .to_string();
    assert!(error.contains("unknown field `htpp`"), "{error}");
}

#[test]
fn limits() {
    let config = Config::parse("[limits]\nparallel-steps = 4\nfree-memory = \"1GB\"\n");
    let limits = config.unwrap().limits;
    assert_eq!(limits.parallel_steps, Some(4));
    assert_eq!(limits.free_memory, Some(Bytes(1 << 30)));
    assert_eq!(limits.archive(), snapshot::Limits::default());
    let text = "[limits]\narchive-entries = 5\narchive-size = \"6KB\"\narchive-ratio = 7\n\
                archive-names = \"8KB\"\narchive-depth = 9\n";
    let archive = Config::parse(text).unwrap().limits.archive();
    let expected = snapshot::Limits {
        entries: 5,
        size: 6 << 10,
        ratio: 7,
        names: 8 << 10,
        depth: 9,
        ..snapshot::Limits::default()
    };
    assert_eq!(archive, expected);
    let text = "[limits.step]\nmemory = \"1GB\"\npids = 7\ncpus = 1.5\ntime = \"5m\"\n";
    let step = Config::parse(text).unwrap().limits.step;
    let expected = Resources {
        kernel: sandbox::GroupLimits {
            memory: Some(1 << 30),
            pids: Some(7),
            cpu_period: Some(100_000),
            cpu_quota: Some(150_000),
            ..sandbox::GroupLimits::default()
        },
        time: Some(std::time::Duration::from_secs(300)),
        ..Resources::default()
    };
    assert_eq!(step, expected);
    let error = Config::parse("[limits.step]\nmemory-swap = \"1GB\"\n").unwrap_err();
    assert!(error.to_string().contains("needs memory beside it"));
    let error = Config::parse("[limits]\nfree-memory = \"much\"\n").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("\"much\" is no size such as 512MB")
    );
}
