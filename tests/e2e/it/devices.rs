//! Devices of the machine for single steps.

use std::path::PathBuf;

use crate::kiln::{Kiln, Project};

/// A kiln that finds devices in a directory of its own, and that directory.
fn kiln() -> (Kiln, PathBuf) {
    let kiln = Kiln::new();
    let directory = kiln.scratch("cdi");
    kiln.configure(&format!("[cdi]\nspec-dirs = [{:?}]\n", directory.display()));
    (kiln, directory)
}

#[test]
fn nodes_variables_files_and_groups() {
    let (kiln, directory) = kiln();
    let text = directory.join("text");
    std::fs::write(&text, "text of the host\n").unwrap();
    let spec = format!(
        "\
cdiVersion: 0.7.0
kind: v.org/x
containerEdits:
  env: [COMMON=1]
devices:
  - name: a
    containerEdits:
      env: [OWN=a, PATH=/bin]
      additionalGids: [0, 77]
      deviceNodes:
        - {{path: /dev/kiln/nil, hostPath: /dev/null, fileMode: 0640, uid: 7, gid: 8}}
        - {{path: /dev/whole, type: c, major: 1, minor: 7}}
        - {{path: /dev/zero, hostPath: /dev/null}}
        - {{path: /dev/line, type: p}}
      mounts:
        - {{hostPath: {}, containerPath: /usr/share/text, options: [ro, nosuid, nodev, bind]}}
",
        text.display()
    );
    std::fs::write(directory.join("x.yaml"), spec).unwrap();
    let project = Project::of(
        "FROM alpine AS run\n\
         ENV OWN=mine\n\
         RUN --device=v.org/x=a,required <<EOF\n\
         set -e\n\
         stat -c '%n %F %a %u:%g' /dev/kiln/nil /dev/whole /dev/line >/seen\n\
         echo gone >/dev/kiln/nil\n\
         echo full >/dev/whole || echo no space >>/own\n\
         wc -c </dev/zero >>/own\n\
         echo $COMMON $OWN $PATH $(id -G) >>/own\n\
         cat /usr/share/text >>/own\n\
         echo more >>/usr/share/text || echo read-only >>/own\n\
         mknod /dev/own c 1 3 && echo x >/dev/own || echo no nodes >>/own\n\
         EOF\n\
         RUN test ! -e /dev/kiln && test ! -e /usr/share && test \"$OWN\" = mine\n\
         FROM scratch\nCOPY --from=run /seen /own /\n",
    );
    let files = kiln.files(&project, &["--allow", "device=v.org/x=a"]);
    assert_eq!(
        files,
        "own 0644 0:0 = no space\\n0\\n1 a /bin 0 77\\ntext of the host\\nread-only\\nno nodes\\n\n\
         seen 0644 0:0 = \
         /dev/kiln/nil character special file 640 7:8\\n\
         /dev/whole character special file 666 0:0\\n\
         /dev/line fifo 666 0:0\\n\n"
    );
    let held = kiln.build(
        &Project::of("FROM alpine\nUSER 5:6\nRUN --device=v.org/x stat -c '%n %u:%g' /dev/whole\n"),
        &["--allow", "device"],
    );
    assert!(held.contains("/dev/whole 5:6"), "{held}");
    kiln.assert_clean();
}

#[test]
fn what_is_registered_is_part_of_the_key() {
    let (kiln, directory) = kiln();
    let register = |value: &str| {
        let spec = format!(
            r#"{{"cdiVersion": "0.6.0", "kind": "v.org/x", "devices": [
                {{"name": "a", "containerEdits": {{"env": ["V={value}"]}}}}]}}"#
        );
        std::fs::write(directory.join("x.json"), spec).unwrap();
    };
    let project = Project::of("FROM alpine\nRUN --device=v.org/x=a echo \"V is $V\"\n");
    let build = || kiln.build(&project, &["--explain", "--allow", "device"]);
    let without = build();
    assert!(without.contains("V is \n"), "{without}");
    register("1");
    let first = build();
    assert!(first.contains("V is 1"), "{first}");
    assert!(first.contains("device v.org/x=a is new"), "{first}");
    let again = build();
    assert!(
        again.contains("CACHED") && !again.contains("V is 1"),
        "{again}"
    );
    register("2");
    let other = build();
    assert!(other.contains("V is 2"), "{other}");
    let reason = "device v.org/x=a has another value";
    assert!(other.contains(reason), "{other}");
}

#[test]
fn devices_that_a_step_does_not_get() {
    let (kiln, directory) = kiln();
    let spec = r#"{"cdiVersion": "0.6.0", "kind": "v.org/x", "devices": [
        {"name": "a", "containerEdits": {"env": ["V=1"]}},
        {"name": "node", "containerEdits": {"deviceNodes": [{"path": "/dev/kiln", "hostPath": "/dev/null"}]}},
        {"name": "gone", "containerEdits": {"deviceNodes": [{"path": "/dev/kiln-gone"}]}},
        {"name": "hook", "containerEdits": {"hooks": [{"hookName": "prestart", "path": "/x"}]}}]}"#;
    std::fs::write(directory.join("x.json"), spec).unwrap();
    for (run, allow, expected) in [
        (
            "--device=v.org/x=a true",
            "network.host",
            "device v.org/x=a is requested by the build but not allowed; --allow device=v.org/x=a allows it",
        ),
        (
            "--device=v.org/x=a true",
            "device=v.org/x=hook",
            "device v.org/x=a is requested by the build but not allowed; --allow device=v.org/x=a allows it",
        ),
        (
            "--device=v.org/x=b,required true",
            "device",
            "required device \"v.org/x=b\" is not registered (did you mean v.org/x=a?)",
        ),
        (
            "--device=v.org/x=hook true",
            "device",
            "device v.org/x=hook: the hook prestart \"/x\" is not supported: kiln runs nothing outside of a step",
        ),
        (
            "--device=v.org/x=gone true",
            "device",
            "device node /dev/kiln-gone: No such file or directory (os error 2)",
        ),
        (
            "--device=v.org/x=node --mount=type=tmpfs,target=/dev true",
            "device",
            "no device node can be made at /dev/kiln: /dev is a mount of the step's own",
        ),
    ] {
        let project = Project::of(&format!("FROM alpine\nRUN {run}\n"));
        let ran = kiln.try_build(&project, &["--allow", allow]);
        let error = ran.error();
        assert_eq!(
            error,
            format!("ERROR: failed to build: failed to solve: {expected}")
        );
    }
    let project = Project::of("FROM alpine\nRUN --device=gpu test \"$V\" = 1\n");
    kiln.build(&project, &["--allow", "device=v.org/x=a,alias=gpu"]);
    // Nothing runs, so nothing is asked for.
    let project = Project::of("FROM scratch\nRUN --device=gpu,required --security=insecure true\n");
    let checked = kiln.ok(["build", "--check", project.path().to_str().unwrap()]);
    assert!(
        checked.contains("Check complete, no warnings found."),
        "{checked}"
    );
}
