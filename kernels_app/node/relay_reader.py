"""One web process as the node's relay knows it: how far it is heard, what it is to be told, how much it has read."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from kernels_app.bus.identifiers import Mailbox, NodeId
from kernels_app.bus.relay_envelopes import (
    PART_BYTES,
    CommandPart,
    Forgotten,
    MailItem,
    MailPart,
    PieceJoiner,
    RelayCommand,
    RelayMail,
    decode_relay_command,
    encode_relay,
    pieces_of,
)
from kernels_app.node.relay_kernel import KernelRelay

# Mail that was cast and not read yet. Message servers close connections that they owe much more (Redis: 8 MB for a
# minute). What is larger waits in the log of its kernel.
UNREAD_BYTES = 6 * 1024 * 1024


class RelayReader:
    """`heard`: every command up to it came, whole and in order."""

    def __init__(self, mailbox: Mailbox, now_s: float) -> None:
        self.mailbox = mailbox
        self.heard = 0
        self.heard_s = now_s
        self.owes_answer = False
        self.items: list[MailItem] = []  # answers, before the log
        self.kernels: set[KernelRelay] = set()  # it has clients of
        self.dirty: dict[KernelRelay, None] = {}  # something new in their logs; in order
        self.held: list[RelayCommand] = []  # about kernels that are not known yet
        self._number: int | None = None  # of the last part of a command; None before the first
        self._joiner = PieceJoiner()
        self._is_missing = False
        self._mail_number = 0
        self._unread: deque[tuple[int, int]] = deque()  # numbers and sizes
        self._unread_bytes = 0
        self._pieces: deque[tuple[int, bool, bytes]] = deque()  # of a large mail that is under way

    def take(self, message: RelayCommand | CommandPart, now_s: float) -> RelayCommand | None:
        """A command that is whole and the next one. The reader learns of repeats and gaps with the next mail."""
        self.heard_s = now_s
        self.owes_answer = True
        if self._number is None:
            # It goes on behind what was confirmed to it, perhaps by us before we forgot it.
            self._number = self.heard = message.heard
            if message.heard:
                self.items.append(Forgotten())
        if message.number != self._number + 1:
            self._is_missing |= message.number > self._number
            return None
        self._number = message.number
        self._is_missing = False
        command: RelayCommand
        if isinstance(message, CommandPart):
            whole = self._joiner.add(message.index, message.piece, is_last=message.is_last)
            if whole is None:
                return None
            decoded = decode_relay_command(whole)
            if not isinstance(decoded, RelayCommand):
                return None
            command = decoded
        else:
            command = message
        self.heard = self._number
        self._count_read(command)
        return command

    def _count_read(self, command: RelayCommand) -> None:
        if command.is_anew:
            self._unread.clear()
            self._unread_bytes = 0
            self._pieces.clear()
        while self._unread and self._unread[0][0] <= command.read:
            self._unread_bytes -= self._unread.popleft()[1]

    def skip(self) -> None:
        """Mail may have been lost: the gap in its numbers tells the web process."""
        self._mail_number += 1
        self.owes_answer = True

    @property
    def may_get_more(self) -> bool:
        return self._unread_bytes < UNREAD_BYTES

    @property
    def has_mail(self) -> bool:
        """Something is to be cast, and may be."""
        return self.owes_answer or bool((self.items or self.dirty or self._pieces) and self.may_get_more)

    def mail(self, node_id: NodeId, fence: int, collect: Callable[[], list[MailItem]]) -> bytes:
        """The next payload to cast; `collect` gives what is to be told when no large mail is under way."""
        if self._pieces and self.may_get_more:
            return self._piece(node_id, fence)
        payload = encode_relay(
            RelayMail(
                node_id=node_id,
                fence=fence,
                number=self._mail_number + 1,
                heard=self.heard,
                items=[] if self._pieces else collect(),
                is_missing=self._is_missing,
                sent_at=time.time(),
            )
        )
        self.owes_answer = False
        self._is_missing = False
        if len(payload) > PART_BYTES:
            self._pieces.extend(pieces_of(payload))
            return self._piece(node_id, fence)
        return self._sent(payload)

    def _piece(self, node_id: NodeId, fence: int) -> bytes:
        index, is_last, piece = self._pieces.popleft()
        part = MailPart(
            node_id=node_id,
            fence=fence,
            number=self._mail_number + 1,
            index=index,
            is_last=is_last,
            piece=piece,
        )
        return self._sent(encode_relay(part))

    def _sent(self, payload: bytes) -> bytes:
        self._mail_number += 1
        self._unread.append((self._mail_number, len(payload)))
        self._unread_bytes += len(payload)
        return payload
