"""The attendant as a program: `python -I …/attendant`, wherever the folder was copied to."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

folder = Path(__file__).resolve().parent
# Python put the folder itself there; what is to be found is the package.
sys.path[0] = str(folder.parent)

code = importlib.import_module(f"{folder.name}.program").main(sys.argv[1:])
sys.stdout.flush()
os._exit(code)  # sockets linger for nobody
