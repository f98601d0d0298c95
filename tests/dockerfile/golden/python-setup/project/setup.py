from setuptools import setup

setup(name="demo", install_requires=["flask>=3", "gunicorn"], packages=["demo"])
