"""Answers with a text that only the dependency can make."""
import humanize
from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return f"{humanize.intcomma(1234567)} bricks from python-pip\n"
