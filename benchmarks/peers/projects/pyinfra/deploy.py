"""The deploy of the benchmark."""

from pyinfra import host
from pyinfra.operations import files
from wanted import DIRECTORIES, FILES, LINKS, TEMPLATES

root = host.data.root

for item in DIRECTORIES:
    files.directory(path=f"{root}/{item['path']}", mode=item["mode"])

for item in FILES:
    files.put(src=f"files/{item['path']}", dest=f"{root}/{item['path']}", mode=item["mode"])

for item in TEMPLATES:
    files.template(
        src="templates/unit.conf.j2",
        dest=f"{root}/{item['path']}",
        mode=item["mode"],
        instance=item["instance"],
        listen=item["listen"],
    )

for item in LINKS:
    files.link(path=f"{root}/{item['path']}", target=item["target"])
