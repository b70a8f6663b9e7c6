"""Right answers are worth more if they are short, wrong ones lose less if they are long:

    R = a + (b − a)/2 · (1 + cos(π · min(1, tokens/longest)))

with b at length 0 and a at the longest: a right answer goes from 1 to 0.5, a wrong one from −1 to −0.5.

    data:
      rewards:
      - command: [python3, configs/examples/rewards/cosine_length.py, --longest, "512"]
        label: cosine_length

Yeo et al., Demystifying Long Chain-of-Thought Reasoning (arXiv:2502.03373), appendix C.1. --longest is
rl.max_trajectory_len. --exceeded is the reward of a completion that did not end before the limit (the paper: −10). The
answer is right by the rules of mathematics.py. A prompt without an answer: the reward does not apply.
"""

import argparse
import math

from mathematics import is_right
from reward_lines import serve

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--longest", type=int, required=True, help="the tokens at which the cosine ends")
options.add_argument("--right", type=float, nargs=2, default=[1.0, 0.5], help="a right answer at length 0 and at the longest")
options.add_argument("--wrong", type=float, nargs=2, default=[-1.0, -0.5], help="the same for a wrong answer")
options.add_argument("--exceeded", type=float, help="the reward of a completion that reached the length limit")
options.add_argument("--own-rules", action="store_true", help="do not use math-verify")
arguments = options.parse_args()
if arguments.longest < 1:
    options.error("--longest must be at least 1")


def score(item):
    if not item["answer"].strip():
        return None
    if arguments.exceeded is not None and not item["quillan"]["finished"]:
        return arguments.exceeded
    right = is_right(item["answer"], item["completion"], arguments.own_rules)
    first, last = arguments.right if right else arguments.wrong
    progress = min(1.0, item["quillan"]["tokens"] / arguments.longest)
    return last + (first - last) / 2 * (1 + math.cos(math.pi * progress)), {"right": float(right)}


serve(score)
