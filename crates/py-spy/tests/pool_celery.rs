//! A Celery worker with a prefork pool, seen by all three commands.

mod record_kit;
mod support;

use record_kit::{Folder, Running, folded, total, until};
use serde_json::Value;
use std::process::Command;
use support::target::wait_asleep;
use support::{need, run_py_spy, targets_dir};

fn celery(queue: &Folder, program: &str) -> Command {
    let mut command = Command::new(need("targets/bin/python"));
    command.arg(program).current_dir(targets_dir());
    command.env("QUEUE", queue.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn a_prefork_pool() {
    let queue = Folder::new();
    std::fs::write(queue.path().join("go"), "").unwrap();
    let program = need("targets/bin/celery");
    let mut command = celery(&queue, program.to_str().unwrap());
    command.args(["-A", "pool_celery", "worker", "--concurrency", "2", "--loglevel", "ERROR"]);
    command.args(["--without-gossip", "--without-mingle", "--without-heartbeat"]);
    let mut worker = Running::start(command);
    let queued = celery(&queue, "pool_celery.py").output().unwrap();
    assert!(queued.status.success(), "{}", String::from_utf8_lossy(&queued.stderr));
    let mut at_work = |task: &str| -> i64 {
        until(task, || {
            assert!(worker.is_running(), "{}", worker.stderr());
            std::fs::read_to_string(queue.path().join(task)).ok()?.parse().ok()
        })
    };
    let (busy, waiting) = (at_work("thumbnail"), at_work("wait_for_upload"));
    let main = i64::from(worker.pid());
    wait_asleep(i32::try_from(waiting).unwrap());

    let run = |args: &[&str]| run_py_spy(args.iter().chain(&["-s", "-p", &main.to_string()])).ok();
    let threads: Vec<Value> = serde_json::from_str(&run(&["dump", "--json"]).stdout).unwrap();
    let of = |pid: i64| threads.iter().find(|thread| thread["os_thread_id"] == pid).unwrap();
    let runs = |thread: &Value, function: &str| {
        thread["frames"].as_array().unwrap().iter().any(|frame| frame["name"] == function)
    };
    for pid in [busy, waiting] {
        assert_eq!(of(pid)["process_info"]["parent"]["pid"], main, "{}", of(pid));
    }
    assert!(runs(of(busy), "thumbnail") && of(busy)["active"] == true, "{}", of(busy));
    assert!(runs(of(waiting), "wait_for_upload"), "{}", of(waiting));
    let waits = of(waiting)["waits_for"].to_string();
    assert!(waits.contains("read on ") && of(waiting)["active"] == false, "{}", of(waiting));
    assert!(!runs(of(main), "thumbnail") && !runs(of(main), "wait_for_upload"));

    let found = until("samples", || {
        let record = run(&["record", "-d", "1", "-F", "-f", "raw", "-o", "-"]);
        Some(folded(&record.stdout)).filter(|found| total(found) > 20)
    });
    let process = |pid: i64| format!("process {pid}:");
    let mut work = 0;
    for (frames, count) in &found {
        assert!(frames[0].starts_with(&process(main)), "{frames:?}");
        if frames.iter().any(|frame| frame.starts_with("thumbnail (")) {
            assert!(frames[1].starts_with(&process(busy)), "{frames:?}");
            work += count;
        }
        assert!(!frames[1].starts_with(&process(waiting)), "it waits: {frames:?}");
    }
    assert!(work * 2 > total(&found), "{found:?}");

    let top = Running::py_spy(&["top", "--delay", "0.5", "-s", "-p", &main.to_string()]);
    until("a table", || {
        let table = top.stdout();
        (table.contains("Processes: 3") && table.contains("thumbnail (pool_celery.py)"))
            .then_some(())
    });
    drop(top);

    // They go on as if nothing had been, until there is nothing to wait for.
    worker.signal(rustix::process::Signal::TERM);
    std::fs::remove_file(queue.path().join("go")).unwrap();
    std::fs::write(queue.path().join("upload"), "\n").unwrap();
    worker.wait();
}
