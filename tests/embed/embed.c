/* A program of another name with a Python inside: what games, editors and servers that embed Python look like to a
 * profiler. Usage: PROGRAM SCRIPT [ARGUMENT...]; runs the script as __main__ with Python 2.7 or 3.6 and later.
 *
 * Scripts can import the module "embed":
 *   embed.start_thread(callable, name="")  runs the callable in a thread that C made (pthread_create), which Python
 *                                          meets by PyGILState_Ensure and threading knows nothing of
 *   embed.start_interpreter(source)        runs source text in a subinterpreter of its own, in such a thread
 *   embed.sleep(seconds)                   sleeps in C without the interpreter's lock
 *   embed.spin(seconds)                    works in C and keeps the lock
 *
 * PYTHON_HOME, given by the compiler's command line, is where this Python's library is: without it, a "python3" of
 * another build in $PATH would be taken for ours. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_THREADS 64

static pthread_t threads[MAX_THREADS];
static int thread_count;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void *run_callable(void *callable)
{
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *result = PyObject_CallObject((PyObject *)callable, NULL);
    if (result == NULL)
        PyErr_Print();
    Py_XDECREF(result);
    Py_DECREF((PyObject *)callable);
    PyGILState_Release(state);
    return NULL;
}

static void *run_interpreter(void *source)
{
    PyGILState_STATE state = PyGILState_Ensure();
    PyThreadState *outer = PyThreadState_Get();
    PyThreadState *inner = Py_NewInterpreter();
    if (inner == NULL) {
        fprintf(stderr, "embed: no subinterpreter\n");
    } else {
        PyRun_SimpleString((const char *)source);
        Py_EndInterpreter(inner);
    }
    PyThreadState_Swap(outer);
    free(source);
    PyGILState_Release(state);
    return NULL;
}

/* Starts a C thread; 0, or -1 with an exception set. */
static int start(void *(*run)(void *), void *argument, const char *name)
{
    int error;
    if (thread_count == MAX_THREADS) {
        PyErr_SetString(PyExc_RuntimeError, "too many threads");
        return -1;
    }
    error = pthread_create(&threads[thread_count], NULL, run, argument);
    if (error) {
        PyErr_SetString(PyExc_OSError, strerror(error));
        return -1;
    }
    if (name != NULL && *name)
        pthread_setname_np(threads[thread_count], name);
    thread_count++;
    return 0;
}

static PyObject *embed_start_thread(PyObject *self, PyObject *args)
{
    PyObject *callable;
    const char *name = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "O|s", &callable, &name))
        return NULL;
    Py_INCREF(callable);
    if (start(run_callable, callable, name) < 0) {
        Py_DECREF(callable);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *embed_start_interpreter(PyObject *self, PyObject *args)
{
    const char *source;
    char *copy;
    (void)self;
    if (!PyArg_ParseTuple(args, "s", &source))
        return NULL;
    copy = strdup(source);
    if (copy == NULL)
        return PyErr_NoMemory();
    if (start(run_interpreter, copy, NULL) < 0) {
        free(copy);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *embed_sleep(PyObject *self, PyObject *args)
{
    double seconds;
    struct timespec t;
    (void)self;
    if (!PyArg_ParseTuple(args, "d", &seconds))
        return NULL;
    t.tv_sec = (time_t)seconds;
    t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
    Py_BEGIN_ALLOW_THREADS
    nanosleep(&t, NULL);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *embed_spin(PyObject *self, PyObject *args)
{
    double seconds, end;
    (void)self;
    if (!PyArg_ParseTuple(args, "d", &seconds))
        return NULL;
    for (end = now() + seconds; now() < end;)
        ;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"start_thread", embed_start_thread, METH_VARARGS, NULL},
    {"start_interpreter", embed_start_interpreter, METH_VARARGS, NULL},
    {"sleep", embed_sleep, METH_VARARGS, NULL},
    {"spin", embed_spin, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

#if PY_MAJOR_VERSION >= 3
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "embed", NULL, -1, methods, NULL, NULL, NULL, NULL};

static PyObject *make_module(void)
{
    PyObject *made = PyModule_Create(&module);
#ifdef Py_GIL_DISABLED
    /* Importing a module that does not say so would switch the lock of a free-threaded build on again. */
    if (made != NULL)
        PyUnstable_Module_SetGIL(made, Py_MOD_GIL_NOT_USED);
#endif
    return made;
}

static void set_arguments(int argc, char **argv)
{
    int i;
    PyObject *list = PyList_New(argc);
    for (i = 0; i < argc; i++)
        PyList_SET_ITEM(list, i, PyUnicode_DecodeFSDefault(argv[i]));
    PySys_SetObject("argv", list);
    Py_DECREF(list);
}
#else
static void make_module(void)
{
    Py_InitModule("embed", methods);
}

static void set_arguments(int argc, char **argv)
{
    PySys_SetArgvEx(argc, argv, 0);
}
#endif

int main(int argc, char **argv)
{
    FILE *script;
    int i, status;
    if (argc < 2) {
        fprintf(stderr, "usage: %s SCRIPT [ARGUMENT...]\n", argv[0]);
        return 2;
    }
    script = fopen(argv[1], "rb");
    if (script == NULL) {
        perror(argv[1]);
        return 1;
    }
#ifdef PYTHON_HOME
    setenv("PYTHONHOME", PYTHON_HOME, 0);
#endif
    PyImport_AppendInittab("embed", make_module);
    Py_Initialize();
#if PY_VERSION_HEX < 0x03070000
    PyEval_InitThreads();
#endif
    set_arguments(argc - 1, argv + 1);
    status = PyRun_SimpleFileEx(script, argv[1], 1) ? 1 : 0;
    /* As a server would, wait for the C threads before taking Python down: they need the lock to end. */
    Py_BEGIN_ALLOW_THREADS
    for (i = 0; i < thread_count; i++)
        pthread_join(threads[i], NULL);
    Py_END_ALLOW_THREADS
    Py_Finalize();
    return status;
}
