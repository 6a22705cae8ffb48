"""The model card of an encoder that sknic ships: its training data, its performance, and what it was never shown."""

ABOUT = {
    "sknic-he-1": {
        "about": "H&E: lymph node tumor, mitosis, colorectal tissue, and a loss without labels",
        "license": "BSD-3-Clause",
        "citations": [
            "Veeling et al., Rotation Equivariant CNNs for Digital Pathology, MICCAI 2018 (PatchCamelyon)",
            "Ehteshami Bejnordi et al., JAMA 2017 (CAMELYON16)",
            "Bertram et al. 2025 (AMi-Br benchmark, of images of MIDOG21, TUPAC16, MIDOG++ and TCGA)",
            "Kather et al., Multi-class texture analysis in colorectal cancer histology, Scientific Reports 2016",
            "Kather et al., NCT-CRC-HE-100K, Zenodo 2018",
        ],
        "never shown": [
            "stains other than H&E, frozen sections, cytology",
            "labels of tissue outside lymph nodes, mitotic figures and the colorectum, such as liver, prostate or skin",
            "mitoses at 0.5 or 1 um/px: its mitosis patches have 0.19 um/px",
            "pen marks, folds and other artifacts as a class of their own",
        ],
    },
}

BODIES = {
    "plain": "the paper's, four strided convolutions",
    "residual": "a strided convolution and three residual blocks, at the cost of the paper's four convolutions",
}
TEXT = """# {name}

{about}. {code_size} numbers per patch of 64 px at 1.0 um/px, or of 128 px at 0.5 um/px, averaged 2x2.
License of the weights: {license}. Trained by `sknic.MultitaskEncoder` from scratch; no published weights were used.
Network: {body}.

## Training data

| task | patches | um/px | source and license |
|---|---|---|---|
{data}

Digests (SHA-256 of patches and labels) are in the header of the file: `load_encoder("{name}").card_`. Credits:

{citations}

## Performance on unseen patches

Balanced accuracy of a linear probe (logistic regression, C = 0.05, on standardized embeddings) on a fifth of each task
that was held out from both the encoder and the probe, by whole sources (at random for lymph, whose sources are
unknown), with 95 % intervals that resample sources. It was trained on {trained_on}, and not on the other tasks.

| task | {name} | patches | sources |
|---|---|---|---|
{held_out}

## What is not in its training data

{never_shown}

## How it was trained

{steps:,} steps at {speed:,} patches/s, {hours:.1f} h on {machine}. The whole training, in a
clone of the repository:

    SKNIC_TEST_DATA=FOLDER python -m benchmarks.train_encoder {name} --seed {seed}
"""


def card_text(card):
    """The card in Markdown."""
    order = sorted(card["held out"], key=lambda task: (task not in card["data"], task))
    own = sorted(card["data"])
    return TEXT.format(
        name=card["name"],
        about=card["about"],
        license=card["license"],
        code_size=128,
        body=BODIES[card["settings"].get("body", "plain")],
        data="\n".join(_data_row(task, about) for task, about in card["data"].items()),
        citations=_items(card["citations"]),
        trained_on=f"{', '.join(own[:-1])} and {own[-1]}",
        held_out="\n".join(_score_row(task, card["held out"][task]) for task in order),
        never_shown=_items(card["never shown"]),
        steps=card["trained"]["steps"],
        speed=card["trained"]["patches/s"],
        hours=card["trained"]["seconds"] / 3600,
        machine=card["trained"]["machine"],
        seed=card["settings"]["seed"],
    )


def _items(lines):
    return "\n".join(f"- {line}" for line in lines)


def _data_row(task, about):
    patches = ", ".join(f"{label} {n:,}" for label, n in about["patches"].items())
    return f"| {task} | {patches} | {', '.join(map(str, about['um/px']))} | {about['source']} |"


def _score_row(task, score):
    figure = f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"
    return f"| {task} | {figure} | {score['n']:,} | {score['sources']:,} |"
