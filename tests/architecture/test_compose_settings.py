"""docker-compose.yml hands every setting of the hub to its programs."""

from __future__ import annotations

from zasper_hub.settings.environment import BASE_DIR, SECRET_NAMES, Environment

# Kernels are containers there; details of errors are shown to nobody; secrets come as files.
NOT_HANDED_ON = {"HUB_KERNEL_PYTHON", "HUB_DEBUG"}


def test_what_an_operator_can_set_can_be_set_with_compose_too() -> None:
    text = (BASE_DIR / "docker-compose.yml").read_text(encoding="utf-8")
    names = {name.upper() for name in Environment.model_fields} - NOT_HANDED_ON
    missing = [
        name
        for name in sorted(names)
        if f"{name}: " not in text
        and not (name in SECRET_NAMES and f"{name}_FILE: " in text)
        # Where the proxy listens.
        and f"${{{name}:-" not in text
    ]
    assert missing == []
