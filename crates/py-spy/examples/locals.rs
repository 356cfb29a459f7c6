//! Prints the variables of all frames of a process's first thread: `locals PID [LEVEL]`.

#[path = "../tests/locals_kit/mod.rs"]
#[allow(dead_code)]
mod locals_kit;

use cpython::Objects;
use cpython::value::{Budget, Cache, Decoder};
use py_spy::target::Target;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let pid = arguments.next().ok_or("which process?")?.parse()?;
    let level = arguments.next().map_or(Ok(1), |level| level.parse())?;
    let target = Target::attach(pid, false).map_err(|error| format!("{error:?}"))?;
    let budget = Budget::level(level);
    let cache = Cache::new(&target.process.memory);
    let objects = Objects { memory: &cache, layout: &target.runtime.layout };
    let decoder = Decoder::new(objects, budget);
    for (frame, code) in locals_kit::frames(&target) {
        println!("{}", code.name);
        for variable in decoder.locals(&frame).map_err(|error| format!("{error:?}"))? {
            let text = variable.value.repr(budget.chars);
            println!("    {:?} {:?} {}: {text}", variable.kind, variable.storage, variable.name);
        }
    }
    Ok(())
}
