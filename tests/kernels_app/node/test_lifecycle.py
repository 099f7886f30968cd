from __future__ import annotations

import random

import pytest

from kernels_app.node.lifecycle import (
    ENDED,
    Action,
    Announce,
    BusyHeard,
    CloseDown,
    EndProcess,
    EndRuns,
    Event,
    Exited,
    IdleHeard,
    ImpossibleTransition,
    IopubHeard,
    Launch,
    Launched,
    LaunchFailed,
    LimitExceeded,
    OpenQueue,
    ReplyHeard,
    RestartRequested,
    StartRequested,
    StartTimedOut,
    State,
    StopRequested,
    step,
)

READY: list[Event] = [StartRequested(), Launched(), ReplyHeard(), IopubHeard()]


def after(*events: Event) -> tuple[State, list[object]]:
    """The state after the events, and what the last one asked for."""
    state = State()
    actions: list[Action] = []
    for event in events:
        state, actions = step(state, event)
    return state, list(actions)


def test_a_second_start_tells_the_story() -> None:
    with pytest.raises(ImpossibleTransition, match=r"pending StartRequested.*starting StartRequested"):
        after(StartRequested(), StartRequested())
    with pytest.raises(ImpossibleTransition):
        after(StartRequested(), Launched(), Launched())


def test_a_kernel_is_ready_with_the_first_reply_and_the_first_iopub_message_not_before() -> None:
    assert after(StartRequested()) == (after(StartRequested())[0], [Announce(), Launch()])
    orders: list[list[Event]] = [[ReplyHeard(), IopubHeard()], [IopubHeard(), ReplyHeard()]]
    for events in orders:
        state, actions = after(StartRequested(), Launched(), events[0])
        assert (state.name, actions) == ("starting", [])
        state, actions = after(StartRequested(), Launched(), *events)
        assert (state.name, actions) == ("idle", [Announce(), OpenQueue()])


def test_busy_and_idle_follow_the_kernel() -> None:
    assert after(*READY, BusyHeard())[0].name == "busy"
    assert after(*READY, BusyHeard(), BusyHeard())[1] == []
    assert after(*READY, BusyHeard(), IdleHeard())[0].name == "idle"
    assert after(StartRequested(), Launched(), BusyHeard())[0].name == "starting"


def test_a_launch_that_fails_is_the_end_with_its_reason() -> None:
    state, actions = after(StartRequested(), LaunchFailed("no such program"))
    assert (state.name, state.reason) == ("failed", "no such program")
    assert actions == [EndRuns("died", "not_run", "no such program"), Announce(), CloseDown()]


def test_a_process_that_ends_by_itself_died_or_if_it_was_never_ready_failed() -> None:
    assert after(*READY, Exited("exit code 1"))[0].name == "died"
    assert after(*READY, BusyHeard(), Exited("exit code 1"))[0].reason == "exit code 1"
    assert after(StartRequested(), Launched(), Exited("exit code 1"))[0].name == "failed"


def test_a_kernel_that_never_answers_is_ended() -> None:
    state, actions = after(StartRequested(), Launched(), StartTimedOut("silent"))
    assert state.name == "stopping"
    assert EndProcess(is_polite=False) in actions
    state, _ = after(StartRequested(), Launched(), StartTimedOut("silent"), Exited("signal 9"))
    assert (state.name, state.reason) == ("failed", "silent")
    assert after(*READY, StartTimedOut("late timer"))[0].name == "idle"


def test_a_stop_ends_the_runs_then_the_process_and_then_the_kernel() -> None:
    state, actions = after(*READY, StopRequested("culled", "idle for an hour"))
    assert state.name == "stopping"
    assert actions == [EndRuns("died", "not_run", "idle for an hour"), Announce(), EndProcess(is_polite=True)]
    state, actions = after(*READY, StopRequested("culled", "idle for an hour"), Exited("signal 15"))
    assert (state.name, state.reason) == ("culled", "idle for an hour")
    assert actions[-1] == CloseDown()


def test_a_stop_while_the_process_is_launched_waits_for_it() -> None:
    state, actions = after(StartRequested(), StopRequested("stopped", "asked"))
    assert not any(isinstance(action, EndProcess) for action in actions)
    state, actions = after(StartRequested(), StopRequested("stopped", "asked"), Launched())
    assert (state.name, actions) == ("stopping", [EndProcess(is_polite=False)])
    state, _ = after(StartRequested(), StopRequested("stopped", "asked"), LaunchFailed("gone"))
    assert (state.name, state.reason) == ("stopped", "asked")


def test_a_stop_before_the_start_is_the_end() -> None:
    assert after(StopRequested("stopped", "asked"))[0].name == "stopped"


def test_a_second_stop_does_not_change_what_it_ends_as() -> None:
    events = [*READY, LimitExceeded("Killed at 512 MiB"), StopRequested("stopped", "asked"), Exited("")]
    assert after(*events)[0].name == "killed"


def test_a_restart_ends_the_runs_and_launches_when_the_old_process_is_gone() -> None:
    state, actions = after(*READY, BusyHeard(), RestartRequested())
    assert state.name == "restarting"
    assert actions == [
        EndRuns("interrupted", "cancelled", "The kernel was restarted."),
        Announce(),
        EndProcess(is_polite=True),
    ]
    state, actions = after(*READY, RestartRequested(), Exited("signal 15"))
    assert (state.name, actions) == ("restarting", [Launch()])
    again = [*READY, RestartRequested(), Exited("signal 15"), Launched()]
    assert after(*again, ReplyHeard(), IopubHeard()) == (
        after(*again, ReplyHeard(), IopubHeard())[0],
        [Announce(), OpenQueue()],
    )


def test_last_words_of_the_old_process_do_not_make_the_new_one_ready() -> None:
    state, actions = after(*READY, RestartRequested(), ReplyHeard(), IopubHeard())
    assert (state.name, actions) == ("restarting", [])
    state, _ = after(
        *READY, RestartRequested(), ReplyHeard(), IopubHeard(), Exited(""), Launched(), ReplyHeard()
    )
    assert state.name == "restarting"


def test_a_restarted_process_that_dies_at_once_failed() -> None:
    state, actions = after(*READY, RestartRequested(), Exited(""), Launched(), Exited("exit code 1"))
    assert (state.name, state.reason) == ("failed", "exit code 1")
    assert CloseDown() in actions


def test_a_restart_of_what_starts_or_ends_is_ignored() -> None:
    assert after(StartRequested(), RestartRequested())[1] == []
    assert after(*READY, StopRequested("stopped", ""), RestartRequested())[0].name == "stopping"


def test_a_kernel_over_its_memory_was_killed() -> None:
    _, actions = after(*READY, LimitExceeded("Killed at 512 MiB of 512 MiB."))
    assert actions[-1] == EndProcess(is_polite=False)
    assert after(*READY, LimitExceeded("Killed"), Exited("signal 9"))[0].name == "killed"


def test_nothing_happens_after_the_end() -> None:
    ended, _ = after(*READY, Exited("exit code 1"))
    for event in (Exited(""), StopRequested("stopped", ""), ReplyHeard(), RestartRequested(), IdleHeard()):
        state, actions = step(ended, event)
        assert (state.name, state.reason, actions) == ("died", "exit code 1", [])


def test_any_life_ends_once_and_closes_down_once() -> None:
    seed = random.randrange(1 << 32)
    source = random.Random(seed)
    ends: list[Event] = [StopRequested("stopped", ""), LimitExceeded("much"), StartTimedOut("late")]
    heard: list[Event] = [ReplyHeard(), IopubHeard(), BusyHeard(), IdleHeard(), RestartRequested()]
    for _ in range(300):
        state, actions = step(State(), StartRequested())
        is_launching, closed_count = True, 0
        for number in range(200):
            choice = source.random()
            if is_launching and choice < 0.3:
                event: Event = Launched() if choice < 0.25 else LaunchFailed("no")
                is_launching = False
            elif state.has_process and choice < 0.4:
                event = Exited("gone")
            elif number > 100 and choice < 0.5:
                event = source.choice(ends)
            else:
                event = source.choice(heard)
            state, actions = step(state, event)
            is_launching = is_launching or Launch() in actions
            closed_count += actions.count(CloseDown())
            assert (state.name in ENDED) == (closed_count == 1), f"seed {seed}: {state.story}"
        if not is_launching and not state.has_process:
            assert state.name in ENDED, f"seed {seed}: {state.story}"
