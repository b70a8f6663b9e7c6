"""Draws the recorded runs of Tests/Fixtures/health as Sources/Training/Training.docc/learning.svg.

    python3 launch/learning-pictures.py
"""

import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUNS = [
    ("healthy-word-problems", "Healthy"),
    ("unlearns-5e-4", "Rate too high"),
    ("unlearns-brackets", "Rate too high, noticed late"),
    ("entropy-explodes", "Entropy bonus too high"),
    ("nothing-to-learn", "Equal rewards"),
]
ROWS = [
    ("reward", "mean reward", "#2364aa"),
    ("held out", "held-out measure", "#2364aa"),
    ("entropy", "entropy (nats)", "#8a4fa3"),
    ("completions/clipped_ratio", "share at the length limit", "#b5541c"),
    ("frac_reward_zero_std", "share of groups with equal rewards", "#3c7d3c"),
]
WIDTH, HEIGHT, LEFT, TOP, GAP = 190, 90, 44, 54, 34


def points(lines, name):
    """Pairs of step and value."""
    found = []
    for line in lines:
        if name == "held out":
            value = next((value for key, value in line.items() if key.startswith("eval/")), None)
        else:
            value = line.get(name)
        if value is not None:
            found.append((line["step"], value))
    return found


def panel(x, y, values, steps, color, marked):
    top = max(1.0, *(value for _, value in values)) if values else 1.0

    def place(step, value):
        return f"{x + WIDTH * step / steps:.1f},{y + HEIGHT * (1 - value / top):.1f}"

    path = " ".join(place(*value) for value in values)
    dots = "".join(
        f'<circle cx="{place(*value).split(",")[0]}" cy="{place(*value).split(",")[1]}" r="3" fill="{color}"/>'
        for value in values
        if marked
    )
    return (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>'
        f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>{dots}'
        f'<text x="{x - 6}" y="{y + 10}" text-anchor="end">{top:.3g}</text>'
        f'<text x="{x - 6}" y="{y + HEIGHT}" text-anchor="end">0</text>'
    )


def main():
    width = LEFT + len(RUNS) * (WIDTH + GAP) + 6
    height = TOP + len(ROWS) * (HEIGHT + GAP) + 6
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11" fill="#222"><rect width="{width}" height="{height}" fill="#fff"/>'
    ]
    for column, (name, title) in enumerate(RUNS):
        text = (ROOT / "Tests/Fixtures/health" / f"{name}.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()[1:]]
        steps = max(line["step"] for line in lines)
        x = LEFT + column * (WIDTH + GAP)
        parts.append(f'<text x="{x}" y="18" font-size="14" font-weight="bold">{title}</text>')
        for row, (metric, label, color) in enumerate(ROWS):
            y = TOP + row * (HEIGHT + GAP)
            parts.append(f'<text x="{x}" y="{y - 6}">{label}</text>')
            parts.append(panel(x, y, points(lines, metric), steps, color, metric == "held out"))
            parts.append(f'<text x="{x + WIDTH}" y="{y + HEIGHT + 13}" text-anchor="end">step {steps}</text>')
    parts.append("</svg>")
    target = ROOT / "Sources/Training/Training.docc/learning.svg"
    target.write_text("\n".join(parts) + "\n")
    print(f"wrote {target.relative_to(ROOT)}")


main()
