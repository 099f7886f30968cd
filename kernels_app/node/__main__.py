import sys

from kernels_app.node.main import main

sys.exit(main())
