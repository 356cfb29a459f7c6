//! Programs that `record` starts: they are as if the shell had started them.

mod record_kit;
mod support;

use record_kit::{Folder, KillOnDrop, Running, folded, modern, samples, total, until, with};
use rustix::process::Signal;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use support::{interpreters, py_spy, run, run_py_spy};

/// What the child that py-spy started says about itself.
#[track_caller]
fn child_facts(stdout: &str) -> Value {
    // On a terminal a progress line may stand before it.
    let line = stdout.lines().find_map(|line| Some(line.split_once("CHILD ")?.1.trim_end()));
    serde_json::from_str(line.unwrap_or_else(|| panic!("the child said nothing: {stdout:?}")))
        .unwrap()
}

/// `record ... -- python record_child.py ARGS`.
fn spawning(args: &[&str], child: &[&str]) -> Vec<String> {
    let script = support::target::script_path("record_child.py");
    let python = [modern().path.to_str().unwrap(), script.to_str().unwrap()];
    let all = [&["record"], args, &["--"], &python, child].concat();
    all.into_iter().map(str::to_owned).collect()
}

/// A program of ours has our stdin, stdout, stderr, folder and signals, and gives us its
/// status.
#[test]
fn a_spawned_program_is_like_one_started_by_the_shell() {
    let ends =
        [(["exit", "0"], 0), (["exit", "7"], 7), (["kill", "15"], 143), (["kill", "9"], 137)];
    for (end, status) in ends {
        // It may compute while py-spy has no processor.
        until("a recording with more than 10 samples", || {
            let folder = Folder::new();
            let out = folder.file("out.txt");
            let args = spawning(&["-r", "200", "-o", &out], &["0.3", end[0], end[1]]);
            let run = run(py_spy(&args).current_dir(folder.path()));
            assert_eq!(run.code(), Some(status), "{}", run.stderr);
            let facts = child_facts(&run.stdout);
            assert_eq!(run.stdout.lines().count(), 1, "only the child's: {}", run.stdout);
            assert!(run.stderr.contains("child's stderr\n"), "{}", run.stderr);
            assert_eq!(facts["cwd"].as_str(), folder.path().canonicalize().unwrap().to_str());
            assert_eq!(
                (&facts["blocked"], &facts["interrupt"]),
                (&serde_json::json!([]), &true.into())
            );
            let found = folded(&folder.read("out.txt"));
            assert_eq!(total(&found), samples(&run.stderr));
            (with(&found, "compute (") > 10).then_some(())
        });
    }
    let mut recording = Running::start(py_spy(spawning(&["-o", "/dev/null"], &["0.1", "echo"])));
    recording.send("for the child");
    recording.close_stdin();
    let done = recording.wait();
    assert_eq!(child_facts(&done.stdout)["stdin"], "for the child", "{}", done.stderr);
}

/// The end of the recording is not the end of a program of ours.
#[test]
fn a_spawned_program_outlives_the_recording() {
    let folder = Folder::new();
    let out = folder.file("out.txt");
    // By itself it goes on for 1000 seconds.
    let mut recording = Running::start(py_spy(spawning(&["-o", &out], &["1000", "exit", "0"])));
    until("the child's line", || {
        let said = recording.stdout();
        said.contains("CHILD ").then_some(()).filter(|()| said.ends_with('\n'))
    });
    let child = child_facts(&recording.stdout())["pid"].as_i64().unwrap() as i32;
    let _kill = KillOnDrop(child);
    recording.wait_sampling();
    until("more than 10 samples", || {
        // Each signal writes what there is so far.
        recording.signal(Signal::USR1);
        let text = std::fs::read_to_string(&out).ok()?;
        (with(&folded(&text), "compute (") > 10).then_some(())
    });
    recording.signal(Signal::TERM);
    let done = recording.wait();
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert!(
        "RS".contains(support::target::state(child)),
        "the child is {}",
        support::target::state(child)
    );
    assert!(with(&folded(&folder.read("out.txt")), "compute (") > 10);
}

/// It keeps the terminal, on which progress is shown; Ctrl-C there ends both.
#[test]
fn a_terminal_is_shared_and_shows_progress() {
    let folder = Folder::new();
    let out = folder.file("out.txt");
    let args = spawning(&["-r", "50", "-o", &out], &["1000", "exit", "0"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut terminal = Running::on_terminal(&args);
    until("the child", || terminal.stdout().contains("child's stderr").then_some(()));
    // The line is renewed in place: a number of samples that grows.
    let shown = |text: &str| -> Vec<u64> {
        let lines = text.split(['\r', '\n']).filter_map(|line| line.strip_prefix("py-spy> "));
        lines
            .filter(|line| line.contains(" a second"))
            .filter_map(|line| line.split(' ').next()?.parse().ok())
            .collect()
    };
    // Before the child said something its interpreter started, which may be most of them.
    let before = shown(&terminal.stdout()).last().copied().unwrap_or(0);
    until("progress", || {
        let counts = shown(&terminal.stdout());
        assert!(counts.is_sorted(), "{counts:?}");
        (counts.len() >= 3 && counts.last() > Some(&(before + 60))).then_some(())
    });
    terminal.send("\u{3}");
    let done = terminal.wait();
    let facts = child_facts(&done.stdout);
    assert_eq!((&facts["terminal"], &facts["foreground"]), (&true.into(), &true.into()));
    let child = facts["pid"].as_i64().unwrap() as i32;
    until("the child's end by its own signal", || {
        "XZ".contains(support::target::state(child)).then_some(())
    });
    let found = folded(&folder.read("out.txt"));
    assert_eq!(total(&found), samples(&done.stdout.replace('\r', "")));
    assert!(with(&found, "compute (") > 10);
}

/// Under sudo a program of ours runs as the one who called sudo, in all of their groups.
#[test]
fn under_sudo_the_program_runs_as_the_caller() {
    let id = |args: &[&str]| run(Command::new("id").args(args)).ok().stdout.trim().to_owned();
    assert_eq!(id(&["-u"]), "0", "this test must run as root, as in a container");
    // Someone in more groups than one, if there is such a user.
    let group = std::fs::read_to_string("/etc/group").unwrap();
    let mut member = group.lines().filter_map(|line| line.split(':').nth(3)?.split(',').next());
    let user =
        member.rfind(|name| !name.is_empty() && *name != "root").unwrap_or("nobody").to_owned();
    let [uid, gid] = [id(&["-u", &user]), id(&["-g", &user])];
    let mut groups: Vec<i64> =
        id(&["-G", &user]).split(' ').map(|group| group.parse().unwrap()).collect();
    groups.sort();
    // An interpreter that everybody may run, and a script that everybody may read.
    let python = interpreters()
        .iter()
        .find(|one| one.at_least(3, 3) && one.path.starts_with("/usr/bin"))
        .map_or("/usr/bin/python3".into(), |one| one.path.clone());
    let folder = Folder::new();
    let (script, out) = (folder.file("child.py"), folder.file("out.txt"));
    std::fs::copy(support::target::script_path("record_child.py"), &script).unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let python = python.to_str().unwrap();
    // It may compute while py-spy has no processor.
    until("a recording with more than 10 samples", || {
        let fixed = ["record", "-r", "200", "-o", &out, "--"];
        let program = [python, &script, "0.3", "exit", "3"];
        let mut command = py_spy(fixed.iter().chain(&program));
        command.env("SUDO_USER", &user).env("SUDO_UID", &uid).env("SUDO_GID", &gid);
        let run = run(command.current_dir("/"));
        assert_eq!(run.code(), Some(3), "{}", run.stderr);
        let facts = child_facts(&run.stdout);
        // Real, effective and saved.
        let three = |id: &str| Value::from(vec![id.parse::<i64>().unwrap(); 3]);
        assert_eq!(facts["uid"], three(&uid), "{user}");
        assert_eq!(facts["gid"], three(&gid), "{user}");
        assert_eq!(facts["groups"], serde_json::json!(groups), "{user}");
        (with(&folded(&folder.read("out.txt")), "compute (") > 10).then_some(())
    });
}

/// Programs that cannot be started or are no Python.
#[test]
fn what_cannot_be_recorded_is_said() {
    for program in ["/nonexistent/program", "no-such-program-anywhere", "/etc/passwd", "/"] {
        let run = run_py_spy(["record", "-o", "/dev/null", "--", program]);
        assert_eq!(run.code(), Some(1), "{program}: {}", run.stderr);
        assert!(
            run.stderr.starts_with("Error: ") && run.stderr.contains(program),
            "{program}: {}",
            run.stderr
        );
    }
    // A program that ends before it could be looked at gives its status.
    let run = run_py_spy(["record", "-o", "/dev/null", "--", "/bin/sh", "-c", "exit 9"]);
    assert_eq!(run.code(), Some(9), "{}", run.stderr);
    let mut command = Command::new("sleep");
    command.arg("1000");
    let sleep = Running::start(command);
    let run = run_py_spy(["record", "-o", "/dev/null", "-p", &sleep.pid().to_string()]);
    assert_eq!(run.code(), Some(1), "{}", run.stderr);
    assert!(run.stderr.starts_with("Error: ") && run.stderr.contains("Python"), "{}", run.stderr);
    let run = run_py_spy(["record", "-o", "/dev/null", "-p", "2147483647"]);
    assert_eq!(run.code(), Some(1), "{}", run.stderr);
    assert!(
        run.stderr.starts_with("Error: ") && run.stderr.contains("2147483647"),
        "{}",
        run.stderr
    );
}
