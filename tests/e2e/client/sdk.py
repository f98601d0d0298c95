"""Builds images and makes volumes with the unmodified Python SDK, and prints what happens, a JSON
object a line.

    python3 sdk.py NAME TEMPLATE FOLDER     with KILN_URL, BL_API_KEY and BL_WORKSPACE set

FOLDER holds config.json and src/.
"""
import asyncio
import json
import os
import pathlib
import sys

from blaxel.core import ImageInstance, SyncVolumeInstance, VolumeInstance
from blaxel.core.client.api.compute import delete_sandbox, get_sandbox, list_sandboxes
from blaxel.core.client.client import client
from blaxel.core.volume.volume import VolumeAPIError

NAME, TEMPLATE, FOLDER = sys.argv[1:4]


def say(**what):
    print(json.dumps(what), flush=True)


def build(image, **more):
    statuses = []
    try:
        sandbox = image.build_sync(name=NAME, memory=2048, timeout=180.0,
                                   on_status_change=statuses.append, **more)
        say(statuses=statuses, image=sandbox.spec.runtime.image, status=sandbox.status)
    except RuntimeError as e:
        say(statuses=statuses, error=str(e))


def images():
    base = ImageInstance.from_registry("alpine:3.20")
    folder = pathlib.Path(FOLDER)
    build(base.workdir("/app")
          .add_local_file(str(folder / "config.json"), "/app/config.json")
          .add_local_dir(str(folder / "src"), "/app/src")
          .run_commands("cat /app/config.json").expose(3000))
    build(base.run_commands("echo built again"))
    build(base.run_commands("echo BAD_RUN >&2; exit 42"))
    if hasattr(ImageInstance, "list_tags"):  # by pages: later than 0.4.3
        page = ImageInstance.list(limit=50)
        say(listed=[i.metadata.name for i in page], counts=[i.spec.tag_count for i in page])
        names, page = [], ImageInstance.list_tags("sandbox", NAME, limit=1)
        while True:
            names += [tag.name for tag in page]
            if not page.has_more:
                break
            page = page.next_page()
        say(tags=names)


def sandboxes():
    page = list_sandboxes.sync(client=client)
    say(sandboxes=[s.metadata.name for s in getattr(page, "data", page)])
    say(deleted=delete_sandbox.sync(NAME, client=client).metadata.name)
    say(left=get_sandbox.sync_detailed(NAME, client=client).status_code.value)


def volumes():
    made = SyncVolumeInstance.create_if_not_exists({"name": "sdk-py", "template": TEMPLATE})
    found = SyncVolumeInstance.create_if_not_exists({"name": "sdk-py", "size": 9999})
    say(made=made.name, size=made.size, template=made.template, found=found.size)
    try:
        SyncVolumeInstance.create({"name": "sdk-py", "template": TEMPLATE})
    except VolumeAPIError as e:
        say(refused=str(e), status=e.status_code)
    say(volumes=[v.name for v in SyncVolumeInstance.list()])
    SyncVolumeInstance.delete("sdk-py")


async def asynchronously():
    made = await VolumeInstance.create({"name": "sdk-async", "template": TEMPLATE})
    say(asynchronous=made.name)


client.with_base_url(os.environ["KILN_URL"])
images()
sandboxes()
volumes()
asyncio.run(asynchronously())
