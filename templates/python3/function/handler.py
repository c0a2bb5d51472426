def handle(req):
    """Answers with what it was sent. `req` is the body as text."""
    return req
