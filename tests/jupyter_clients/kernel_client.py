"""`jupyter_kernel_client` at a project's server: `kernel_client.py URL TOKEN`. Prints what it saw as JSON."""

from __future__ import annotations

import json
import sys

from jupyter_kernel_client import JupyterKernelClient

url, token = sys.argv[1:]
seen = {}
with JupyterKernelClient(server_url=url, token=token) as kernel:
    seen["id"] = kernel.id
    seen["sum"] = kernel.execute("20 + 22")
    seen["printed"] = kernel.execute("for i in range(3): print(i)")
    seen["failed"] = kernel.execute("1/0")["outputs"][-1]["ename"]
    seen["asked"] = kernel.execute(
        "print(input('Name? '))",
        allow_stdin=True,
        stdin_hook=lambda message: kernel._manager.client.input("Ada"),
    )
    kernel.restart()
    # Its thread sometimes misses that its own socket was closed, and it then waits so long for it, at any server.
    kernel._manager.client.timeout = 1
    seen["after_restart"] = kernel.execute("try:\n    kept\nexcept NameError:\n    print('fresh')")
print(json.dumps(seen))
