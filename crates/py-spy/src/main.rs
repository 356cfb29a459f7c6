//! py-spy
use py_spy::sampler::*;
use py_spy::target::Target;
fn main() {
    env_logger::init();
    let pid: i32 = std::env::args().nth(1).unwrap().parse().unwrap();
    let target = match Target::attach(pid, false) { Ok(t) => t, Err(e) => { eprintln!("Error: {e}"); std::process::exit(1) } };
    println!("{} {} {}", target.runtime.layout.version, target.runtime.module, target.runtime.how);
    let layout = target.runtime.layout.clone();
    let mut s = Sampler::new(target, Options { policy: Policy::Witness, idle: true, gil_only: false }).unwrap();
    let samples = s.sample().unwrap().to_vec();
    println!("{:?}", s.counters);
    for x in samples {
        let t = &s.roster.threads[x.thread];
        println!("Thread {:?} {:?} active {} gil {}", t.tid, t.name, x.active, x.gil);
        for c in s.steps(x.stack) {
            let i = s.code(c.code).unwrap();
            println!("   {} ({}:{})", i.name, i.filename, i.position(&layout, c.lasti).line);
        }
    }
}
