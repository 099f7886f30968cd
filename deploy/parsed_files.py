"""Has jedi parse what first completions need, once for all kernels of an environment. Run by its Python:
`<environment>/bin/python deploy/parsed_files.py`. Kernels read it (kernels_app/node/kernel_profile.py).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

FOLDER = Path(sys.prefix, "share", "parsed-files")
IMPORTS = "import os, json, re, math, datetime\nimport numpy as np\nimport pandas as pd\n"
BEGINNINGS = (
    "pri", "open('x').re", "[1].app", "{}.ke", "'a'.up", "import o", "from collections import Ord",
    "from pathlib import Path\nPath('x').re", "os.pa", "json.lo", "re.ma", "math.pi", "datetime.datetime.no",
    "np.ar", "np.zeros(3).re", "pd.read_c", "pd.DataFrame().gr", "pd.Series().va",
    "import matplotlib.pyplot as plt\nplt.pl",
)  # fmt: skip


def main() -> None:
    # Only here: this Python is the notebooks', not the hub's.
    import jedi
    from IPython.core.completer import provisionalcompleter
    from IPython.core.interactiveshell import InteractiveShell

    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    jedi.settings.cache_directory = str(FOLDER)
    with tempfile.TemporaryDirectory() as folder, provisionalcompleter():
        os.environ["IPYTHONDIR"] = folder  # no history of this in somebody's home
        shell = InteractiveShell.instance()
        shell.run_cell(IMPORTS)
        for beginning in BEGINNINGS:
            list(shell.Completer.completions(beginning, len(beginning)))


if __name__ == "__main__":
    main()
