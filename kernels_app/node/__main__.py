"""`python -m kernels_app.node`: the node."""

import sys

from kernels_app.node.main import main

sys.exit(main())
