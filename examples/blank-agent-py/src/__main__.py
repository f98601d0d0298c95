"""Starts the agent where the platform asks for it."""
import os

import uvicorn

from src.agent import app

uvicorn.run(app, host=os.environ.get("HOST", "0.0.0.0"), port=int(os.environ.get("PORT", "8080")))
