//! `--class-names`: methods are shown with their classes before 3.11 as well, where code objects
//! do not know them, and nothing else is.

mod record_kit;
mod support;

use record_kit::{parts, record_raw};
use serde_json::Value;
use std::collections::BTreeSet;
use support::{Interpreter, Target, dump_json, for_each, one_per_version, until};

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The last part of a qualified name.
fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap()
}

/// What methods are called with their class, and functions of which none can be told.
fn expected(python: &Interpreter, target: &Target) -> (BTreeSet<String>, Vec<String>) {
    let mut names = texts(&target.ready["names"]);
    if !python.at_least(3, 3) {
        // Classes do not know what they are inside of, and `wraps` remembers nothing.
        names.retain(|name| name != "Decorated.wrapped");
        let inner = names.iter_mut().find(|name| *name == "Outer.Inner.nested").unwrap();
        *inner = "Inner.nested".to_owned();
    }
    (names.into_iter().collect(), texts(&target.ready["plain"]))
}

#[test]
fn dump_names_the_classes_of_methods() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "class_names.py", &[]);
        target.wait_asleep();
        let names = |args: &[&str]| -> Vec<String> {
            let dump = dump_json(target.pid(), args);
            dump[0].frames.iter().map(|frame| frame.name.clone()).collect()
        };
        let (without, with) = (names(&[]), names(&["--class-names"]));
        assert_eq!(without.len(), with.len());
        if python.at_least(3, 11) {
            assert_eq!(without, with, "code objects know it");
        } else {
            assert!(without.iter().all(|name| !name.contains('.')), "{without:?}");
            assert!(with.iter().map(|name| short(name)).eq(without.iter().map(String::as_str)));
        }
        let (methods, plain) = expected(python, &target);
        let found: BTreeSet<String> = with.iter().cloned().collect();
        let missing: Vec<&String> = methods.difference(&found).collect();
        assert!(missing.is_empty(), "{missing:?} of {with:?}");
        if !python.at_least(3, 11) {
            let others = found.difference(&methods).filter(|name| name.contains('.'));
            assert_eq!(others.collect::<Vec<_>>(), [""; 0], "{with:?}");
            for name in plain {
                assert!(found.contains(&name), "{name} of {with:?}");
            }
        }
    });
}

#[test]
fn record_names_the_classes_of_methods() {
    let versions = one_per_version().into_iter().filter(|python| !python.at_least(3, 12));
    for_each(versions, |python| {
        let target = Target::start(python, "class_names.py", &["busy"]);
        let names = |args: &[&str]| -> BTreeSet<String> {
            let args = [&["-d", "0.3", "-r", "200"], args].concat();
            let found = until("a sample", || {
                Some(record_raw(target.pid(), &args)).filter(|found| !found.is_empty())
            });
            let frames = found.iter().flat_map(|(frames, _)| frames);
            frames.map(|frame| parts(frame).0.to_owned()).collect()
        };
        let (methods, _) = expected(python, &target);
        let (without, with) = (names(&[]), names(&["--class-names"]));
        assert!(methods.is_subset(&with), "{methods:?} {with:?}");
        if !python.at_least(3, 11) {
            assert!(without.iter().all(|name| !name.contains('.')), "{without:?}");
            let others = with.difference(&methods).filter(|name| name.contains('.'));
            assert_eq!(others.collect::<Vec<_>>(), [""; 0]);
        }
    });
}
