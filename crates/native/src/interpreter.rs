//! Which native functions are CPython's own, and what they are doing.

/// What a function is to somebody who looks at a Python program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs Python functions: stands for their frames.
    Eval,
    /// The interpreter's insides.
    Internal,
    /// The interpreter's insides, and worth a name: what it waits for, or housekeeping.
    Work(Work),
    /// What runs before and around everything else: `_start`, `main`, a thread's start.
    Startup,
    /// Machine code that the program has generated and given no name.
    Generated,
    /// Anything else: what people want to see.
    Plain,
}

/// Kinds of the interpreter's own work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Waiting for the GIL, or handing it over.
    Gil,
    /// Collecting garbage.
    Gc,
    /// Allocating and freeing memory.
    Memory,
}

/// The role of the function `name` in the module that holds the interpreter. `file` is the
/// name of its source file, where that is known.
pub(crate) fn role(name: &str, file: Option<&str>) -> Role {
    match name {
        // Python/ceval.c. PyEval_EvalFrameEx is the loop itself up to 3.5, and calls it
        // from 3.6 on.
        "_PyEval_EvalFrameDefault" | "PyEval_EvalFrameEx" => Role::Eval,
        // Python/ceval_gil.h (3.2 to 3.11), Python/ceval_gil.c.
        "take_gil" | "drop_gil" | "take_gil_impl" | "drop_gil_impl" => Role::Work(Work::Gil),
        // Modules/gcmodule.c, Python/gc.c and Python/gc_free_threading.c.
        "collect"
        | "collect_with_callback"
        | "collect_generations"
        | "gc_collect_main"
        | "gc_collect_generations"
        | "gc_collect_with_callback"
        | "gc_collect_young"
        | "gc_collect_increment"
        | "gc_collect_full"
        | "gc_collect_region"
        | "gc_collect_internal" => Role::Work(Work::Gc),
        // Objects/obmalloc.c.
        "PyObject_Malloc"
        | "PyObject_Calloc"
        | "PyObject_Realloc"
        | "PyObject_Free"
        | "_PyObject_Malloc"
        | "_PyObject_Calloc"
        | "_PyObject_Realloc"
        | "_PyObject_Free"
        | "PyMem_Malloc"
        | "PyMem_Calloc"
        | "PyMem_Realloc"
        | "PyMem_Free"
        | "PyMem_RawMalloc"
        | "PyMem_RawCalloc"
        | "PyMem_RawRealloc"
        | "PyMem_RawFree"
        | "pymalloc_alloc"
        | "pymalloc_realloc"
        | "pymalloc_free"
        | "_PyObject_Alloc"
        | "_PyObject_ArenaMmap"
        | "_PyObject_ArenaMunmap"
        | "_PyMem_RawMalloc"
        | "_PyMem_RawCalloc"
        | "_PyMem_RawRealloc"
        | "_PyMem_RawFree"
        | "_PyObject_MiCalloc"
        | "_PyObject_MiRealloc"
        | "_PyObject_MiFree"
        | "_PyMem_MiCalloc"
        | "_PyMem_MiRealloc"
        | "_PyMem_MiFree"
        | "mi_free"
        | "new_arena"
        | "_PyMem_MiMalloc"
        | "_PyObject_MiMalloc"
        | "_mi_malloc_generic" => Role::Work(Work::Memory),
        _ if file.is_some_and(is_module_file) => Role::Plain,
        _ => Role::Internal,
    }
}

/// Whether a source file of CPython's implements a module that a program imports, rather
/// than the interpreter: files of Modules/ are named `zlibmodule.c`, `_json.c`.
fn is_module_file(file: &str) -> bool {
    let core = matches!(
        file,
        // Python/, Objects/, and what of Modules/ the interpreter itself needs.
        "bltinmodule.c"
            | "sysmodule.c"
            | "_warnings.c"
            | "gcmodule.c"
            | "signalmodule.c"
            | "_threadmodule.c"
            | "threadmodule.c"
            | "_contextvars.c"
            | "atexitmodule.c"
            | "_codecsmodule.c"
            | "_weakref.c"
            | "_abc.c"
            | "_typingmodule.c"
            | "faulthandler.c"
            | "getpath.c"
            | "main.c"
            | "config.c"
            | "getbuildinfo.c"
    );
    let module = file.ends_with("module.c")
        || (file.starts_with('_') && file.ends_with(".c"))
        // Modules/_sre/ and Modules/_io/.
        || matches!(
            file,
            "sre.c" | "bufferedio.c" | "fileio.c" | "textio.c" | "stringio.c" | "bytesio.c"
                | "iobase.c"
        );
    module && !core
}

/// Functions around everything else: of the C library, and the executable's `main`.
pub(crate) fn is_startup(name: &str, path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    match name {
        "_start"
        | "__libc_start_main"
        | "__libc_start_main_impl"
        | "__libc_start_call_main"
        | "libc_start_main_stage2"
        | "start_thread"
        | "start"
        | "clone"
        | "clone3"
        | "__clone"
        | "__clone3"
        | "__clone_internal"
        | "thread_start" => true,
        "main" => file.starts_with("python"),
        _ => false,
    }
}

/// Waits with a time limit that, called from an unnamed function of the interpreter, tell
/// that it is `take_gil` (Python/ceval_gil.c; locks wait on semaphores instead).
pub(crate) fn is_gil_wait(name: &str) -> bool {
    matches!(
        name,
        "pthread_cond_timedwait"
            | "pthread_cond_clockwait"
            | "__pthread_cond_timedwait"
            | "___pthread_cond_timedwait64"
            | "___pthread_cond_clockwait64"
    )
}

/// 2.7 has no `take_gil`: its GIL is a lock, taken by this function if the evaluation
/// loop calls it, or one of those below (Python/ceval.c; Python/thread_pthread.h).
pub(crate) fn is_lock_wait(name: &str) -> bool {
    name == "PyThread_acquire_lock"
}

/// Who takes the GIL of 2.7 (Python/ceval.c).
pub(crate) fn is_for_gil(name: &str) -> bool {
    matches!(name, "PyEval_RestoreThread" | "PyEval_AcquireThread" | "PyEval_AcquireLock")
}

/// Whether a module is the C library (or, with musl, the loader as well).
pub(crate) fn is_c_library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    ["libc.so", "libc-", "libpthread", "ld-musl", "libc.musl"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// The frames of trampolines that CPython makes for profilers (Python/perf_trampoline.c).
pub(crate) fn is_trampoline(name: &str) -> bool {
    name.starts_with("py::") || name == "py::<trampoline>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_told_from_the_interpreter() {
        assert_eq!(role("_PyEval_EvalFrameDefault", None), Role::Eval);
        assert_eq!(role("pattern_search", Some("sre.c")), Role::Plain);
        assert_eq!(role("zlib_compress", Some("zlibmodule.c")), Role::Plain);
        assert_eq!(role("builtin_sorted", Some("bltinmodule.c")), Role::Internal);
        assert_eq!(role("list_sort", Some("listobject.c")), Role::Internal);
        assert_eq!(role("take_gil", None), Role::Work(Work::Gil));
        assert!(is_startup("main", "/usr/bin/python3.11") && !is_startup("main", "/opt/game"));
    }
}
