/* Native code between Python frames, for tests of --native. It needs no Python headers: objects are only handed on.
 *
 * Loaded with ctypes (kit_call through PyDLL, the others through CDLL), and, with the headers of an interpreter and
 * -DKIT_MODULE, as an extension module `kit`. */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#ifdef KIT_MODULE
#include <Python.h>
typedef PyObject object;
#else
typedef void object;
extern object *PyObject_CallObject(object *callable, object *args);
#endif

#define APART __attribute__((noinline, noclone))
#define KEEP(x) __asm__ volatile("" : "+r"(x) : : "memory")

/* Three functions that differ in how they use the stack; none ends in a jump to the next. */
APART object *kit_inner(object *callable)
{
    object *found = PyObject_CallObject(callable, NULL);
    KEEP(found);
    return found;
}

APART object *kit_middle(object *callable)
{
    volatile char large[3000];
    large[0] = 1;
    large[sizeof large - 1] = 2;
    object *found = kit_inner(callable);
    KEEP(found);
    return large[0] == 1 ? found : NULL;
}

/* The stack is realigned, and its size is not known before. */
APART object *kit_aligned(object *callable, int size)
{
    char *extra = __builtin_alloca(size);
    double wide[8] __attribute__((aligned(64)));
    wide[0] = size;
    KEEP(extra);
    object *found = kit_middle(callable);
    __asm__ volatile("" : : "r"(extra), "r"(wide) : "memory");
    return found;
}

object *kit_call(object *callable)
{
    object *found = kit_aligned(callable, 300);
    KEEP(found);
    return found;
}

/* A callback that is a C function pointer. */
typedef int (*callback)(int);

APART int kit_apply_inner(callback call, int value)
{
    int found = call(value) + 1;
    KEEP(found);
    return found;
}

int kit_apply(callback call, int value)
{
    int found = kit_apply_inner(call, value) + 1;
    KEEP(found);
    return found;
}

/* Computes for so many milliseconds. */
APART uint64_t kit_hot(int ms)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t end = now.tv_sec * 1000000000ull + now.tv_nsec + ms * 1000000ull, x = 1;
    do {
        for (int i = 0; i < 20000; i++)
            x = x * 6364136223846793005ull + 1442695040888963407ull;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec * 1000000000ull + now.tv_nsec < end);
    return x;
}

uint64_t kit_spin(int ms)
{
    uint64_t found = kit_hot(ms);
    KEEP(found);
    return found;
}

/* Without unwind information, and with a stack that no rule of thumb would find its way on. */
#ifdef __aarch64__
__asm__(".text\n"
        ".globl kit_bare\n"
        ".type kit_bare, @function\n"
        "kit_bare:\n"
        "    sub sp, sp, #112\n"
        "    stp x19, x30, [sp, #80]\n"
        "    str x29, [sp, #96]\n"
        "    mov x19, x0\n"
        "    mov x29, #-1\n"
        "    mov w0, w1\n"
        "    blr x19\n"
        "    tbnz w0, #31, 1f\n"
        "    add w0, w0, #1\n"
        "    ldr x29, [sp, #96]\n"
        "    ldp x19, x30, [sp, #80]\n"
        "    add sp, sp, #112\n"
        "    ret\n"
        "1:  mov w0, wzr\n"
        "    ldr x29, [sp, #96]\n"
        "    ldp x19, x30, [sp, #80]\n"
        "    add sp, sp, #112\n"
        "    ret\n"
        ".size kit_bare, .-kit_bare\n");
#else
__asm__(".text\n"
        ".globl kit_bare\n"
        ".type kit_bare, @function\n"
        "kit_bare:\n"
        "    pushq %rbx\n"
        "    pushq %rbp\n"
        "    subq $88, %rsp\n"
        "    movq %rdi, %rbx\n"
        "    movq $-1, %rbp\n"
        "    movl %esi, %edi\n"
        "    call *%rbx\n"
        "    testl %eax, %eax\n"
        "    js 1f\n"
        "    incl %eax\n"
        "    addq $88, %rsp\n"
        "    popq %rbp\n"
        "    popq %rbx\n"
        "    ret\n"
        "1:  xorl %eax, %eax\n"
        "    addq $88, %rsp\n"
        "    popq %rbp\n"
        "    popq %rbx\n"
        "    ret\n"
        ".size kit_bare, .-kit_bare\n");
#endif

/* Says of itself that its return address is where it is not. */
#ifdef __aarch64__
__asm__(".text\n"
        ".globl kit_lost\n"
        ".type kit_lost, @function\n"
        "kit_lost:\n"
        "    .cfi_startproc\n"
        "    sub sp, sp, #32\n"
        "    .cfi_def_cfa_offset 32\n"
        "    .cfi_offset 30, -32\n"
        "    str x30, [sp, #16]\n"
        "    mov x9, #0x1234\n"
        "    str x9, [sp]\n"
        "    mov x9, x0\n"
        "    mov w0, w1\n"
        "    blr x9\n"
        "    ldr x30, [sp, #16]\n"
        "    add sp, sp, #32\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size kit_lost, .-kit_lost\n");
#else
__asm__(".text\n"
        ".globl kit_lost\n"
        ".type kit_lost, @function\n"
        "kit_lost:\n"
        "    .cfi_startproc\n"
        "    subq $24, %rsp\n"
        "    movq $0x1234, (%rsp)\n"
        "    movq %rdi, %rax\n"
        "    movl %esi, %edi\n"
        "    call *%rax\n"
        "    addq $24, %rsp\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size kit_lost, .-kit_lost\n");
#endif

#ifdef KIT_MODULE
static PyObject *kit_method(PyObject *self, PyObject *callable)
{
    (void)self;
    PyObject *found = kit_call(callable);
    KEEP(found);
    return found;
}

static PyObject *kit_spin_method(PyObject *self, PyObject *args)
{
    (void)self;
    int ms;
    if (!PyArg_ParseTuple(args, "i", &ms))
        return NULL;
    uint64_t found;
    Py_BEGIN_ALLOW_THREADS
    found = kit_spin(ms);
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLongLong(found);
}

static PyMethodDef methods[] = {
    {"call", kit_method, METH_O, NULL},
    {"spin", kit_spin_method, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

#if PY_MAJOR_VERSION == 2
PyMODINIT_FUNC initkit(void) { Py_InitModule("kit", methods); }
#else
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "kit", NULL, -1, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_kit(void)
{
    PyObject *made = PyModule_Create(&module);
#ifdef Py_GIL_DISABLED
    PyUnstable_Module_SetGIL(made, Py_MOD_GIL_NOT_USED);
#endif
    return made;
}
#endif
#endif
