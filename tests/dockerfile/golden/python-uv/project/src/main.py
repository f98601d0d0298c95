from fastapi import FastAPI
from .agent import agent

app = FastAPI()
