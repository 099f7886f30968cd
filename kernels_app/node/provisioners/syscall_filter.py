"""A filter of system calls for sandboxes: what no notebook needs and what has been a way out before. Pure.

The program is classic BPF, as seccomp(2) takes it and `bwrap --seccomp` reads it. What is refused answers EPERM; memory
files answer ENOSYS, so that libraries take an ordinary temporary file: what lies in one is counted by nobody.
"""

from __future__ import annotations

import struct

_EPERM, _ENOSYS = 1, 38
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
# Offsets in struct seccomp_data.
_NUMBER, _ARCHITECTURE = 0, 4
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_X32_BIT = 0x40000000

# Key rings (not kept apart everywhere), tracing of the whole machine, the ways of asynchronous input and output that
# pass by other filters, handling of memory faults, modules, mounts by file descriptor, clocks, swap, quotas, reboots.
_REFUSED = {
    "x86_64": {
        "add_key": 248, "request_key": 249, "keyctl": 250, "perf_event_open": 298, "bpf": 321, "userfaultfd": 323,
        "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
        "fsopen": 430, "fsconfig": 431, "fsmount": 432, "mount_setattr": 442, "mount": 165, "umount2": 166,
        "pivot_root": 155, "chroot": 161, "setns": 308, "init_module": 175, "delete_module": 176,
        "finit_module": 313, "kexec_load": 246, "kexec_file_load": 320, "swapon": 167, "swapoff": 168,
        "reboot": 169, "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "acct": 163, "quotactl": 179,
        "syslog": 103, "iopl": 172, "ioperm": 173, "name_to_handle_at": 303, "open_by_handle_at": 304,
        "lookup_dcookie": 212, "fanotify_init": 300, "vhangup": 153,
    },
    "aarch64": {
        "add_key": 217, "request_key": 218, "keyctl": 219, "perf_event_open": 241, "bpf": 280, "userfaultfd": 282,
        "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
        "fsopen": 430, "fsconfig": 431, "fsmount": 432, "mount_setattr": 442, "mount": 40, "umount2": 39,
        "pivot_root": 41, "chroot": 51, "setns": 268, "init_module": 105, "delete_module": 106,
        "finit_module": 273, "kexec_load": 104, "kexec_file_load": 294, "swapon": 224, "swapoff": 225,
        "reboot": 142, "settimeofday": 170, "clock_settime": 112, "adjtimex": 171, "acct": 89, "quotactl": 60,
        "syslog": 116, "name_to_handle_at": 264, "open_by_handle_at": 265, "lookup_dcookie": 18,
        "fanotify_init": 262, "vhangup": 58,
    },
}  # fmt: skip
_ABSENT = {
    "x86_64": {"memfd_create": 319, "memfd_secret": 447},
    "aarch64": {"memfd_create": 279, "memfd_secret": 447},
}
_AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def syscall_filter(machine: str) -> bytes | None:
    """The filter for `os.uname().machine`; None where its numbers are not known."""
    if machine not in _REFUSED:
        return None
    program = [
        _statement(_LOAD, _ARCHITECTURE),
        _jump(_JUMP_EQUAL, _AUDIT_ARCHITECTURE[machine], 1, 0),
        _statement(_RETURN, _KILL),
        _statement(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":  # the same calls under other numbers
        program += [_jump(_JUMP_AT_LEAST, _X32_BIT, 0, 1), _statement(_RETURN, _ERRNO | _ENOSYS)]
    for numbers, error in ((_REFUSED[machine], _EPERM), (_ABSENT[machine], _ENOSYS)):
        for number in numbers.values():
            program += [_jump(_JUMP_EQUAL, number, 0, 1), _statement(_RETURN, _ERRNO | error)]
    program.append(_statement(_RETURN, _ALLOW))
    return b"".join(program)


def _statement(code: int, value: int) -> bytes:
    return struct.pack("<HBBI", code, 0, 0, value)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)
