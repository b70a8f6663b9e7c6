"""A reward of one's own, without dependencies: how well a completion's brackets match.

    data:
      rewards:
      - command: [python3, configs/examples/rewards/brackets.py]
        label: brackets

One JSON object a line comes in, one a line goes out, in the same order, flushed. A reward of null means: it does not apply, and
only the other rewards of the completion count, which is not the same as 0. What goes to stderr appears in the log.
"""

import json
import sys

PAIRS = {")": "(", "]": "[", "}": "{"}


def score(completion):
    """1 where every bracket is closed in order, less 1/n for each of n brackets that is not."""
    stack, wrong, brackets = [], 0, 0
    for character in completion:
        if character in PAIRS.values():
            stack.append(character)
            brackets += 1
        elif character in PAIRS:
            brackets += 1
            if stack and stack[-1] == PAIRS[character]:
                stack.pop()
            else:
                wrong += 1
    if brackets == 0:
        return None, 0
    return 1 - (wrong + len(stack)) / brackets, brackets


print("brackets.py is ready", file=sys.stderr)
for line in sys.stdin:
    item = json.loads(line)
    reward, brackets = score(item["completion"])
    print(json.dumps({"id": item["id"], "reward": reward, "metrics": {"brackets": brackets}}), flush=True)
