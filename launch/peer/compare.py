"""Prints the ratios of a race: the medians of its JSON results, quillan's over each of PyTorch's.

    compare.py FOLDER

FOLDER holds quillan-ROUND-WHAT.json and peer-ROUND-WHAT-PRECISION.json.
"""

import json
import pathlib
import statistics
import sys


def collect(folder):
    """{(side, what): {operation: [rate or bytes of each round]}}"""
    found = {}
    for path in sorted(folder.glob("*.json")):
        side, _, what, *precision = path.stem.split("-")
        result = json.loads(path.read_text())
        rows = found.setdefault((" ".join([side, *precision]), what), {})
        for row in result["rows"]:
            if row["operation"].startswith(("training step", "decode")):
                rows.setdefault(row["operation"], []).append(row["rate"])
        rows.setdefault(f"peak memory, {what}", []).append(result["peak_bytes"] / 2**30)
    return {key: {name: statistics.median(values) for name, values in rows.items()} for key, rows in found.items()}


def main():
    medians = collect(pathlib.Path(sys.argv[1]))
    peers = sorted({side for side, _ in medians if side != "quillan"})
    print(f"{'':28}{'quillan':>12}" + "".join(f"{'PyTorch ' + p.split()[1]:>16}{'ratio':>8}" for p in peers))
    for what in ("train", "decode"):
        for operation, value in medians[("quillan", what)].items():
            unit = "GiB" if operation.startswith("peak") else "tok/s"
            line = f"{operation:28}{value:9.1f}{unit:>6}"[:43]
            for peer in peers:
                other = medians[(peer, what)][operation]
                line += f"{other:10.1f}{unit:>6}{value / other:8.2f}"
            print(line)


if __name__ == "__main__":
    main()
