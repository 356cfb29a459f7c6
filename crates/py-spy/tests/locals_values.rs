//! What is shown of values is what `repr` prints in the target, on every interpreter.

mod locals_kit;
mod support;

use cpython::Objects;
use cpython::value::{Budget, Cache, Decoder, Value};
use remote::Memory;
use support::{Target, for_each, one_per_version};

/// Enough for everything that the target has.
const WHOLE: Budget =
    Budget { chars: 100_000, depth: 20, items: 5000, attributes: 0, everything: false };

#[test]
fn values_show_as_repr_prints_them() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "values.py", &[]);
        let seen = py_spy::target::Target::attach(target.pid(), false).unwrap();
        let truth = target.ready["values"].as_array().unwrap();
        let variables = locals_kit::locals_of(&seen, "stand", WHOLE);
        let list = variables.iter().find(|variable| variable.name == "values").unwrap().address;
        let layout = &seen.runtime.layout;
        let cache = Cache::new(&seen.process.memory);
        let objects = Objects { memory: &cache, layout };
        let decoder = Decoder::new(objects, WHOLE);
        let items = objects.field(list, layout.values.list_items).unwrap();
        let mut wrong = Vec::new();
        for (i, pair) in truth.iter().enumerate() {
            let (label, expected) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
            let address = cache.ptr(items + 8 * i as u64).unwrap();
            let value = decoder.value(address);
            let got = value.repr(WHOLE.chars);
            if got != expected {
                wrong.push(format!("{label}:\n  is  {expected:.300}\n  got {got:.300}"));
            }
            // Less of it holds to its budget, and is whole only if it says so.
            for level in 1..=2 {
                let budget = Budget::level(level);
                let small = Decoder::new(objects, budget).value(address).repr(budget.chars);
                let length = small.chars().count();
                if length > budget.chars + 120 || (length <= budget.chars && small.contains('\n')) {
                    wrong.push(format!("{label}, level {level}: {length} characters: {small}"));
                }
                let short = expected.chars().count() <= budget.chars;
                let deep = matches!(value, Value::Unreadable);
                if level == 1 && short && !deep && small != got {
                    wrong.push(format!("{label}, level 1:\n  is  {got}\n  got {small}"));
                }
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of {} values are wrong:\n{}",
            wrong.len(),
            truth.len(),
            wrong.join("\n")
        );
    });
}
