//! What more `-l`s show, and what the budget leaves out.

mod locals_kit;
mod support;

use locals_kit::{dump, local, locals};
use support::{Target, for_each, newest, one_per_version};

#[test]
fn attributes_from_the_second_level_on() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "attributes.py", &[]);
        target.wait_asleep();
        let shown = |level: usize| {
            let seen = dump(target.pid(), level);
            move |name: &str| {
                let text = &local(locals(&seen, "stand"), name).repr;
                // Without the addresses.
                let mut parts = text.split("0x");
                let first = parts.next().unwrap_or("").to_owned();
                let strip = |part: &str| {
                    part.trim_start_matches(|c: char| c.is_ascii_hexdigit()).to_owned()
                };
                parts.fold(first, |all, part| all + "@" + &strip(part))
            }
        };
        let one = shown(1);
        assert_eq!(one("plain"), "<__main__.Plain object at @>");
        assert_eq!(one("known"), "<__main__.WithRepr at @>");
        let two = shown(2);
        assert_eq!(two("plain"), "<__main__.Plain object at @: a=1, b='two'>");
        // Dictionaries of 2.x and up to 3.5 have no order.
        if python.at_least(3, 6) {
            assert_eq!(two("other"), "<__main__.Ordered object at @: a='A', b='B', c='C'>");
            assert_eq!(two("another"), "<__main__.Ordered object at @: c='C', b='B', a='A'>");
        }
        assert_eq!(two("slots"), "<__main__.Slots object at @: x=1, y=[2]>");
        assert_eq!(two("child"), "<__main__.Child object at @: z=3, x=1, y=[2]>");
        assert_eq!(two("bare"), "<__main__.Child object at @>");
        assert_eq!(two("number"), "5");
        assert_eq!(two("known"), "<__main__.WithRepr at @: inner=<__main__.Plain object at @>>");
        assert_eq!(two("deleted"), "<__main__.Plain object at @: b='two'>");
        let taken = two("taken");
        assert!(taken.contains(r"odd name\x1b=1"), "{taken}");
        let many = two("many");
        assert!(many.ends_with("...> (len 100)") && many.contains("a9"), "{many}");
        let three = shown(3);
        let loops = three("loop");
        assert!(loops.contains("me=<...>"), "{loops}");
        assert_eq!(
            three("known"),
            "<__main__.WithRepr at @: inner=<__main__.Plain object at @: a=1, b='two'>>"
        );
    });
}

#[test]
fn what_is_cut_says_how_long_it_is() {
    let target = Target::start(newest(), "attributes.py", &[]);
    target.wait_asleep();
    let mut lengths = Vec::new();
    for level in 1..=4 {
        let chars = 64 << level;
        let seen = dump(target.pid(), level);
        let variables = locals(&seen, "stand");
        let text = |name: &str| &local(variables, name).repr;
        for variable in variables {
            let length = variable.repr.chars().count();
            assert!(length <= chars + 100, "level {level} {}: {length}", variable.name);
        }
        let long = text("long");
        assert!(long.starts_with("'ababab") && long.ends_with("b'... (len 10000)"), "{long}");
        let data = text("data");
        if level == 1 {
            assert!(data.ends_with(r"\x00'... (len 100)"), "{data}");
        }
        let huge = text("huge");
        assert!(huge.starts_with("1") && huge.ends_with("... (30001 digits)"), "{huge}");
        let rows = text("rows");
        assert!(rows.starts_with("[[0, 0,") && rows.contains("[1"), "{rows}");
        assert!(rows.ends_with("...] (len 100)"), "{rows}");
        let wide = text("wide");
        assert!(wide.contains("'key0': 'vvvv") && wide.ends_with("...} (len 100)"), "{wide}");
        let tree = text("tree");
        assert!(tree.starts_with("[11, [10, ["), "{tree}");
        lengths.push(long.len());
    }
    assert!(lengths.windows(2).all(|pair| pair[1] > pair[0] + pair[0] / 2), "{lengths:?}");
}

#[test]
fn values_as_json() {
    let target = Target::start(newest(), "attributes.py", &[]);
    target.wait_asleep();
    let seen = dump(target.pid(), 2);
    let json = |name: &str| &local(locals(&seen, "stand"), name).value;
    let plain = json("plain");
    assert_eq!(plain["type"], "__main__.Plain");
    assert_eq!(plain["fields"]["a"], serde_json::json!({"type": "int", "repr": "1", "value": 1}));
    assert_eq!(plain["fields"]["b"]["value"], "two");
    assert_eq!(json("rows")["length"], 100);
    assert_eq!(json("rows")["items"][0]["items"][0]["value"], 0);
    assert_eq!(json("long")["length"], 10000);
    assert_eq!(json("data")["type"], "bytes");
    assert_eq!(json("wide")["entries"][0][0]["value"], "key0");
    assert!(json("huge")["value"].is_null());
}
