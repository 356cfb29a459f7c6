//! Shared by the tests of `--native`: C code made for them, and stacks that show it.
#![allow(dead_code)] // each test file uses a part

use crate::support::{
    Dump, Frame, Interpreter, Target, Thread, dump_json, interpreters, run, tool,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// A source file of this folder.
#[track_caller]
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/native_kit").join(name)
}

/// Makes something of a source file in the tests' folder once, and says where it is.
#[track_caller]
pub fn made(name: &str, source: &Path, make: impl FnOnce(&Path)) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("native");
    let path = folder.join(name);
    let _one_at_a_time = MAKING.lock().unwrap_or_else(|error| error.into_inner());
    let newer = |of: &Path| of.metadata().and_then(|data| data.modified()).ok();
    if newer(&path) < newer(source) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Other test programs may be at it too.
        let new = path.with_extension(format!("{}.so", std::process::id()));
        make(&new);
        std::fs::rename(&new, &path).unwrap();
    }
    path
}

/// The C library, compiled with `flags`, under a name of its own for each set of them.
#[track_caller]
pub fn library(flags: &[&str]) -> PathBuf {
    of_c("kit.c", "cc", flags)
}

/// That of C++.
#[track_caller]
pub fn cpp_library(flags: &[&str]) -> PathBuf {
    of_c("kit.cpp", "c++", flags)
}

fn of_c(name: &str, compiler: &str, flags: &[&str]) -> PathBuf {
    let source = source(name);
    let made_by = format!("{compiler}{}", flags.concat());
    let name: String = made_by.chars().filter(char::is_ascii_alphanumeric).collect();
    made(&format!("libkit{name}.so"), &source, |path| compile(compiler, &source, path, flags))
}

/// That of Rust: what builds these tests is on the machine that does so.
#[track_caller]
pub fn rust_library(mangling: &str) -> PathBuf {
    let source = source("kit.rs");
    made(&format!("libkitrs{mangling}.so"), &source, |path| {
        let mut rustc = Command::new(tool("rustc"));
        rustc.args(["--edition=2024", "--crate-type=cdylib", "--crate-name=kit", "-O", "-g"]);
        if !mangling.is_empty() {
            rustc.arg(format!("-Csymbol-mangling-version={mangling}"));
        }
        run(rustc.arg("-Cpanic=abort").arg("-o").arg(path).arg(&source)).ok();
    })
}

#[track_caller]
fn compile(compiler: &str, source: &Path, path: &Path, flags: &[&str]) {
    let mut cc = Command::new(tool(compiler));
    cc.args(["-shared", "-fPIC", "-O2", "-Wall"]).args(flags).arg("-o").arg(path).arg(source);
    run(&mut cc).ok();
}

/// Of each version the first interpreter whose headers are there. Each version must have one:
/// only of an interpreter that came with the machine they are a package of their own.
#[track_caller]
pub fn with_headers() -> Vec<&'static Interpreter> {
    let mut found: Vec<&Interpreter> = Vec::new();
    let there = |found: &[&Interpreter], one| found.iter().any(|other| same_version(other, one));
    for one in interpreters() {
        if !there(&found, one) && headers(one).is_some() {
            found.push(one);
        }
    }
    for one in interpreters().iter().filter(|one| !one.path.starts_with("/usr")) {
        assert!(there(&found, one), "no headers for {}: run scripts/setup-tests", one.label);
    }
    found
}

/// The folder of an interpreter's headers.
#[track_caller]
fn headers(interpreter: &Interpreter) -> Option<PathBuf> {
    let code = "import sysconfig; print(sysconfig.get_paths()['include'])";
    let include = run(Command::new(&interpreter.path).args(["-c", code])).ok().stdout;
    Some(PathBuf::from(include.trim())).filter(|path| path.join("Python.h").exists())
}

/// The folder of the extension module for an interpreter that has its headers.
#[track_caller]
pub fn module(interpreter: &Interpreter) -> PathBuf {
    let include = headers(interpreter).expect("headers");
    let folder = format!("module-{}", interpreter.label);
    let source = source("kit.c");
    let path = made(&format!("{folder}/kit.so"), &source, |path| {
        // In Debian's packages a part of them is in a folder beside the others, named from the
        // folder above them.
        let include = [&include, include.parent().unwrap()].map(|i| format!("-I{}", i.display()));
        compile("cc", &source, path, &["-g", "-DKIT_MODULE", &include[0], &include[1]]);
    });
    path.parent().unwrap().to_owned()
}

/// One of each version whose symbols are there.
pub fn with_symbols() -> Vec<&'static Interpreter> {
    first_of_versions(|one| !one.is("stripped"))
}

/// One of each version without symbols.
pub fn without_symbols() -> Vec<&'static Interpreter> {
    first_of_versions(|one| one.is("stripped"))
}

fn first_of_versions(wanted: impl Fn(&&Interpreter) -> bool) -> Vec<&'static Interpreter> {
    let mut found: Vec<&Interpreter> = Vec::new();
    for one in interpreters().iter().filter(wanted) {
        if found.last().is_none_or(|last| !same_version(last, one)) {
            found.push(one);
        }
    }
    found
}

/// Free-threaded ones are versions of their own.
pub fn same_version(one: &Interpreter, other: &Interpreter) -> bool {
    let key = |of: &Interpreter| (of.version.0, of.version.1, of.free_threaded());
    key(one) == key(other)
}

/// The names of a thread's frames, outermost first.
pub fn names(thread: &Thread) -> Vec<&str> {
    thread.frames.iter().rev().map(|frame| frame.name.as_str()).collect()
}

/// Fails unless `expected` are among `names`, in this order.
#[track_caller]
pub fn assert_in_order(names: &[&str], expected: &[&str]) {
    let mut rest = names.iter();
    for one in expected {
        let found = rest.any(|name| name == one || name.rsplit('.').next() == Some(one));
        assert!(found, "no {one} where it should be: expected {expected:?} in {names:?}");
    }
}

/// The main thread of a target, with native functions; the process was told by all its
/// threads to stand still.
#[track_caller]
pub fn native_dump(target: &Target, extra: &[&str]) -> Dump {
    target.wait_asleep();
    let mut args = vec!["--native"];
    args.extend(extra);
    dump_json(target.pid(), &args)
}

/// The Python frames among a thread's frames.
pub fn python(thread: &Thread) -> Vec<&Frame> {
    thread.frames.iter().filter(|frame| frame.module.is_none()).collect()
}
