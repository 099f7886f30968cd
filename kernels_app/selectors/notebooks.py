"""The authored content of a notebook, as it is at this moment."""

from __future__ import annotations

from kernels_app.bus.transport import TransportError
from kernels_app.errors import Unavailable
from notebooks_app.models import Document
from notebooks_app.services.documents_content import LiveNotebook, read_live_notebook


def live_notebook(document: Document) -> LiveNotebook:
    """With every edit that was acknowledged.

    Raises:
        Unavailable: the message server, which has the newest edits, does not answer.
    """
    try:
        return read_live_notebook(document)
    except TransportError as error:
        raise Unavailable("The hub's message server does not answer. Try again in a moment.") from error
