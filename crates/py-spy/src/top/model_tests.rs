//! Tests of the statistics.

use super::table::{Column, Grouping, Level};
use super::testing::Sample;

fn rows(sample: &Sample, column: Column) -> Vec<(String, [u64; 4])> {
    sample.rows(column)
}

fn row(label: &str, numbers: [u64; 4]) -> (String, [u64; 4]) {
    (label.to_owned(), numbers)
}

#[test]
fn own_and_total_of_the_window_and_of_the_run() {
    let mut sample = Sample::new(Grouping::default());
    sample.run(&["main:1", "f:10"], 60);
    sample.run(&["main:1", "g:20"], 30);
    sample.run(&["main:2"], 10);
    assert!(sample.close(1000));
    let first = [
        row("f (app.py)", [600, 600, 600, 600]),
        row("g (app.py)", [300, 300, 300, 300]),
        row("main (app.py)", [100, 1000, 100, 1000]),
    ];
    assert_eq!(rows(&sample, Column::Own), first);
    // The next window is twice as long, with half of its instants missed: each stands for four
    // times as much time.
    sample.run(&["main:1", "g:20"], 40);
    sample.run(&["main:1", "h:30"], 10);
    assert!(sample.close(2000));
    let second = [
        row("main (app.py)", [0, 2000, 100, 3000]),
        row("g (app.py)", [1600, 1600, 1900, 1900]),
        row("f (app.py)", [0, 0, 600, 600]),
        row("h (app.py)", [400, 400, 400, 400]),
    ];
    assert_eq!(rows(&sample, Column::Total), second);
    let names = |column| {
        let all = rows(&sample, column);
        all.into_iter().map(|(label, _)| label.chars().next()).collect::<Option<String>>()
    };
    assert_eq!(names(Column::OwnNow).as_deref(), Some("ghfm"));
    assert_eq!(names(Column::TotalNow).as_deref(), Some("mghf"));
    assert_eq!(names(Column::Own).as_deref(), Some("gfhm"));
    assert_eq!(sample.model.shown().elapsed_ns, 3_000_000_000);
    assert_eq!(sample.model.shown().ticks, 150);
}

#[test]
fn recursion_counts_once() {
    let mut sample = Sample::new(Grouping::default());
    sample.run(&["main:1", "f:10", "f:11", "g:20", "f:10"], 100);
    sample.close(1000);
    let expected = [
        row("f (app.py)", [1000, 1000, 1000, 1000]),
        row("g (app.py)", [0, 1000, 0, 1000]),
        row("main (app.py)", [0, 1000, 0, 1000]),
    ];
    assert_eq!(rows(&sample, Column::Own), expected);
}

#[test]
fn rows_can_be_of_another_kind_at_any_time() {
    let mut sample = Sample::new(Grouping::default());
    sample.run(&["main:1", "f:10"], 50);
    sample.run(&["main:2", "f:11"], 50);
    sample.close(1000);
    sample.run(&["main:2", "f:11"], 100);
    sample.close(1000);
    let by_function =
        [row("f (app.py)", [1000, 1000, 2000, 2000]), row("main (app.py)", [0, 1000, 0, 2000])];
    assert_eq!(rows(&sample, Column::Own), by_function);
    let grouping = Grouping { level: Level::Line, ..Grouping::default() };
    sample.model.regroup(&sample.recording, grouping);
    let by_line = [
        row("f (app.py:11)", [1000, 1000, 1500, 1500]),
        row("f (app.py:10)", [0, 0, 500, 500]),
        row("main (app.py:2)", [0, 1000, 0, 1500]),
        row("main (app.py:1)", [0, 0, 0, 500]),
    ];
    assert_eq!(rows(&sample, Column::Own), by_line);
    let grouping = Grouping { level: Level::File, full_filenames: true, ..Grouping::default() };
    sample.model.regroup(&sample.recording, grouping);
    assert_eq!(rows(&sample, Column::Own), [row("/srv/app.py", [1000, 1000, 2000, 2000])]);
    // What comes later goes to the new rows.
    sample.run(&["main:2"], 10);
    sample.close(500);
    assert_eq!(rows(&sample, Column::Own), [row("/srv/app.py", [500, 500, 2500, 2500])]);
}

#[test]
fn functions_of_the_same_name_are_told_apart() {
    let mut sample = Sample::new(Grouping::default());
    sample.run(&["__init__:10"], 60);
    sample.run(&["f:30"], 10);
    sample.close(700);
    assert_eq!(rows(&sample, Column::Own)[0].0, "__init__ (app.py)");
    sample.run(&["__init__:20"], 30);
    sample.close(300);
    let labels: Vec<String> =
        rows(&sample, Column::Own).into_iter().map(|(label, _)| label).collect();
    assert_eq!(labels, ["__init__ (app.py:10)", "__init__ (app.py:20)", "f (app.py)"]);
}

#[test]
fn processes_are_told_apart_when_asked() {
    let mut sample = Sample::new(Grouping::default());
    let stack = sample.stack(&["f:10"]);
    let both = [sample.seen(0, stack), sample.seen(2, stack)];
    for _ in 0..10 {
        sample.model.observe(&both);
    }
    sample.model.observe(&both[1..]);
    sample.close(1100);
    assert_eq!(rows(&sample, Column::Own), [row("f (app.py)", [2100, 2100, 2100, 2100])]);
    let grouping = Grouping { by_process: true, ..Grouping::default() };
    sample.model.regroup(&sample.recording, grouping);
    let expected =
        [row("f (app.py)", [1100, 1100, 1100, 1100]), row("f (app.py)", [1000, 1000, 1000, 1000])];
    assert_eq!(rows(&sample, Column::Own), expected);
    let table = &sample.model.shown().table;
    let keys = table.order(&sample.recording, Column::Own, None);
    assert_eq!(keys[0].process, Some(sample.processes[1]));
    let filter = regex::Regex::new("^g").expect("a regex");
    assert_eq!(table.order(&sample.recording, Column::Own, Some(&filter)), []);
}

#[test]
fn idle_threads_count_for_nothing_but_are_known() {
    let mut sample = Sample::new(Grouping::default());
    let stack = sample.stack(&["f:10"]);
    let wait = sample.stack(&["wait:20"]);
    let busy = sample.seen(0, stack);
    let mut idle = sample.seen(1, wait);
    (idle.active, idle.gil, idle.weight) = (false, false, 0);
    for _ in 0..50 {
        sample.model.observe(&[busy, idle]);
        sample.model.observe(&[idle]);
    }
    assert!(sample.model.close_window(&sample.recording, 1_000_000_000, 250_000_000));
    assert_eq!(rows(&sample, Column::Own), [row("f (app.py)", [500, 500, 500, 500])]);
    let window = &sample.model.shown().window;
    assert_eq!((window.gil_share(), window.active_share(), window.cpu_share()), (0.5, 0.5, 0.25));
    let thread = window.threads[&(sample.processes[0], 71)];
    assert_eq!((thread.active, thread.gil, thread.stack), (0, 0, wait));
}

#[test]
fn a_held_view_stands_still_while_counting_goes_on() {
    let mut sample = Sample::new(Grouping::default());
    sample.run(&["f:10"], 100);
    sample.close(1000);
    sample.model.pause(true);
    sample.run(&["g:20"], 100);
    sample.close(1000);
    assert_eq!(rows(&sample, Column::Own), [row("f (app.py)", [1000, 1000, 1000, 1000])]);
    // The kind of rows can be changed meanwhile.
    let grouping = Grouping { level: Level::Line, ..Grouping::default() };
    sample.model.regroup(&sample.recording, grouping);
    assert_eq!(rows(&sample, Column::Own), [row("f (app.py:10)", [1000, 1000, 1000, 1000])]);
    sample.model.pause(false);
    let expected =
        [row("g (app.py:20)", [1000, 1000, 1000, 1000]), row("f (app.py:10)", [0, 0, 1000, 1000])];
    assert_eq!(rows(&sample, Column::Own), expected);
}

#[test]
fn a_reset_forgets_everything() {
    let mut sample = Sample::new(Grouping::default());
    sample.run(&["f:10"], 100);
    sample.recording.quality.missed = 70;
    sample.close(1000);
    assert_eq!(sample.model.shown().lost.to_string(), ", 70 missed");
    sample.run(&["f:10"], 100);
    sample.recording.quality.missed = 75;
    sample.model.reset(&sample.recording);
    assert_eq!(sample.model.shown().lost.to_string(), "");
    assert!(!sample.close(1000), "nothing has been seen since");
    assert_eq!((rows(&sample, Column::Own), sample.model.shown().ticks), (vec![], 0));
    sample.run(&["g:20"], 10);
    sample.recording.quality.missed = 77;
    sample.recording.quality.dropped = 1;
    assert!(sample.close(1000));
    assert_eq!(sample.model.shown().lost.to_string(), ", 2 missed, 1 dropped");
    // The window without an instant is part of it.
    assert_eq!(rows(&sample, Column::Own), [row("g (app.py)", [2000, 2000, 2000, 2000])]);
}

#[test]
fn cpu_time_is_counted_as_it_is() {
    let mut sample = Sample::new(Grouping::default());
    sample.model = super::model::Model::new(profile::WeightUnit::Nanoseconds, Grouping::default());
    let stack = sample.stack(&["f:10"]);
    let mut seen = sample.seen(0, stack);
    seen.weight = 7_000_000;
    (0..100).for_each(|_| sample.model.observe(&[seen]));
    sample.close(1000);
    assert_eq!(rows(&sample, Column::Own), [row("f (app.py)", [700, 700, 700, 700])]);
}

#[test]
fn callers_and_callees() {
    use super::relations::Relations;
    let mut sample = Sample::new(Grouping::default());
    sample.run(&["main:1", "f:10", "g:20"], 30);
    sample.run(&["main:1", "h:40", "f:10"], 20);
    sample.run(&["main:1", "h:40", "f:11", "f:10", "g:20", "f:10", "k:50"], 40);
    sample.run(&["f:10"], 5);
    sample.run(&["main:1", "h:40"], 5);
    sample.close(1000);
    let key = |label: &str| sample.key(label);
    let of = |label: &str| Relations::of(&sample.recording, sample.model.shown(), key(label));
    let ms = |ns: u64| ns / 1_000_000;
    let found = of("f (app.py)");
    assert_eq!((ms(found.total), ms(found.own)), (950, 250));
    let callers: Vec<_> = found.callers.iter().map(|(key, ns)| (*key, ms(*ns))).collect();
    let expected = [
        (Some(key("h (app.py)")), 600),
        (Some(key("g (app.py)")), 400),
        (Some(key("main (app.py)")), 300),
        (None, 50),
    ];
    assert_eq!(callers, expected);
    let callees: Vec<_> = found.callees.iter().map(|(key, ns)| (*key, ms(*ns))).collect();
    assert_eq!(callees, [(key("g (app.py)"), 700), (key("k (app.py)"), 400)]);
    let found = of("main (app.py)");
    assert_eq!((ms(found.total), ms(found.own)), (950, 0));
    assert_eq!(found.callers.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [None]);
    let callees: Vec<_> = found.callees.iter().map(|(key, ns)| (*key, ms(*ns))).collect();
    assert_eq!(callees, [(key("h (app.py)"), 650), (key("f (app.py)"), 300)]);
}
