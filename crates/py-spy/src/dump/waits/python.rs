//! What Python's own locks tell.

use super::{ObjectView, Teller, Told, WaitView, plain};
use cpython::waits::{LockKind, Purpose, Wait};

impl Teller<'_> {
    pub(super) fn python(&self, index: usize, wait: &Wait) -> Told {
        match wait {
            Wait::Gil => {
                let gil = |index: usize| self.facts.get(index).map(|facts| facts.gil);
                let holds = |other: usize| self.known[other].gil && gil(other) == gil(index);
                let holder = (0..self.known.len()).find(|other| holds(*other));
                let holder = holder.filter(|holder| *holder != index);
                let owner = holder.map(|holder| self.known[holder].thread.clone());
                if self.old && owner.is_none() {
                    // Nobody has the GIL, so it is the other lock among the interpreter's
                    // variables, of which more is not known.
                    return (plain("import", "the import lock".to_owned()), None);
                }
                let by = owner.as_ref().map(|owner| format!(", held by {}", owner.text()));
                let text = format!("the GIL{}", by.unwrap_or_default());
                (WaitView { kind: "gil", text, owner, ..WaitView::default() }, holder)
            }
            Wait::World => {
                let text = "all threads to go on: another one has stopped them, to collect garbage or to change what they share";
                (plain("world", text.to_owned()), None)
            }
            Wait::Object { type_name, address } => {
                let text = format!("{type_name} at {address:#x}, which another thread is using");
                let object = Some(ObjectView { type_name: type_name.clone(), address: *address });
                (WaitView { kind: "object", text, object, ..WaitView::default() }, None)
            }
            Wait::Lock(lock) => self.lock(index, lock),
            Wait::Construct(construct) => self.construct(construct),
        }
    }

    fn lock(&self, waiter: usize, lock: &cpython::waits::Lock) -> Told {
        let (kind, name) = match lock.kind {
            LockKind::RLock => ("rlock", "RLock"),
            LockKind::Shared => ("shared_lock", "lock of multiprocessing"),
            LockKind::Semaphore => ("semaphore", "semaphore of multiprocessing"),
            LockKind::Lock | LockKind::SimpleQueue => ("lock", "Lock"),
        };
        let mut text = format!("{name} at {:#x}", lock.address);
        let (mut owner, mut found) = (None, None);
        if let Some(ident) = lock.owner {
            let (thread, index) = self.owner(ident);
            text += &format!(", held by {}", thread.text());
            (owner, found) = (Some(thread), index);
        } else if lock.kind == LockKind::Shared {
            text += ", not held by this process";
        } else if lock.kind == LockKind::Semaphore {
            text += " to be released";
        } else if let Some((index, frame)) = self.entered(waiter, lock.address) {
            let known = &self.known[index];
            text += &format!(", held by {}", known.thread.text());
            if let Some(frame) = known.frames.get(frame) {
                text += &format!(" by a with statement in {frame}");
            }
            (owner, found) = (Some(known.thread.clone()), Some(index));
        } else {
            text += "; who holds it is not recorded";
        }
        let object = Some(ObjectView { type_name: name.to_owned(), address: lock.address });
        (WaitView { kind, text, object, owner, ..WaitView::default() }, found)
    }

    /// The thread that has entered a lock by `with`, and its frame that did. Inside of the block
    /// it may have released the lock: nobody is named where several have entered it, and the
    /// thread that waits only where it does not call `acquire()`, as after such a release.
    fn entered(&self, waiter: usize, lock: u64) -> Option<(usize, usize)> {
        let entered = self.facts.iter().enumerate().filter_map(|(index, facts)| {
            Some((index, facts.held.iter().find(|held| held.lock == lock)?))
        });
        let (itself, others): (Vec<_>, Vec<_>) = entered.partition(|(index, _)| *index == waiter);
        let acquires = self.facts.get(waiter).is_some_and(|facts| facts.acquires);
        match (&others[..], &itself[..]) {
            ([(index, held)], _) => Some((*index, held.frame)),
            ([], [(index, held)]) if !acquires => Some((*index, held.frame)),
            _ => None,
        }
    }

    fn construct(&self, construct: &cpython::waits::Construct) -> Told {
        let object = format!("{} at {:#x}", construct.type_name, construct.object);
        let thread = construct.thread.map(|ident| {
            let (mut thread, index) = self.owner(ident);
            if index.is_none() && construct.purpose != Purpose::Import {
                // It knows its name itself.
                thread.thread_name = construct.name.clone();
            }
            (thread, index)
        });
        let called = match (&thread, &construct.name) {
            (Some((thread, _)), _) => thread.text(),
            (None, Some(name)) => format!("thread \"{name}\""),
            (None, None) => "a thread".to_owned(),
        };
        let (kind, text) = match construct.purpose {
            Purpose::Join => ("join", format!("the end of {called} (Thread.join)")),
            Purpose::Start => ("start", format!("the start of {called}")),
            Purpose::Shutdown => {
                let now =
                    if thread.is_some() { format!(", now of {called}") } else { String::new() };
                ("shutdown", format!("the end of all threads that are no daemons{now}"))
            }
            Purpose::Condition => ("condition", format!("a notify of {object}")),
            Purpose::Event => ("event", format!("{object} to be set")),
            Purpose::Semaphore => ("semaphore", format!("{object} to be released")),
            Purpose::Barrier => ("barrier", format!("more threads to come to {object}")),
            Purpose::Get => ("queue_get", format!("an item in {object}")),
            Purpose::Put => ("queue_put", format!("room in {object}")),
            Purpose::Tasks => ("queue_join", format!("all tasks of {object} to be done")),
            Purpose::Future => ("future", format!("the result of {object}")),
            Purpose::Futures => ("futures", "futures to be done".to_owned()),
            Purpose::Import => {
                let name = construct.name.as_deref().unwrap_or("?");
                let by = thread.as_ref().map(|(thread, _)| format!(" by {}", thread.text()));
                ("import", format!("the import of {name}{}", by.unwrap_or_default()))
            }
        };
        let address = construct.object;
        let object =
            (address != 0).then(|| ObjectView { type_name: construct.type_name.clone(), address });
        let (owner, found) = thread.unzip();
        (WaitView { kind, text, object, owner, ..WaitView::default() }, found.flatten())
    }
}
