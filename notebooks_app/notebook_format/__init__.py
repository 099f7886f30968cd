"""Reading and writing `.ipynb` files, and the folded form of outputs. Pure."""

from notebooks_app.notebook_format.contents import Cell, Notebook, NotebookError, with_cell_ids
from notebooks_app.notebook_format.outputs import (
    INLINE_LIMIT_BYTES,
    BlobMissing,
    blobs_in,
    fold_outputs,
    unfold_outputs,
)
from notebooks_app.notebook_format.reading import MAX_NOTEBOOK_BYTES, read_notebook
from notebooks_app.notebook_format.writing import write_notebook

__all__ = [
    "INLINE_LIMIT_BYTES",
    "MAX_NOTEBOOK_BYTES",
    "BlobMissing",
    "Cell",
    "Notebook",
    "NotebookError",
    "blobs_in",
    "fold_outputs",
    "read_notebook",
    "unfold_outputs",
    "with_cell_ids",
    "write_notebook",
]
