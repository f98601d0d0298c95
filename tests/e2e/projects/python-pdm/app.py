"""Answers with a text that only the dependency can make."""
import os

import humanize
from bottle import default_app, route, run


@route("/")
def hello():
    return f"{humanize.intcomma(1234567)} bricks from python-pdm\n"


if __name__ == "__main__":
    run(default_app(), host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "80")), quiet=True)
