//! Programs that stand still and say what is true of them, on every interpreter: `dump`
//! must see exactly that.

mod support;

use support::interpreters::missing;
use support::*;

#[test]
fn required_interpreters_are_there() {
    let missing = missing();
    assert!(missing.is_empty(), "no interpreter here is a {missing:?}: run scripts/setup-tests");
}

/// Every kind of frame, thread name, file name and line table, paused and not.
#[test]
fn stacks_are_what_the_program_says() {
    for_each(interpreters(), |interpreter| {
        let mut target = Target::start(interpreter, "stacks.py", &[]);
        let dump = assert_true(&mut target, &[]);
        assert!(dump.len() > 30, "{} threads", dump.len());
        let columns =
            dump.iter().flat_map(|thread| &thread.frames).filter(|frame| frame.column.is_some());
        assert_eq!(columns.count() > 1000, interpreter.at_least(3, 11), "columns from 3.11 on");
        assert_true(&mut target, &["--nonblocking"]);
    });
}
