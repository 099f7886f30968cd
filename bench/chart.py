"""`python -m bench.chart`: draws the results as `docs/images/bench.svg`, for the README."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import msgspec

from bench.measuring import RESULTS

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "bench.svg"
WIDTH, LABEL_WIDTH, BAR_HEIGHT, GAP, TITLE_HEIGHT = 760, 190, 18, 6, 34
# Readable on a light page and on a dark one, as the reader's system has it.
STYLE = """<style>
.page{fill:#ffffff}.text{fill:#1f2937}.muted{fill:#6b7280}.ours{fill:#2563eb}.peer{fill:#9ca3af}.spread{stroke:#1f2937}
@media (prefers-color-scheme:dark){
.page{fill:#0d1117}.text{fill:#e6edf3}.muted{fill:#9198a1}.ours{fill:#58a6ff}.peer{fill:#6e7681}.spread{stroke:#e6edf3}
}
</style>
"""


class Bar(msgspec.Struct, frozen=True):
    label: str
    value: float
    low: float
    high: float

    @property
    def is_ours(self) -> bool:
        return self.label.startswith("Zasper")


class Panel(msgspec.Struct, frozen=True):
    """Bars of one unit under one title."""

    title: str
    unit: str
    bars: list[Bar]


def result(scenario: str) -> dict[str, Any] | None:
    path = RESULTS / f"{scenario}.json"
    if not path.exists():
        return None
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["figures"]
    return figures


def bar_of(label: str, spread: dict[str, float]) -> Bar:
    return Bar(label, spread["median"], spread["low"], spread["high"])


def panels() -> list[Panel]:
    """Of the results there are."""
    found: list[Panel] = []
    relay = result("relay")
    if relay is not None:
        bars = [
            bar_of(row["subject"], row["cpu_us"])
            for row in relay["rows"]
            if row["kernels"] == 64 and row["rate_per_s"] == 10
        ]
        found.append(Panel("Server CPU to carry one execution, 64 kernels × 10/s", "µs", bars))
    flood = result("flood")
    if flood is not None:
        bars = [bar_of(name, spread) for name, spread in flood["cpu_ms_a_cell"].items()]
        found.append(Panel("Server CPU of a cell that prints 1,000 messages", "ms", bars))
    idle = result("idle_people")
    if idle is not None:
        peer = idle["jupyterhub"]["mb_a_person"]
        bars = [bar_of("Zasper Hub", idle["mb_a_person"]), Bar("JupyterHub", peer, peer, peer)]
        found.append(Panel("Memory of one more person with a notebook open, no kernel", "MB", bars))
    return found


def drawn(found: Sequence[Panel], note: str) -> str:
    """The SVG. Shorter is better, in each panel."""
    parts: list[str] = []
    y = 0
    for panel in found:
        y += TITLE_HEIGHT
        parts.append(_text(0, y - 12, f"{panel.title} ({panel.unit})", weight=600))
        scale = (WIDTH - LABEL_WIDTH - 150) / max(bar.high for bar in panel.bars)
        for bar in sorted(panel.bars, key=lambda bar: bar.value):
            kind = "ours" if bar.is_ours else "peer"
            middle = y + BAR_HEIGHT / 2
            parts.append(_text(LABEL_WIDTH - 8, y + 13, bar.label, anchor="end"))
            parts.append(
                f'<rect x="{LABEL_WIDTH}" y="{y}" width="{max(1.0, bar.value * scale):.1f}" '
                f'height="{BAR_HEIGHT}" rx="2" class="{kind}"/>'
            )
            if bar.high > bar.low:  # the spread of the repeats
                left, right = (LABEL_WIDTH + value * scale for value in (bar.low, bar.high))
                parts.append(
                    f'<path d="M{left:.1f} {middle}H{right:.1f}M{left:.1f} {middle - 4}v8'
                    f'M{right:.1f} {middle - 4}v8" class="spread" fill="none"/>'
                )
            end = LABEL_WIDTH + max(bar.value, bar.high) * scale
            parts.append(_text(end + 8, y + 13, f"{bar.value:g} {panel.unit}"))
            y += BAR_HEIGHT + GAP
    y += 24
    parts.append(_text(0, y - 6, note, kind="muted", size=11))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 0 {WIDTH + 24} {y + 8}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13">\n<title>Zasper Hub beside its peers</title>\n{STYLE}'
        f'<rect x="-12" width="{WIDTH + 24}" height="{y + 8}" class="page"/>\n{body}\n</svg>\n'
    )


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: int = 400, kind: str = "text",
    size: int = 13,
) -> str:  # fmt: skip
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" '
        f'font-size="{size}" class="{kind}">{escape(text)}</text>'
    )


def machine_note() -> str:
    newest = max(RESULTS.glob("*.json"), key=lambda path: path.stat().st_mtime)
    document = json.loads(newest.read_text(encoding="utf-8"))
    machine = document["machine"]
    return (
        f"{machine['cpu_count']} cores, {machine['cpu_model']}, Python {machine['python']}, "
        f"{document['measured_on']}. Medians of the repeats; lines: smallest to largest."
    )


def main() -> None:
    found = panels()
    if not found:
        raise SystemExit("There are no results yet: python -m bench relay flood idle_people")
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(drawn(found, machine_note()), encoding="utf-8")
    print(f"written to {TARGET}")


if __name__ == "__main__":
    main()
