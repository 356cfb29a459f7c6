/* C++ between Python frames, for tests of --native: it is called through ctypes.PyDLL, and calls a Python function that
 * it is given. */
#include <stdexcept>
#include <vector>

struct object;
extern "C" object *PyObject_CallObject(object *callable, object *args);

#define APART __attribute__((noinline, noclone))
#define KEEP(x) __asm__ volatile("" : "+r"(x) : : "memory")

namespace kit {

class Caller {
  public:
    explicit Caller(object *callable) : callable(callable) {}
    virtual ~Caller() = default;

    APART virtual object *call(int) const
    {
        object *found = PyObject_CallObject(callable, nullptr);
        KEEP(found);
        return found;
    }

  protected:
    object *callable;
};

namespace {

/* Of an anonymous namespace, and called by way of a table. */
class Hidden final : public Caller {
  public:
    using Caller::Caller;

    APART object *call(int depth) const override
    {
        object *found = Caller::call(depth + 1);
        KEEP(found);
        return found;
    }
};

} // namespace

template <typename T, int N> struct Box {
    T value;

    APART object *open(int depth)
    {
        object *found = value->call(depth + N);
        KEEP(found);
        return found;
    }
};

/* Always a part of its caller. */
__attribute__((always_inline)) inline object *inlined(Box<const Caller *, 3> &box)
{
    object *found = box.open(1);
    KEEP(found);
    return found;
}

APART object *operator+(const Caller &caller, int)
{
    Box<const Caller *, 3> box{&caller};
    object *found = inlined(box);
    KEEP(found);
    return found;
}

struct Failed : std::runtime_error {
    object *found;
    Failed(object *found) : std::runtime_error("as expected"), found(found) {}
};

/* Calls while an exception that it has caught is still there, and throws another. */
template <typename T> APART void fail(const T &caller)
{
    try {
        std::vector<int>().at(3);
    } catch (const std::out_of_range &) {
        throw Failed(caller + 1);
    }
}

/* Calls from what is destroyed while an exception passes. */
struct Guard {
    const Caller &caller;
    APART ~Guard()
    {
        object *found = caller.call(0);
        KEEP(found);
    }
};

APART void pass(const Caller &caller)
{
    Guard guard{caller};
    fail(caller);
}

} // namespace kit

extern "C" object *kit_cpp(object *callable)
{
    auto run = [&](const kit::Caller &caller) -> object * {
        try {
            kit::pass(caller);
        } catch (const kit::Failed &failed) {
            return failed.found;
        }
        return nullptr;
    };
    object *found = run(kit::Hidden(callable));
    KEEP(found);
    return found;
}
