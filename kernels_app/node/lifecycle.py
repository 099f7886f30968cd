"""The life of one kernel: from an event and a state to the next state and what to do. Pure.

`pending → starting → idle ⇄ busy → …` and every end: `stopped`, `culled` (asked for), `killed`
(memory), `died` (by itself), `failed` (never became ready), `lost` (its node is not ours any more).
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from kernels_app.bus.operations import KernelStateName, RunStatus

ENDED: frozenset[KernelStateName] = frozenset({"stopped", "culled", "killed", "died", "failed", "lost"})
# States in which a kernel has answered and can run cells.
READY: frozenset[KernelStateName] = frozenset({"idle", "busy"})
STORY_COUNT = 8


class ImpossibleTransition(Exception):
    """An event that cannot come in this state; tells the last events."""


class State(msgspec.Struct, frozen=True):
    name: KernelStateName = "pending"
    reason: str = ""
    has_process: bool = False
    is_replacing: bool = False  # a restart waits for the old process to be gone
    has_reply: bool = False
    has_iopub: bool = False
    # What it ends as when its process is gone, once an end was decided.
    end_name: KernelStateName = "died"
    end_reason: str = ""
    story: tuple[str, ...] = ()


# Events


class StartRequested(msgspec.Struct, frozen=True):
    pass


class Launched(msgspec.Struct, frozen=True):
    """The process runs."""


class LaunchFailed(msgspec.Struct, frozen=True):
    reason: str


class ReplyHeard(msgspec.Struct, frozen=True):
    """An answer on the shell channel."""


class IopubHeard(msgspec.Struct, frozen=True):
    """A message on the iopub channel."""


class BusyHeard(msgspec.Struct, frozen=True):
    pass


class IdleHeard(msgspec.Struct, frozen=True):
    pass


class StartTimedOut(msgspec.Struct, frozen=True):
    reason: str


class StopRequested(msgspec.Struct, frozen=True):
    end_name: KernelStateName
    reason: str


class RestartRequested(msgspec.Struct, frozen=True):
    pass


class LimitExceeded(msgspec.Struct, frozen=True):
    """The watchdog found it over its memory."""

    reason: str


class Exited(msgspec.Struct, frozen=True):
    """The process is gone. `reason` is a sentence: the exit code or signal and its last words."""

    reason: str


Event = (
    StartRequested | Launched | LaunchFailed | ReplyHeard | IopubHeard | BusyHeard | IdleHeard
    | StartTimedOut | StopRequested | RestartRequested | LimitExceeded | Exited
)  # fmt: skip


# Commands


class Launch(msgspec.Struct, frozen=True):
    pass


class Announce(msgspec.Struct, frozen=True):
    """Tell the hub the state."""


class OpenQueue(msgspec.Struct, frozen=True):
    """Runs may be sent."""


class EndRuns(msgspec.Struct, frozen=True):
    running_status: RunStatus
    queued_status: RunStatus
    reason: str


class EndProcess(msgspec.Struct, frozen=True):
    """End the whole process group; `is_polite` gives it time to end by itself."""

    is_polite: bool


class CloseDown(msgspec.Struct, frozen=True):
    """Nothing more comes: release what the kernel held."""


Action = Launch | Announce | OpenQueue | EndRuns | EndProcess | CloseDown


def taken_over(*, is_busy: bool) -> State:
    """Of a kernel that was ready in an earlier life of its node."""
    return State(name="busy" if is_busy else "idle", has_process=True, has_reply=True, has_iopub=True)


def step(state: State, event: Event) -> tuple[State, list[Action]]:
    """The next state and what to do, in order. Raises ImpossibleTransition.

    Events that merely come late (a stop of what has ended, `busy` of a process that is being ended)
    change nothing.
    """
    if isinstance(event, BusyHeard | IdleHeard):
        return _step_busy(state, is_busy=isinstance(event, BusyHeard))
    state = _change(state, story=(*state.story, f"{state.name} {event}")[-STORY_COUNT:])
    if state.name in ENDED:
        if isinstance(event, StartRequested):
            raise ImpossibleTransition("; ".join(state.story))
        return state, []
    match event:
        case StartRequested():
            if state.name != "pending":
                raise ImpossibleTransition("; ".join(state.story))
            return _change(state, name="starting"), [Announce(), Launch()]
        case Launched():
            if state.has_process:
                raise ImpossibleTransition("; ".join(state.story))
            state = _change(state, has_process=True)
            # Asked to end while it was being launched.
            return state, [EndProcess(is_polite=False)] if state.name == "stopping" else []
        case LaunchFailed(reason):
            if state.name == "stopping":
                return _ended(state, state.end_name, state.end_reason)
            return _ended(state, "failed", reason)
        case ReplyHeard():
            return _heard(_change(state, has_reply=True))
        case IopubHeard():
            return _heard(_change(state, has_iopub=True))
        case StartTimedOut(reason):
            if state.name not in ("starting", "restarting"):
                return state, []
            return _stopping(state, "failed", reason, is_polite=False)
        case StopRequested(end_name, reason):
            if state.name == "stopping":
                return state, []
            is_polite = state.name in READY and end_name != "killed"
            return _stopping(state, end_name, reason, is_polite=is_polite)
        case LimitExceeded(reason):
            if state.name == "stopping":
                return state, []
            return _stopping(state, "killed", reason, is_polite=False)
        case RestartRequested():
            return _restart(state)
        case Exited(reason):
            return _exited(state, reason)
        case _:
            assert_never(event)


def _step_busy(state: State, *, is_busy: bool) -> tuple[State, list[Action]]:
    """Apart from the others: it happens with each message, and no story is worth that."""
    if state.name == ("idle" if is_busy else "busy"):
        return _change(state, name="busy" if is_busy else "idle"), [Announce()]
    return state, []


def _heard(state: State) -> tuple[State, list[Action]]:
    """Ready with the first reply and the first iopub message: before, outputs could be missed."""
    if state.is_replacing:
        return _change(state, has_reply=False, has_iopub=False), []  # of the old process
    is_ready = state.has_process and state.has_reply and state.has_iopub
    if is_ready and state.name in ("starting", "restarting"):
        return _change(state, name="idle"), [Announce(), OpenQueue()]
    return state, []


def _restart(state: State) -> tuple[State, list[Action]]:
    if state.name not in READY:
        return state, []  # it starts or ends already
    end_runs = EndRuns("interrupted", "cancelled", "The kernel was restarted.")
    state = _change(state, name="restarting", is_replacing=True, has_reply=False, has_iopub=False)
    return state, [end_runs, Announce(), EndProcess(is_polite=True)]


def _stopping(
    state: State, end_name: KernelStateName, reason: str, *, is_polite: bool
) -> tuple[State, list[Action]]:
    was_pending = state.name == "pending"
    state = _change(state, name="stopping", end_name=end_name, end_reason=reason)
    if was_pending:
        return _ended(state, end_name, reason)
    actions: list[Action] = [EndRuns("died", "not_run", reason), Announce()]
    if state.has_process:
        actions.append(EndProcess(is_polite))
    return state, actions


def _exited(state: State, reason: str) -> tuple[State, list[Action]]:
    was_ready_once = state.name in READY
    state = _change(state, has_process=False)
    if state.name == "stopping":
        return _ended(state, state.end_name, state.end_reason)
    if state.is_replacing:
        return _change(state, is_replacing=False), [Launch()]
    if was_ready_once:
        return _ended(state, "died", reason)
    return _ended(state, "failed", reason)


def _ended(state: State, name: KernelStateName, reason: str) -> tuple[State, list[Action]]:
    state = _change(state, name=name, reason=reason, has_process=False)
    return state, [EndRuns("died", "not_run", reason), Announce(), CloseDown()]


def _change(state: State, **changes: object) -> State:
    return msgspec.structs.replace(state, **changes)
