"""Draw the JSON of ``benchmarks/runner.py``; run by it in an environment with matplotlib."""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLORS = {
    "rolecall": "#1b7837",
    "pyinfra": "#4393c3",
    "bundlewrap": "#999999",
    "ansible": "#b2182b",
}


def main(source: str, target: str) -> None:
    """One panel for runs without changes, one for first runs; both logarithmic."""
    data = json.loads(Path(source).read_text())
    cases = data["cases"]
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True)
    for panel, (key, title) in zip(
        panels, (("noop", "nothing to change"), ("first", "first run")), strict=True
    ):
        names = list(dict.fromkeys(tool["tool"] for case in cases for tool in case["tools"]))
        width = 0.8 / len(names)
        for place, name in enumerate(names):
            points = [
                (number + (place - (len(names) - 1) / 2) * width, tool[key]["ratio"])
                for number, case in enumerate(cases)
                for tool in case["tools"]
                if tool["tool"] == name
            ]
            label = f"{name} {data['versions'][name]}"
            bars = panel.bar(*zip(*points, strict=True), width, label=label, color=COLORS[name])
            panel.bar_label(bars, fmt="%.3g", fontsize=7)
        panel.axhline(1, color="black", linewidth=0.8, linestyle=":")
        panel.set_yscale("log")
        panel.set_title(title)
        panel.set_xticks(range(len(cases)))
        panel.set_xticklabels(
            [f"{case['size']}\n{case['hosts']} host{'s' * (case['hosts'] > 1)}" for case in cases]
        )
        panel.set_xlabel("resources per host")
    panels[0].set_ylabel("whole command, times a bare ssh")
    panels[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(target, dpi=130)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
