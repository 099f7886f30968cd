"""What the wire keeps of a document, and nobody needs once its row is gone."""

from __future__ import annotations

from uuid import UUID

import structlog

from kernels_app.bus.identifiers import DocumentId, run_log, run_log_trimmed, update_log
from kernels_app.bus.transport import TransportError
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)


def forget_logs(document_id: UUID, epoch: str) -> None:
    """Deletes the document's logs of edits and of outputs. Without a wire they stay: they harm nobody."""
    key = DocumentId(str(document_id))
    try:
        wire = blocking_transport()
        for name in (update_log(key, epoch), run_log(key)):
            wire.delete_log(name)
        wire.delete_value(run_log_trimmed(key))
    except TransportError:
        log.warning("logs_not_deleted", document_id=str(document_id))
