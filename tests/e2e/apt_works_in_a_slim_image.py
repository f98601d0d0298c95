"""A real Debian and its real apt: lists of one RUN serve the next, neither they nor the packages'
files are in the image, and in the image apt still updates and installs."""
import kiln_server
from workshop import WorkshopCase, add_tests

DOCKERFILE = """FROM debian:bookworm-slim
RUN apt-get update
RUN apt-get install --yes --no-install-recommends less
COPY check /
CMD ["/check"]
"""
CHECK = """#!/bin/sh
set -eux
less --version
test -z "$(find /var/lib/apt/lists /var/cache/apt -type f -size +0)"
grep '^Package: less$' /var/lib/dpkg/status
dpkg --verify less
apt-get update
apt-get install --yes --no-install-recommends tree
tree --version
"""


class SlimImages(WorkshopCase):
    @classmethod
    def prove(cls, name):
        folder = cls.kiln.directory / name
        folder.mkdir()
        (folder / "Dockerfile").write_text(DOCKERFILE)
        (folder / "check").write_text(CHECK)
        (folder / "check").chmod(0o755)
        with cls.containers.start(cls.build(folder, "--type", "agent")) as container:
            code, said = container.wait(180)
            assert code == 0, said


add_tests(SlimImages, ["debian"])

if __name__ == "__main__":
    kiln_server.main()
