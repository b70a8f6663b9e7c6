"""Whether the final answer of a completion is right: numbers, fractions, sets, tuples and texts.

    data:
      rewards:
      - command: [python3, configs/examples/rewards/mathematics.py]
        label: mathematics

The final answer is the content of the last \\boxed{…}, otherwise what follows the last '####', 'answer is' or 'answer:',
otherwise the last number. It is compared by the rules below and, if they find no equality and math-verify is installed
(pip install math-verify), by math-verify, which also knows algebra: \\frac{\\sqrt{8}}{2} and \\sqrt{2}. --own-rules leaves
math-verify out. 1 if equal, otherwise 0. A prompt without an answer: the reward does not apply.

Equal: 1/2, 0.5, \\frac12, .50 · 50 %, 50, 0.5 · 1,234,567, 1 234 567, 1234567.0 · 5 cm, 5\\text{ cm}, $5, 5 · x = 5, 5 ·
−3, -3 · 1\\frac{1}{2}, 1 1/2, 1.5 · 1.2\\times 10^3, 1.2e3, 1200 · {1, 2}, \\{2, 1\\} · \\text{(B)}, B.
"""

import argparse
import re
from fractions import Fraction

# Commands without a value: sizes, spaces, signs of currency and degrees.
IGNORED = re.compile(
    r"\\(?:left|right|displaystyle|bigl?|bigr|Bigl?|Bigr|quad|qquad)(?![A-Za-z])"
    r"|\\[,;:! ]|\\\$|\$|€|£|\^\{?\\circ\}?|°|\\degree|\\\(|\\\)|\\\[|\\\]|~"
)
TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
GROUPED = re.compile(r"(?<![\d.])\d{1,3}(?:(?:,|\{,\}| |\u00a0|\u202f|')\d{3})+(?!\d)")
NUMBER = r"(?:\d+\.?\d*|\.\d+)"
DECIMAL = re.compile(rf"({NUMBER})(?:(?:[eE]|(?:\\times|\\cdot|\*|×|·)10\^)\{{?([+-]?\d+)\}}?)?")
LAST_NUMBER = re.compile(rf"(?<![\w.])[-+−]?\s?[$€£]?{NUMBER}(?:[,'](?=\d{{3}})\d{{3}})*(?:\.\d+)?(?:/{NUMBER})?%?")

# Characters: a longer answer is not right, and only the end of a longer completion is searched.
LONGEST_ANSWER = 1000
LONGEST_SEARCHED = 20000


def braced(text, start):
    """The content of the braces that open at `start`, and the position after them; None if they do not close."""
    depth = 0
    for position in range(start, len(text)):
        if text[position] == "\\":
            continue
        if position and text[position - 1] == "\\":
            continue
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start + 1 : position], position + 1
    return None


def final_answer(completion):
    """The final answer as text; None if it is missing."""
    completion = completion[-LONGEST_SEARCHED:]
    for match in reversed(list(re.finditer(r"\\f?boxed\s*(?=\{)", completion))[-100:]):
        content = braced(completion, match.end())
        if content:
            return content[0]
    for pattern in r"####\s*([^\n]+)", r"(?i)\banswer\s*(?:is|:|=)\s*:?\s*([^\n]+)":
        found = re.findall(pattern, completion)
        if found:
            return re.sub(r"^[\s*]+|[.\s*]+$", "", re.split(r"\.\s", found[-1])[0])
    found = LAST_NUMBER.findall(completion)
    return found[-1] if found else None


def plain(text):
    """The text without spaces, sizes, dollar signs and the frame of a formula; thousands separators are gone."""
    text = text.strip().replace("−", "-").replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("\\cfrac", "\\frac")
    text = text.replace("\\%", "%").replace("\\{,\\}", ",").replace("\\!", "")
    text = re.sub(r"(\d)\\,(?=\d{3})", r"\1,", text)
    text = IGNORED.sub(" ", text)
    text = GROUPED.sub(lambda match: re.sub(r"[^\d]", "", match[0]), text)
    text = re.sub(r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac\s*(\d)\s*\{", r"\\frac{\1}{", text)
    text = re.sub(r"\\frac\s*(\{[^{}]*\})\s*(\d)", r"\\frac\1{\2}", text)
    text = text.strip().rstrip(".").strip()
    framed = braced(text, 0) if text.startswith("{") and "," not in text else None
    return plain(framed[0]) if framed and framed[1] == len(text) else text


def number(text):
    """The exact value of a number, fraction or mixed number with an optional unit; None for other texts."""
    text = plain(text)
    without = re.sub(r"^[A-Za-z]\w?\s*=\s*", "", text)
    sign = 1
    rest = without.lstrip()
    while rest[:1] in ("-", "+"):
        sign *= -1 if rest[0] == "-" else 1
        rest = rest[1:].lstrip()
    value, rest = unsigned(rest)
    if value is None:
        return None
    rest = TEXT.sub(r"\1", rest).strip()
    if rest.startswith("%") or rest.lower().startswith("percent"):
        return None
    # A unit: words, also with powers and quotients (cm^2, km/h), but nothing that continues a formula.
    if re.fullmatch(r"(?:[A-Za-z]{2,}|[mgshlLNJVWAFC](?![A-Za-z]))(?:\^\{?\d\}?)?(?:[ /][A-Za-z]+(?:\^\{?\d\}?)?)*\.?|", rest):
        return sign * value
    return None


def unsigned(text):
    """A value at the beginning of a text, and the rest."""
    fraction = re.match(r"(\d+)?\s*\\frac\{\s*([-+]?\d+(?:\.\d+)?)\s*\}\{\s*([-+]?\d+(?:\.\d+)?)\s*\}", text)
    if fraction and Fraction(fraction[3]) != 0:
        return Fraction(fraction[1] or 0) + Fraction(fraction[2]) / Fraction(fraction[3]), text[fraction.end() :]
    mixed = re.match(r"(\d+)\s+(\d+)\s*/\s*(\d+)(?![\d.])", text)
    if mixed and int(mixed[3]) != 0:
        return int(mixed[1]) + Fraction(int(mixed[2]), int(mixed[3])), text[mixed.end() :]
    quotient = re.match(rf"({NUMBER})\s*/\s*({NUMBER})(?![\d.])", text)
    if quotient and Fraction(quotient[2].rstrip(".")) != 0:
        return Fraction(quotient[1].rstrip(".")) / Fraction(quotient[2].rstrip(".")), text[quotient.end() :]
    power = re.match(r"10\^\{?([+-]?\d{1,3})\}?", text)
    if power:
        return Fraction(10) ** int(power[1]), text[power.end() :]
    compact = re.sub(r"\s*(\\times|\\cdot|\*|×|·)\s*10", r"\g<1>10", text)
    decimal = DECIMAL.match(compact)
    if decimal and abs(int(decimal[2] or 0)) < 1000:
        return Fraction(decimal[1].rstrip(".")) * Fraction(10) ** int(decimal[2] or 0), compact[decimal.end() :]
    return None, text


def values(text):
    """The values that an answer can mean: a percentage is also its hundredth."""
    value = number(text)
    if value is not None:
        return {value}
    percent = re.fullmatch(r"(.*?)\s*(?:%|percent)\.?", plain(TEXT.sub(r"\1", text)), re.S | re.I)
    value = number(percent[1]) if percent else None
    return set() if value is None else {value, value / 100}


def elements(text):
    """The elements of a set, tuple or interval with its brackets; None for other texts."""
    text = plain(text).replace("\\{", "{").replace("\\}", "}").strip()
    if len(text) < 2 or text[0] not in "({[" or text[-1] not in ")}]":
        return None
    parts, depth = [""], 0
    for character in text[1:-1]:
        depth += (character in "({[") - (character in ")}]")
        if depth < 0:
            return None
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return (text[0] + text[-1], [part.strip() for part in parts]) if len(parts) > 1 else None


def words(text):
    """A text to compare as it is: without spaces, \\text and the brackets of a single letter."""
    text = re.sub(r"\s+", "", plain(TEXT.sub(r"\1", text)))
    letter = re.fullmatch(r"\(?([A-Za-z])\)?[.:]?", text)
    return letter[1].upper() if letter else text.casefold()


def equal(one, other):
    """Whether two answers are equal by these rules."""
    if values(one) & values(other):
        return True
    if values(one) and values(other):
        return False
    first, second = elements(one), elements(other)
    if first and second:
        if first[0] != second[0] or len(first[1]) != len(second[1]):
            return False
        rest = list(second[1])
        if first[0] != "{}":
            return all(equal(a, b) for a, b in zip(first[1], rest))
        for element in first[1]:
            match = next((candidate for candidate in rest if equal(element, candidate)), None)
            if match is None:
                return False
            rest.remove(match)
        return True
    return words(one) == words(other) != ""


def verified(answer, completion):
    """Whether math-verify finds the answers equal; False if it is not installed or cannot read them."""
    try:
        from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify
    except ImportError:
        return False
    kinds = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
    gold = parse(f"\\boxed{{{answer}}}", extraction_config=kinds)
    return bool(gold) and bool(verify(gold, parse(completion, extraction_config=kinds)))


def is_right(answer, completion, own_rules=False):
    found = final_answer(completion)
    if found is None or max(len(answer), len(found)) > LONGEST_ANSWER:
        return False
    if equal(answer, found):
        return True
    return not own_rules and verified(answer, f"\\boxed{{{found}}}")


if __name__ == "__main__":
    from reward_lines import serve

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--own-rules", action="store_true", help="do not use math-verify")
    own = options.parse_args().own_rules

    def score(item):
        # The answer of a worked solution (GSM8K) is what follows '####'.
        answer = final_answer(item["answer"]) if re.search(r"####|\\f?boxed", item["answer"]) else item["answer"]
        return float(is_right(answer, item["completion"], own)) if answer and answer.strip() else None

    serve(score)
