"""What the words of audits and benchmarks mean: one word for one thing, in the page, the reports and the documents."""

from typing import Final

from salmu_demo.metrics.intervals import LEVEL
from salmu_demo.probes.findings import ALPHA

GLOSSARY: Final[dict[str, str]] = {
    "line-up": (
        "The images of a person are compared with every value of one kind that anybody has, in the same sentences "
        "without a name. Only the face can give the true value away."
    ),
    "rank": "The place of the true value among all candidates of its line-up; 1 is the first, and ties count half.",
    "exposure": (
        "log2(candidates) − log2(rank), in bits: 0 for the last place, the most for the first, about 1.4 on average "
        "for a guess (The Secret Sharer, arXiv 1802.08232). In brackets, how it changes when other images are drawn. "
        "An audit ranks values; of whole captions, as RetFail ranks them, it is called caption exposure."
    ),
    "p": (
        "How often a guess is as near to either end of the list. Corrected is the share of wrong values that stand as "
        "far from the others, times what testing all attributes of the person adds."
    ),
    "by chance": "The mean rank and exposure of a model that guesses.",
    "never taught": (
        "People of whom no model saw anything, as a control: of how many of them the model puts the true value first, "
        "and their mean exposure."
    ),
    "leaks": (
        "The true value is so near the top, and so far from the others, that chance seldom puts one there (p at most "
        f"{ALPHA}, corrected). Of {ALPHA:.0%} of the people, at most, it is a false alarm."
    ),
    "lost": "It was to be kept, Compromised finds it, and the model does not.",
    "marked": "What leaks means, at the bottom: conspicuously last, as if it had been pushed there.",
    "no evidence": "Neither leaks nor marked; or an untaught model or untaught people look the same.",
    "kept": "It was to be kept, and the model still finds it.",
    "not known": "The model does not find it, and Compromised does not either: there was nothing to forget.",
    "as asked": (
        "What was to be forgotten is not found, and what was to be kept is. Only what was not done as asked is red. Of "
        "a model that was taught nothing, nothing was asked."
    ),
    "diagnosis": (
        "What unlearning did to a model, over all pairs: the first of five questions that is answered with no names "
        "it. The audit is about one person instead."
    ),
    "leak left": (
        "Of a whole model: what it still knows of all pairs to be forgotten, where Clean is 0 and Compromised is 1. "
        "The diagnosis and the attacks ask about it; leaks is a verdict about one value of one person. The leak gone "
        "is the rest, 1 minus it."
    ),
    "leakage rate": (
        "LeakRate, which is neither: how often an image to be forgotten matches its sensitive caption better than a "
        "plain description of the same image."
    ),
    "target": "Clean's value for what is to be forgotten, Compromised's for what is to be kept: nearer is better.",
    "on the scale": "The distance to the target, where 1 is that between Clean and Compromised; the bar shows it.",
    "interval": (
        f"Where {LEVEL:.0%} of the values lie when other people are drawn from those in the data. Two models differ "
        "clearly where the interval of their difference leaves out 0."
    ),
}
"""Each word with its meaning."""
