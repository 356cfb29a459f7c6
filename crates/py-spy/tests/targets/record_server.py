"""A small web application whose requests cost CPU time in a function of its own."""


def render_report(rows):
    total = 0
    for row in range(rows):
        total += row * row
    return str(total)


def application(environ, start_response):
    body = render_report(20000).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
