"""A penalty for repeated n-grams: R = p · (1 − different n-grams / all n-grams), from 0 down to p.

    data:
      rewards:
      - command: [python3, configs/examples/rewards/repetition.py, --size, "3", --penalty, "-1"]
        label: repetition

Yeo et al., Demystifying Long Chain-of-Thought Reasoning (arXiv:2502.03373), appendix C.2. The n-grams are of words, or of
characters with --characters (for languages without spaces). A completion with fewer than n words has 0.
"""

import argparse

from reward_lines import serve

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--size", type=int, default=3, help="n, the words of an n-gram")
options.add_argument("--penalty", type=float, default=-1.0, help="p, at most 0")
options.add_argument("--characters", action="store_true", help="n-grams of characters instead of words")
arguments = options.parse_args()
if arguments.size < 1 or arguments.penalty > 0:
    options.error("--size must be at least 1 and --penalty at most 0")


def score(item):
    units = list(item["completion"]) if arguments.characters else item["completion"].lower().split()
    grams = [tuple(units[start : start + arguments.size]) for start in range(len(units) - arguments.size + 1)]
    share = 1 - len(set(grams)) / len(grams) if grams else 0.0
    return arguments.penalty * share + 0.0, {"repeated": share}


serve(score)
