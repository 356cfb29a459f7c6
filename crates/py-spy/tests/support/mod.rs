//! Shared by the integration tests: the interpreters of this machine, programs to look
//! at that say when they stand at a known place, and our own binary.
//!
//! Nothing is skipped: what is missing makes a test fail and says how to get it.
#![allow(dead_code, unused_imports)] // each test file uses a part

pub mod dump;
pub mod hosts;
pub mod interpreters;
pub mod process;
pub mod target;

pub use dump::{
    Dump, Frame, Local, Thread, TrueThread, assert_true, compare, dump_json, dump_text,
    try_dump_json,
};
pub use hosts::{hosts, start_host};
pub use interpreters::{Interpreter, for_each, interpreter, interpreters, newest, one_per_version};
pub use process::{
    GUARD, Run, cache, copy_program, in_foreground, need, project, py_spy, quoted, run, run_py_spy,
    targets_dir, tool, unshare, until,
};
pub use target::Target;
