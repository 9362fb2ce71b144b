//! Who starts kiln may ignore signals and hold them back: that is nothing to what kiln starts.

use crate::kiln::{Kiln, Project, command, finish};
use crate::unpacked::is_root;

/// Has processes ended by signals, and says how they ended. A shell leaves alone what it finds
/// ignored.
const ENDS: &str = "for it in HUP PIPE ALRM USR1; do sh -c 'kill -$0 $$' $it; echo $?; done";
const ENDED: &str = "129\n141\n142\n138\n";

/// Runs kiln as `nohup` does, or a shell that has it in the background.
fn deaf(kiln: &Kiln, arguments: &[&str]) -> String {
    let like = kiln.command();
    let mut deaf = command("env");
    deaf.args([
        "--ignore-signal=HUP,INT,QUIT,PIPE,CHLD",
        "--block-signal=ALRM,USR1",
    ]);
    deaf.arg(like.get_program()).args(arguments).env_clear();
    for (name, value) in like.get_envs() {
        deaf.envs(value.map(|value| (name, value)));
    }
    finish(&mut deaf).ok()
}

#[test]
fn processes_have_them_all() {
    let chroot = "[build]\nisolation = \"chroot\"\n";
    // Devices in a chroot are made by root alone.
    let isolations = if is_root() {
        vec!["", chroot]
    } else {
        vec![""]
    };
    for isolation in isolations {
        let kiln = Kiln::configured(isolation);
        let project = Project::of(&format!("FROM alpine\nRUN {{ {ENDS}; }} >/ended\n"));
        let out = kiln.scratch("out");
        let output = format!("type=local,dest={}", out.display());
        let path = project.path().to_str().unwrap();
        deaf(&kiln, &["build", "-q", "-o", &output, path]);
        let told = std::fs::read_to_string(out.join("ended")).unwrap();
        assert_eq!(told, ENDED, "{isolation}");
        let run = ["run", "--rm", "alpine", "sh", "-c", ENDS];
        assert_eq!(deaf(&kiln, &run), ENDED, "{isolation}");
    }
}
