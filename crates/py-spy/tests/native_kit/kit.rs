//! Rust between Python frames, for tests of --native: it is called through ctypes.PyDLL, and
//! calls a Python function that it is given.

use std::ffi::c_void;
use std::hint::black_box;

type Object = *mut c_void;

unsafe extern "C" {
    fn PyObject_CallObject(callable: Object, args: Object) -> Object;
}

trait Call {
    fn call(&self, depth: i32) -> Object;
}

struct Caller<T>(T);

impl Call for Caller<Object> {
    #[inline(never)]
    fn call(&self, depth: i32) -> Object {
        let found = unsafe { PyObject_CallObject(self.0, std::ptr::null_mut()) };
        black_box((found, depth)).0
    }
}

mod inner {
    #[inline(never)]
    pub fn apply<F: Fn(i32) -> R, R>(function: F) -> R {
        std::hint::black_box(function(3))
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn kit_rust(callable: Object) -> Object {
    let caller: Box<dyn Call> = black_box(Box::new(Caller(callable)));
    inner::apply(|depth| black_box(caller.call(depth + 1)))
}
