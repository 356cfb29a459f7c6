//! Rust between Python functions, through PyO3, for tests of --native.

use pyo3::prelude::*;
use std::hint::black_box;

/// What is behind each `black_box` keeps a call from being the last thing that a function does.
#[inline(never)]
fn pass<'py>(callable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    black_box(callable.call0())
}

/// A function of the module.
#[pyfunction]
#[inline(never)]
fn call<'py>(callable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    black_box(pass(callable))
}

#[pyclass]
struct Caller(Py<PyAny>);

#[pymethods]
impl Caller {
    #[new]
    fn new(callable: Py<PyAny>) -> Caller {
        Caller(callable)
    }

    /// A method, with a closure that the compiler puts into it.
    #[inline(never)]
    fn run<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let inlined = |callable| black_box(pass(callable));
        black_box(inlined(self.0.bind(py)))
    }
}

#[pymodule]
fn pyo3_kit(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(call, module)?)?;
    module.add_class::<Caller>()
}
