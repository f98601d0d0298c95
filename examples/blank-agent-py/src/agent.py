"""An agent that says back what it was told: the place for a real one."""
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Request(BaseModel):
    inputs: str


@app.get("/health")
async def health():
    return {"status": "ok"}


@app.post("/")
async def answer(request: Request):
    return {"output": f"You said: {request.inputs}"}
