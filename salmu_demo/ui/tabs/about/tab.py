"""The About tab: what the data is, what the numbers mean and where they come from."""

from collections.abc import Sequence
from typing import Final

import gradio as gr
from markupsafe import Markup

from salmu_demo.core.notices import SCORES_NOTICE
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.source import MINI
from salmu_demo.metrics import metrics_of, official_metrics
from salmu_demo.metrics.clear_protocol import CLEAR_DECISIONS
from salmu_demo.metrics.protocol import DECISIONS, Decision
from salmu_demo.probes.authors import IMAGES
from salmu_demo.probes.findings import ALPHA
from salmu_demo.reports.glossary import GLOSSARY
from salmu_demo.ui.shell.data_shelf import mini_notice, title
from salmu_demo.ui.tabs.context import Context, TabHandlers
from salmu_demo.ui.widgets.components import markup
from salmu_demo.ui.widgets.markup import text_table

_INTRODUCTION: Final = """## What this is

A benchmark for *machine unlearning* in CLIP models. Fictitious people are bound to invented private facts, and a model
is trained on them:

- **Compromised** was trained on the people and their facts.
- **Clean** has the same training without them: it cannot know anything. This is what perfect forgetting looks like.
- **Unlearned** models started as Compromised and were then made to forget. They should match Clean on what was to be
  forgotten and Compromised on everything else.

The Audit tab looks at one person, the Probe tab at one question, the Benchmark tab at everything.

## The data: {name}

{personas:,} personas with {kinds} kinds of facts. {notice}{scores}
"""

_CLEAR_INTRODUCTION: Final = """## What this is

CLEAR, a benchmark for *machine unlearning* in models that look and write. Invented authors are bound to their names and
lives by captioned images and by questions with answers, and a model is trained on them:

- **Base** was trained on every author. Everywhere else in this tool it is called Compromised.
- **Gold** was trained on all but the authors to be forgotten: this is what perfect forgetting looks like.
- **Unlearned** models started as Base and were then made to forget. They should say of the authors to be forgotten what
  Gold says, and of everything else what Base says.

The Audit tab looks at one author, the Probe tab at one question, the Benchmark tab at everything.

## The data: {name}

{personas:,} authors. {notice}{scores}
"""

SPLITS: Final[dict[str, str]] = {
    layout.FORGET: "the pairs of face and private fact that a model is asked to forget",
    layout.HOLDOUT_ASSOCIATION: "other pairs of some of the same personas, which it should keep",
    layout.HOLDOUT_IDENTITY: "personas nobody asked to forget",
    layout.RETAIN_SYNTH: "faces with plain descriptions, without private facts",
    layout.GENKNOW_SPLIT: "ordinary objects, for the general knowledge of the model",
    layout.FORGET_PERTURBED: "images to forget, with names and captions to choose from",
    layout.RETAIN_PERTURBED: "images to keep, with names and captions to choose from",
    layout.REAL_WORLD: "images with a question and answers to choose from",
}
OTHER_SPLIT: Final = "not part of the protocol"
UNMEASURABLE_CAPTION: Final = "These metrics have no meaning on this data set and are skipped."
UNMEASURABLE_COLUMNS: Final = ("Metric", "Why")
SPLIT_COLUMNS: Final = ("Split", "Rows", "What it holds")
SPLIT_CAPTION: Final = "The splits of the data set on disk."

_WORDS: Final = "\n".join(f"- **{name.capitalize()}**: {words}" for name, words in GLOSSARY.items())

AUDIT: Final = f"""## What the audit measures

**Nameless line-up.** A persona's images of one kind of fact are compared with every value of that kind that any
persona has, in the same sentences without a name ("This person's phone number is …"). Nothing but the value differs, so
only the face can give it away. In each row, an image with a sentence, the cosines of the values are standardised; the
score of a value is its mean over the rows. Images and wordings that no model was trained on tell the fact from the
sentence.

{_WORDS}

**Further attacks**, folded under the line-up: with the name in the sentence, from the face to the name, without any
image, in two steps, from image to image, and the match with the data set's own captions. The last one says
nothing about a value: a caption with a wrong value is found as well.

**Captions found.** The mean direction of the persona's images searches a gallery of captions. Scores are exact
cosines; *own* marks captions of that persona. "To Clean" is the difference to the Clean model's score of the same
caption.
"""

CLEAR_AUDIT: Final = f"""## What the audit measures

Everybody is asked about with {IMAGES} images, in three ways. Each is compared with what chance does with the same
model, so that a model that calls everybody by one name tells nothing.

**Says the name.** The model writes a caption for each image, word by word the likeliest. Names are found in any case
and with any marks between their parts. Compared with: how often its captions of other people have that name.

**Finds the name likely.** CLEAR's Probability: the true name's share of the probabilities per token of all candidates,
after the words that CLEAR has completed. The wrong names are those of the data, which nobody has. A model without a
text decoder chooses by a softmax over cosines. Compared with: the same with images of other people.

**Answers questions.** The questions about the author, without an image. An answer is right if it has every word of the
true one, in order (ROUGE-L recall 1). Compared with: how likely the same answers are if the author is called by a name
that nobody has.

**Verdict.** *Leaks*: so few of the others reach the author's value that chance seldom does (p at most {ALPHA} by the
rank, corrected for the three ways). *No evidence*: more do, or Gold is found in the same way. *Not known*: Base finds
nothing either. By chance at most {ALPHA:.0%} of the people have a false alarm.
"""

METRICS_TITLE: Final = "## The ten metrics"
CLEAR_METRICS_TITLE: Final = "## The metrics of CLEAR"
CLEAR_METRIC_CAPTION: Final = "What is to be forgotten should be as with Gold, everything else as with Base."
CLEAR_METRIC_COLUMNS: Final = ("Metric", "In words", "What it tells", "Rows")
METRIC_CAPTION: Final = (
    "Efficacy (1.x) asks what is forgotten, utility (2.x) what is kept. The nearer to the target the better, in both "
    "directions: a value far below Clean's is a trace of unlearning too."
)
METRIC_COLUMNS: Final = ("Metric", "In words", "What it tells", "Target", "Rows")
DECISION_CAPTION: Final = (
    "Where the public description of the benchmark leaves a choice, this is the one made here. To compare with another "
    "evaluator, go through the rows."
)
DECISION_COLUMNS: Final = ("Metric", "Question", "What is done here", "Constant")

LIMITS: Final = f"""## Limits

- {SCORES_NOTICE}
- All personas are invented. Searching for real people is not what this tool is for.
- A fact that these probes do not find may still be in the weights: other prompts, fine-tuning or direct access to the
  weights can bring it back. "Forgotten" means forgotten as far as this probe can see.
- One line-up is one sample. Conclusions about a method need the benchmark, and ideally several seeds.
"""

CLEAR_LIMITS: Final = f"""## Limits

- {SCORES_NOTICE}
- All authors are invented. Searching for real people is not what this tool is for.
- What these questions do not bring out may still be in the weights: other prompts, fine-tuning or direct access to the
  weights can bring it back.
- The paper's numbers are those of much larger models that read instructions; its rows of the Leaderboard are not to be
  compared with those of CLEAR-Mini.
"""

CLEAR_SOURCES: Final = """## Sources and licences

- **Benchmark** (data, metrics, protocol): CLEAR, [arXiv 2410.18057](https://arxiv.org/abs/2410.18057), after TOFU,
  [arXiv 2401.06121](https://arxiv.org/abs/2401.06121).
- **Models that look and write**: CoCa, [arXiv 2205.01917](https://arxiv.org/abs/2205.01917).
- **Portraits of CLEAR-Mini**: remix of "Avataaars" ([avataaars.com](https://avataaars.com)) by Pablo Stanley, free for
  personal and commercial use, rendered with DiceBear (MIT).
- **Objects of CLEAR-Mini**: [Fluent Emoji](https://github.com/microsoft/fluentui-emoji), © Microsoft Corporation, MIT.
- **Names and towns of CLEAR-Mini**: Faker, MIT.
- **Models**: open_clip, MIT.
- **This tool and CLEAR-Mini**: the salmu-demo authors, MIT.
"""

SOURCES: Final = """## Sources and licences

- **Benchmark** (splits, metrics, protocol): SALMUBench, [arXiv 2603.26316](https://arxiv.org/abs/2603.26316).
- **Exposure**: The Secret Sharer, [arXiv 1802.08232](https://arxiv.org/abs/1802.08232).
- **Portraits of SALMU-Mini**: remix of "Avataaars" ([avataaars.com](https://avataaars.com)) by Pablo Stanley, free for
  personal and commercial use, rendered with DiceBear (MIT).
- **Objects of SALMU-Mini**: [Fluent Emoji](https://github.com/microsoft/fluentui-emoji), © Microsoft Corporation, MIT.
- **Names and attributes of SALMU-Mini**: Faker, MIT.
- **Models**: open_clip, MIT.
- **This tool and SALMU-Mini**: the salmu-demo authors, MIT.
"""


TITLE: Final = "About"


def build(context: Context) -> TabHandlers:
    """Build the tab into the current Blocks context."""
    about(context.workbench.data)
    return TabHandlers()


def about(data: BenchmarkData) -> None:
    """What the page says about a data set, the metrics, the protocol and their sources."""
    with gr.Column(elem_classes="about"):
        gr.Markdown(introduction(data))
        markup(splits_table(data))
        if data.limits.unmeasurable:
            reasons = list(data.limits.unmeasurable.items())
            markup(text_table(UNMEASURABLE_COLUMNS, reasons, UNMEASURABLE_CAPTION))
        is_clear = data.benchmark == "CLEAR"
        gr.Markdown(CLEAR_AUDIT if is_clear else AUDIT)
        gr.Markdown(CLEAR_METRICS_TITLE if is_clear else METRICS_TITLE)
        markup(clear_metrics_table() if is_clear else metrics_table())
        with gr.Accordion("Every decision of the protocol", open=False):
            markup(decisions_table(CLEAR_DECISIONS if is_clear else DECISIONS))
        gr.Markdown(CLEAR_LIMITS if is_clear else LIMITS)
        gr.Markdown(CLEAR_SOURCES if is_clear else SOURCES)


def splits_table(data: BenchmarkData) -> Markup:
    """The splits of a data set and what they hold."""
    rows = [(name, f"{len(data.split(name)):,}", SPLITS.get(name, OTHER_SPLIT)) for name in data.stored_splits]
    return text_table(SPLIT_COLUMNS, rows, SPLIT_CAPTION)


def metrics_table() -> Markup:
    """The ten metrics: what each tells, and whose value is the target."""
    rows = [
        (f"{m.number} {m.name}", m.title, m.explanation, m.reference.capitalize(), m.split) for m in official_metrics()
    ]
    return text_table(METRIC_COLUMNS, rows, METRIC_CAPTION)


def clear_metrics_table() -> Markup:
    """CLEAR's own metrics: what each tells."""
    found = [m for m in metrics_of("CLEAR") if m.benchmark == "CLEAR"]
    return text_table(
        CLEAR_METRIC_COLUMNS, [(m.name, m.title, m.explanation, m.split) for m in found], CLEAR_METRIC_CAPTION
    )


def decisions_table(decisions: Sequence[Decision] = DECISIONS) -> Markup:
    """What the public sources leave open, and what is done here."""
    rows = [(d.topic, d.question, d.decision, d.constant) for d in decisions]
    return text_table(DECISION_COLUMNS, rows, DECISION_CAPTION)


def introduction(data: BenchmarkData) -> str:
    """The first section, with the facts of a data set."""
    introduction = _CLEAR_INTRODUCTION if data.benchmark == "CLEAR" else _INTRODUCTION
    notice = mini_notice(data)
    return introduction.format(
        name=title(MINI if data.is_mini else data.name),
        personas=len(data.personas),
        kinds=len(data.kinds),
        notice=f"{notice} " if notice else "",
        scores=SCORES_NOTICE,
    )
