//! A look into a target that stands still: its main thread's frames and their variables.

use cpython::frames::{RawFrame, read_frame};
use cpython::threads::{interpreters, thread_states};
use cpython::value::{Budget, Cache, Decoder, Variable};
use cpython::{CodeInfo, Objects};
use py_spy::target::Target;
use remote::{Batch, Memory};

/// The frames of the thread that was made first, innermost first.
pub fn frames(target: &Target) -> Vec<(RawFrame, CodeInfo)> {
    let memory = &target.process.memory;
    let layout = &target.runtime.layout;
    let interpreter = interpreters(memory, layout, target.runtime.interpreters_head).unwrap();
    let mut threads = Vec::new();
    thread_states(memory, layout, interpreter[0], &mut threads).unwrap();
    let thread = threads.last().expect("a thread").address;
    let mut next = memory.ptr(thread + u64::from(layout.thread.frame)).unwrap();
    if let Some(offset) = layout.thread.cframe_current {
        next = memory.ptr(next + u64::from(offset)).unwrap();
    }
    let mut found = Vec::new();
    while next != 0 && found.len() < 1000 {
        let mut batch = Batch::default();
        let (low, high) = layout.frame.span;
        batch.push(next + u64::from(low), (high - low) as usize);
        memory.read_batch(&mut batch).unwrap();
        let (frame, hidden, previous) = read_frame(layout, &batch, next).expect("a frame");
        if !hidden {
            let objects = Objects { memory, layout };
            found.push((frame, CodeInfo::load(objects, frame.code).expect("a code object")));
        }
        next = previous;
    }
    found
}

/// The variables of the innermost frame whose function is called `name`.
#[track_caller]
pub fn locals_of(target: &Target, name: &str, budget: Budget) -> Vec<Variable> {
    let frames = frames(target);
    let own = |(_, code): &&(RawFrame, CodeInfo)| code.name.rsplit('.').next() == Some(name);
    let (frame, _) = frames.iter().find(own).unwrap_or_else(|| {
        panic!("no {name} in {:?}", frames.iter().map(|(_, code)| &code.name).collect::<Vec<_>>())
    });
    let cache = Cache::new(&target.process.memory);
    let objects = Objects { memory: &cache, layout: &target.runtime.layout };
    Decoder::new(objects, budget).locals(frame).unwrap()
}
