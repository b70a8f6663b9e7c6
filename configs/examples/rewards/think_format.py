"""1 if the reasoning is in one pair of tags at the beginning, <think> … </think>, and the answer follows; otherwise 0.

    data:
      rewards:
      - command: [python3, configs/examples/rewards/think_format.py]
        label: think_format
        weight: 0.2

The form of DeepSeek-R1 (arXiv:2501.12948, section 2.2.2): neither tag occurs twice. --opened: the prompt ends with <think>,
so the completion begins with the reasoning. --answer also asks for an answer that is not empty.
"""

import argparse

from reward_lines import serve

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--opened", action="store_true", help="the prompt ends with <think>")
options.add_argument("--answer", action="store_true", help="the answer must not be empty")
options = options.parse_args()


def score(item):
    text = ("<think>" if options.opened else "") + item["completion"]
    begins = text.startswith("<think>")
    is_one_pair = text.count("<think>") == 1 and text.count("</think>") == 1
    has_answer = not options.answer or text.partition("</think>")[2].strip() != ""
    return float(begins and is_one_pair and has_answer)


serve(score)
