"""The site's quotas as the environment gives them, until an administrator sets others."""

from __future__ import annotations

from zasper_hub.accounts.quotas import MIB, Quota, Value, checked_value
from zasper_hub.settings.environment import Environment


def quota_defaults(env: Environment) -> dict[Quota, Value]:
    """What counts for the site where no administrator set anything.

    Raises:
        WrongQuota: a value is out of its quota's bounds.
    """
    names = env.hub_allowed_kernelspecs
    given: dict[Quota, object] = {
        Quota.MAX_KERNELS: env.hub_max_kernels_per_user,
        Quota.KERNEL_MEMORY_BYTES: _times(env.hub_kernel_memory_mb, MIB),
        Quota.TOTAL_MEMORY_BYTES: _times(env.hub_total_memory_mb, MIB),
        Quota.KERNEL_CPU_CORES: env.hub_kernel_cpu_cores,
        Quota.KERNEL_PROCESSES: env.hub_kernel_processes,
        Quota.IDLE_TIMEOUT_S: _times(env.hub_idle_timeout_minutes, 60),
        Quota.MAX_LIFE_S: _times(env.hub_max_life_hours, 3600),
        Quota.PROJECT_STORAGE_BYTES: _times(env.hub_project_storage_mb, MIB),
        Quota.PERSON_STORAGE_BYTES: _times(env.hub_person_storage_mb, MIB),
        Quota.COMPUTE_GIB_HOURS: env.hub_compute_gib_hours,
        Quota.KERNELSPECS: None
        if names is None
        else [name.strip() for name in names.split(",") if name.strip()],
    }
    return {quota: checked_value(quota, value) for quota, value in given.items()}


def _times(count: int | None, unit: int) -> int | None:
    return None if count is None else count * unit
