//! Core files of programs that crash: what happened, where, and in which thread.

mod core_kit;
mod support;

use core_kit::{CoreFile, dump, dump_json, start};
use serde_json::Value;
use support::*;

/// Starts `core_crash.py`, lets it crash, and returns what it had said and its core file.
#[track_caller]
fn crash(interpreter: &Interpreter, way: &str) -> (Value, CoreFile) {
    let (target, folder) = start(interpreter, "core_crash.py", &[way]);
    let said = target.ready.clone();
    (said, core_kit::crash(target, folder))
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

/// A fault in C code that Python code called.
#[test]
fn a_fault() {
    for_each(one_per_version(), |interpreter| {
        let (said, core) = crash(interpreter, "fault");
        let text = dump(&core.path, &["--locals"]).stdout;
        let shown = lines(&text);
        let tid = &said["doomed"];
        assert_eq!(shown[0].split(':').next(), Some(&*format!("Process {}", said["pid"])));
        let file = core.path.display();
        assert_eq!(
            shown[2],
            format!(
                "Core file {file}: SIGSEGV at address 0x5000 (nothing is mapped there) in thread {tid}"
            )
        );
        let gil = if interpreter.free_threaded() { "" } else { "+gil" };
        let head = format!("Thread {tid} (active{gil}, crashed): \"doomed\"");
        assert_eq!((shown[3], shown[4]), ("", &*head), "{text}");
        assert!(!text.contains("Note:"), "{text}");
        assert!(text.contains("    named: {'label': 'crash'}"), "{text}");

        let dump = dump_json(&core.path, &[]);
        let names: Vec<_> = dump.iter().map(|thread| thread.thread_name.clone().unwrap()).collect();
        assert_eq!(names, ["doomed", "MainThread", "bystander"]);
        let last = |name: &str| name.rsplit('.').next().unwrap().to_owned();
        let stack: Vec<String> = dump[0].frames.iter().map(|frame| last(&frame.name)).collect();
        let expected = ["string_at", "fault", "inner", "outer", "wait_and_crash", "run"];
        assert_eq!(stack[..6], expected);
        assert!(!dump[1].active && !dump[2].active && dump[0].active);
        assert_eq!(dump[0].owns_gil, !interpreter.free_threaded());

        let json: Value =
            serde_json::from_str(&core_kit::dump(&core.path, &["--json"]).stdout).unwrap();
        let signal = &json[0]["signal"];
        assert_eq!((&signal["name"], &signal["number"]), (&"SIGSEGV".into(), &11.into()));
        assert_eq!((&signal["address"], &signal["code"]), (&0x5000.into(), &1.into()));
        assert_eq!(signal["reason"], "nothing is mapped there");
        assert_eq!(signal["sender_pid"], Value::Null);
        assert!(json[1].get("signal").is_none());
    });
}

/// A program that ends itself.
#[test]
fn an_abort() {
    for_each(one_per_version(), |interpreter| {
        let (said, core) = crash(interpreter, "abort");
        let text = dump(&core.path, &[]).stdout;
        let user = rustix::process::getuid().as_raw();
        let expected = format!(
            ": SIGABRT sent by process {} (user {user}) in thread {}",
            said["pid"], said["doomed"]
        );
        assert!(lines(&text)[2].ends_with(&expected), "{text}");
        assert!(lines(&text)[5].starts_with("    abort (core_crash.py:"), "{text}");
    });
}

/// The thread that crashed has never run Python: it is shown all the same.
#[test]
fn a_thread_without_python() {
    let (said, core) = crash(newest(), "native");
    let text = dump(&core.path, &[]).stdout;
    let shown = lines(&text);
    let tid = shown[2].rsplit(' ').next().unwrap();
    assert!(![said["main"].to_string(), said["doomed"].to_string()].contains(&tid.to_owned()));
    assert!(shown[4].starts_with(&format!("Thread {tid} (")), "{text}");
    assert!(shown[4].ends_with(", crashed)"), "{text}");
    assert_eq!((shown[5], shown[6]), ("    (no Python frames)", ""));
    assert_eq!(text.matches(", crashed)").count(), 1, "{text}");
    let doomed = dump_json(&core.path, &[])
        .into_iter()
        .find(|thread| thread.thread_name.as_deref() == Some("doomed"));
    assert!(doomed.unwrap().frames[0].name == "native");
}
