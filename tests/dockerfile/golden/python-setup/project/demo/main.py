from demo.views import views
from flask import Flask

app = Flask(__name__)
