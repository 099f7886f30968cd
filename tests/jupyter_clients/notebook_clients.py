"""nbclient and papermill with jupyter_server's gateway kernels: `notebook_clients.py FOLDER`.

Where the gateway is, is in the environment, as for any program that uses it. Prints what it saw as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import papermill
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

GATEWAY = "jupyter_server.gateway.managers.GatewayKernelManager"
PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
folder = Path(sys.argv[1])


def outputs(notebook):
    return [cell.outputs for cell in notebook.cells]


seen = {}
notebook = new_notebook(
    metadata=PYTHON,
    cells=[
        new_code_cell(
            "from pathlib import Path\nPath('made.txt').write_text('by nbclient')\nprint('hi', 6 * 7)"
        ),
        new_code_cell(
            "from IPython.display import display\nshown = display('a', display_id=True)\nshown.update('b')"
        ),
        new_code_cell("'x' * 300_000"),
    ],
)
NotebookClient(notebook, kernel_manager_class=GATEWAY).execute()
seen["nbclient"] = outputs(notebook)
failing = new_notebook(metadata=PYTHON, cells=[new_code_cell("1/0"), new_code_cell("print('not reached')")])
try:
    NotebookClient(failing, kernel_manager_class=GATEWAY).execute()
except CellExecutionError as error:
    seen["failure"] = error.ename

tagged = new_code_cell("name = 'nobody'", metadata={"tags": ["parameters"]})
nbformat.write(
    new_notebook(metadata=PYTHON, cells=[tagged, new_code_cell("print(name)")]), folder / "in.ipynb"
)
papermill.execute_notebook(
    str(folder / "in.ipynb"),
    str(folder / "out.ipynb"),
    parameters={"name": "Ada"},
    kernel_manager_class=GATEWAY,
    progress_bar=False,
)
seen["papermill"] = outputs(nbformat.read(folder / "out.ipynb", as_version=4))
print(json.dumps(seen))
