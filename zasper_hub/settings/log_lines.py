"""What the hub's own log lines look like: one line an event, with ids, for `grep` and for log collectors."""

from __future__ import annotations

import contextlib
import logging
import sys

import structlog

_KNOWN: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_WRITTEN: list[structlog.types.Processor] = [
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
]


def configure_log_lines(level_name: str) -> None:
    """`timestamp='2026-11-22T16:37:29Z' level='warning' event='node_lost' node_id='local'` on standard error.

    Values are written as Python writes them, so no control character of anybody reaches a terminal, and tracebacks are
    plain: with the values of local variables they would tell tokens and the sources of cells.
    """
    structlog.configure(
        processors=[*_KNOWN, *_WRITTEN],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level_name]),
        logger_factory=_StandardError(),
    )


def library_lines() -> logging.Formatter:
    """The same shape, request id included, for what Django and other packages log."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_KNOWN, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_WRITTEN],
    )


class _StandardError:
    """Looked up at each logger, so that what captures standard error sees the lines."""

    def __call__(self, *_: object) -> _Lines:
        return _Lines(sys.stderr)


class _Lines(structlog.PrintLogger):
    """A line that cannot be written (the disk with the log files is full) fails nothing else."""

    def msg(self, message: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().msg(message)

    debug = info = warning = error = critical = fatal = failure = exception = log = err = warn = msg
