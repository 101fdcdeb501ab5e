"""Draw results of load tests; run in an environment that has matplotlib.

Usage: draw.py TARGET RESULT... The target's ending says which kind of picture.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main(target: str, sources: list[str]) -> None:
    """Throughput on the left, latencies on the right, over the levels."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4.2))
    for source in sources:
        result = json.loads(Path(source).read_text(encoding="utf-8"))
        levels = result["levels"]
        titles = [level["title"] for level in levels]
        name = f"{result['host']} {result['id']}"
        left.plot(titles, [one["tokens_per_second"] for one in levels], marker="o", label=name)
        for panel, what in ((middle, "first_token"), (right, "whole")):
            spreads = [one[what] or {} for one in levels]
            middles = [1000 * one.get("p50", float("nan")) for one in spreads]
            highs = [1000 * one.get("p99", float("nan")) for one in spreads]
            (line,) = panel.plot(titles, middles, marker="o", label=f"{name} p50")
            panel.plot(titles, highs, "--", marker="^", color=line.get_color(), label="p99")
    left.set(title="throughput", ylabel="tokens/s out")
    middle.set(title="first token", ylabel="ms")
    right.set(title="whole answer", ylabel="ms")
    for panel in (left, middle, right):
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(target, dpi=130)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
