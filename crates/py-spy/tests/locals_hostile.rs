//! Values that were made to be read for ever, or as deep as a stack can be.

mod locals_kit;
mod support;

use locals_kit::{dump, local, locals};
use std::time::{Duration, Instant};
use support::{Target, for_each, one_per_version};

#[test]
fn no_value_takes_for_ever() {
    for_each(one_per_version().into_iter().filter(|one| one.at_least(3, 3)), |python| {
        let target = Target::start(python, "hostile_values.py", &[]);
        target.wait_asleep();
        for level in [1, 6] {
            let start = Instant::now();
            let seen = dump(target.pid(), level);
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
            let variables = locals(&seen, "stand");
            let text = |name: &str| local(variables, name).repr.as_str();
            assert!(text("circle").starts_with("OrderedDict("), "{}", text("circle"));
            assert!(text("circle").contains("'x'"), "{}", text("circle"));
            assert!(text("flag").starts_with("<Flags: 3>"), "{}", text("flag"));
            assert!(text("deep").starts_with("<bound method "), "{}", text("deep"));
        }
    });
}
