"""What an operator decides about kernels in containers. Knows nothing of any engine."""

from __future__ import annotations

import msgspec

from kernels_app.node.provisioners.file_limit import MAX_FILE_BYTES

NETWORKS = ("project", "internet", "none")


class ContainerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`images`: what kernels may run in, the first by default. `network`: one of NETWORKS. `user`: uid:gid of the
    kernels' programs. `orphan_s`: how long a kernel goes on without its node. `tmp_bytes`: of /tmp, in memory."""

    images: tuple[str, ...] = ("zasper-kernel:local",)
    network: str = "project"
    subnets: str = "10.213.0.0/16"
    user: str = "10001:10001"
    orphan_s: float = 900.0
    tmp_bytes: int = 1 << 30
    default_memory_bytes: int | None = None
    default_process_count: int = 512
    max_file_bytes: int = MAX_FILE_BYTES
