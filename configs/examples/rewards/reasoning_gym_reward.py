"""Scores answers with the reasoning-gym package (pip install reasoning-gym), for prompts of reasoning_gym_prompts.py.

    data:
      prompts: prompts.jsonl
      rewards:
      - command: [python3, configs/examples/rewards/reasoning_gym_reward.py]
        label: reasoning_gym
"""

import json
import sys

import reasoning_gym

scorers = {}
for line in sys.stdin:
    item = json.loads(line)
    task = item["task"]
    if task not in scorers:
        scorers[task] = reasoning_gym.get_score_answer_fn(task)
    try:
        reward = float(scorers[task](item["completion"].strip(), item["entry"]))
    except Exception as error:  # an answer that the task's own scorer cannot read has no score
        print(f"{task}: {error!r}", file=sys.stderr)
        reward = None
    print(json.dumps({"id": item["id"], "reward": reward, "applies": True}), flush=True)
