//! tmp
mod support;
use support::*;
#[test]
fn required_interpreters_are_there() {
    let missing = support::interpreters::missing();
    assert!(
        missing.is_empty(),
        "none of the interpreters here is {missing:?}: run scripts/setup-tests"
    );
}
