//! Idle is idle: what waits is never sampled, however busy its neighbours are, and what
//! computes without the GIL is.
//!
//! Short here; the long run, per interpreter, one after the other:
//! `PYSPY_ORACLE_SAMPLES=20000 cargo test --release --test truth_idle -- --nocapture`

mod record_kit;
mod support;

use record_kit::{record_told, total, with};
use support::target::wait_asleep_but;
use support::{Target, for_each, one_per_version};

#[test]
fn what_waits_is_never_sampled() {
    let samples: Option<f64> =
        std::env::var("PYSPY_ORACLE_SAMPLES").ok().map(|text| text.parse().expect("a number"));
    let seconds = (samples.unwrap_or(1000.0) / 2000.0).to_string();
    let test = |python: &support::Interpreter| {
        let target = Target::start(python, "waits.py", &[]);
        let busy: Vec<i32> = serde_json::from_value(target.ready["busy"].clone()).unwrap();
        wait_asleep_but(target.pid(), &busy);
        let (found, told) = record_told(target.pid(), &["-r", "2000", "-d", &seconds]);
        let last = told.lines().last().unwrap_or("").to_owned();
        println!(
            "{}: {} waiting of {}, {} in C; {last}",
            python.label,
            with(&found, "wait_"),
            total(&found),
            with(&found, "burn_in_c ("),
        );
        assert_eq!(with(&found, "wait_"), 0, "{found:?}");
        for busy in ["burn (", "burn_in_c ("] {
            assert!(with(&found, busy) > 0, "{busy}: {found:?}");
        }
    };
    match samples {
        Some(_) => one_per_version().into_iter().for_each(test),
        None => for_each(one_per_version(), test),
    }
}
