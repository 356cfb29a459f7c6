"""Two threads and the main one, standing still. See truth.py."""
import truth


class Place(object):
    def outer(self):
        return self.inner()

    def inner(self):
        return truth.park()


if __name__ == "__main__":
    truth.start(Place().outer, "first", warm=0)
    truth.start(lambda: Place().inner(), "second", warm=0)
    truth.serve()
