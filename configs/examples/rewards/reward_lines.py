"""The lines of a reward's program (version 2; Sources/Training/Training.docc/Scoring.md): one JSON object a line comes in,
one a line goes out. The other examples import `serve` from here; copy this file beside a program of your own."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

# The result of a completion that the reward applies to but cannot score: the completion is left out of its group.
UNSCORED = object()


def serve(score, threads=1):
    """Answers each line with the result of `score(item)`: a number, a pair of a number and metrics, None if the reward
    does not apply to the completion (its other rewards count), or UNSCORED. An exception is logged and means UNSCORED.
    With several threads, answers come in any order; the member `quillan` says to which line they belong."""
    for stream in sys.stdin, sys.stdout:
        stream.reconfigure(encoding="utf-8")
    answers, lock = sys.stdout, Lock()
    sys.stdout = sys.stderr  # what libraries print must not come between the answers

    def answer(line):
        item = json.loads(line)
        try:
            result = score(item)
        except Exception as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            sys.stderr.flush()
            result = UNSCORED
        reward, metrics = result if isinstance(result, tuple) else (result, {})
        members = {"id": item["id"], "quillan": item["quillan"], "applies": reward is not None, "metrics": metrics}
        members["reward"] = None if reward is UNSCORED else reward
        with lock:
            print(json.dumps(members), file=answers, flush=True)

    if threads == 1:
        for line in sys.stdin:
            answer(line)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for line in sys.stdin:
                pool.submit(answer, line)
