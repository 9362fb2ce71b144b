//! Containers that the kernel holds to what they may take.

use serde_json::{Value, json};

use crate::groups::can_limit;
use crate::kiln::{Kiln, Project, finish};
use crate::place::Place;
use crate::serving::Daemon;

const HOG: [&str; 5] = ["dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"];
const BOMB: &str = "b() { b | b & b; }; b";

fn kiln() -> Kiln {
    let kiln = Kiln::new();
    kiln.ok(["pull", "-q", "alpine"]);
    kiln
}

fn inspected(kiln: &Kiln, name: &str) -> Value {
    let text = kiln.ok(["container", "inspect", name]);
    serde_json::from_str::<Value>(&text).unwrap()[0].clone()
}

#[test]
fn without_memory_or_processes() {
    if !can_limit() {
        return;
    }
    let kiln = kiln();
    let limits = ["run", "--name", "hog", "-m", "64m", "--memory-swap", "64m"];
    let ran = kiln.run([&limits[..], &["alpine"], &HOG].concat());
    assert_eq!(ran.code, 137, "{}", ran.stderr);
    let state = &inspected(&kiln, "hog")["State"];
    assert_eq!(state["OOMKilled"], true, "{state:#}");
    assert_eq!(state["ExitCode"], 137, "{state:#}");
    // Killed in another way, with a limit and without.
    let exit = ["alpine", "sh", "-c", "exit 137"];
    kiln.run([&["run", "--name", "other", "-m", "64m"], &exit[..]].concat());
    assert_eq!(inspected(&kiln, "other")["State"]["OOMKilled"], false);
    // It ends, and nothing of it is left.
    let arguments = [
        "run",
        "--rm",
        "--pids-limit",
        "30",
        "alpine",
        "sh",
        "-c",
        BOMB,
    ];
    let ran = kiln.run(arguments);
    assert!(ran.code != 0, "{}", ran.stderr);
    kiln.assert_clean();
}

#[test]
fn limits_are_seen_inside_and_told() {
    if !can_limit() {
        return;
    }
    let kiln = kiln();
    let script = "cd /sys/fs/cgroup && if test -e cgroup.controllers; then cat cpu.max pids.max; \
                  else cat cpu/cpu.cfs_quota_us pids/pids.max; fi; ulimit -n; ulimit -Hn; \
                  df -k /dev/shm | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2";
    let limits = [
        "--name=one",
        "--cpus=1.5",
        "-c=512",
        "--pids-limit=77",
        "--cpuset-cpus=0",
        "--memory=64m",
        "--ulimit=nofile=100:200",
        "--shm-size=32m",
    ];
    let all = [&["run"], &limits[..], &["alpine", "sh", "-c", script]].concat();
    let seen = kiln.ok(all);
    let quota = match std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        true => "150000 100000",
        false => "150000",
    };
    assert_eq!(seen, format!("{quota}\n77\n100\n200\n32768\n"));
    let told = &inspected(&kiln, "one")["HostConfig"];
    for (field, expected) in [
        ("Memory", json!(67_108_864)),
        ("MemorySwap", json!(134_217_728)),
        ("NanoCpus", json!(1_500_000_000)),
        ("CpuQuota", json!(0)),
        ("CpuShares", json!(512)),
        ("CpusetCpus", json!("0")),
        ("PidsLimit", json!(77)),
        ("ShmSize", json!(33_554_432)),
        (
            "Ulimits",
            json!([{"Name": "nofile", "Hard": 200, "Soft": 100}]),
        ),
    ] {
        assert_eq!(told[field], expected, "{field}: {told:#}");
    }
    let unlimited = ["--memory=0", "--memory-swap=-1", "--pids-limit=-1"];
    let all = [&["create", "--name=two"], &unlimited[..], &["alpine"]].concat();
    let error = kiln.run(all).error();
    assert!(error.contains("needs memory beside it"), "{error}");
    let error = kiln.run(["create", "--cpus=1", "--cpu-quota=5000", "alpine"]);
    assert!(error.stderr.contains("they do not go together"));
    let error = kiln.run(["run", "--memory=1k", "alpine"]);
    let expected = "invalid argument \"1k\" for \"--memory\" flag: ";
    assert!(error.stderr.contains(expected), "{}", error.stderr);
}

#[test]
fn containers_of_the_daemon() {
    if !can_limit() {
        return;
    }
    let daemon = Daemon::new();
    let pulled = daemon.ask("POST /images/create?fromImage=alpine&tag=latest", b"");
    assert_eq!(pulled.status, 200, "{}", pulled.text());
    let create = |name: &str, what: &Value| {
        let line = format!("POST /containers/create?name={name}");
        daemon.ask(&line, what.to_string().as_bytes())
    };
    let limits = json!({"Memory": 67_108_864, "MemorySwap": 67_108_864, "PidsLimit": 50,
        "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}]});
    let created = create(
        "hog",
        &json!({"Image": "alpine", "Cmd": HOG, "HostConfig": limits}),
    );
    assert_eq!(created.status, 201, "{}", created.text());
    let post = |path: &str| daemon.ask(&format!("POST /containers/hog/{path}"), b"");
    assert_eq!(post("start").status, 204);
    assert_eq!(post("wait").json()["StatusCode"], 137);
    let told = daemon.ask("GET /containers/hog/json", b"").json();
    assert_eq!(told["State"]["OOMKilled"], true, "{told:#}");
    for field in ["Memory", "MemorySwap", "PidsLimit", "Ulimits"] {
        assert_eq!(told["HostConfig"][field], limits[field], "{told:#}");
    }
    // The same asked for by kiln's own client.
    let host = format!("unix://{}", daemon.socket.display());
    let mut through = daemon.kiln.command();
    through
        .env("KILN_HOST", host)
        .args(["run", "--name=mine", "-m=64m"]);
    let limits = ["--memory-swap=64m", "--cpus=0.5", "--ulimit=nofile=64"];
    let ran = finish(through.args(limits).arg("alpine").args(HOG));
    assert_eq!(ran.code, 137, "{}", ran.stderr);
    let told = daemon.ask("GET /containers/mine/json", b"").json();
    assert_eq!(told["State"]["OOMKilled"], true, "{told:#}");
    assert_eq!(told["HostConfig"]["NanoCpus"], 500_000_000, "{told:#}");
    let refused = create(
        "two",
        &json!({"Image": "alpine", "HostConfig": {"Memory": 1000}}),
    );
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("6m or more"), "{}", refused.text());
    daemon.stop();
}

#[test]
fn refused_where_there_are_no_groups() {
    let places = [Place::subordinate(), Place::single(), Place::container()];
    for place in places.into_iter().flatten() {
        let kiln = Kiln::in_place(place);
        kiln.build(&Project::of("FROM alpine\n"), &["-t", "base"]);
        for (flag, limit) in [
            ("-m=64m", "memory"),
            ("--cpus=1", "cpus"),
            ("--pids-limit=9", "pids"),
        ] {
            for command in ["run", "create"] {
                let error = kiln.run([command, flag, "base", "true"]).error();
                let expected = format!("the limit {limit:?} cannot be had here: ");
                assert!(error.contains(&expected), "{error}");
                assert!(
                    error.contains("start kiln where it may make some"),
                    "{error}"
                );
            }
        }
        let open = [
            "run",
            "--rm",
            "--ulimit",
            "nofile=64",
            "base",
            "sh",
            "-c",
            "ulimit -n",
        ];
        assert_eq!(kiln.ok(open), "64\n");
    }
}
