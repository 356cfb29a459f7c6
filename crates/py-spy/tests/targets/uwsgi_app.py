"""A WSGI application that starts a thread of its own."""
import truth


def background():
    return truth.park()


def application(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]


truth.start(background, "background", warm=0)
truth.say(threads=truth.truth(0))
