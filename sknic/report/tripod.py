"""The items of TRIPOD+AI [1]: those that sknic can fill in, and those that the authors have to write.

[1] Collins et al., "TRIPOD+AI statement: updated guidance for reporting clinical prediction models that use regression
or machine learning methods", BMJ 385 (2024), e078378.
"""

# In words of our own; the statement has the full ones.
ITEMS = {
    "1": "Title",
    "2": "Abstract",
    "3a": "Health care context, and existing models",
    "3b": "Target population, and where in the care of patients it is used",
    "3c": "Known inequalities between groups of patients",
    "4": "Objectives",
    "5a": "Source of the data",
    "5b": "Dates of the data",
    "6a": "Setting: number and place of the centers",
    "6b": "Eligibility of patients",
    "6c": "Treatments",
    "7": "Preparation of the data",
    "8a": "Outcome, and its time horizon",
    "8b": "Who assessed a subjective outcome",
    "8c": "Blinding of that assessment",
    "9a": "Choice of predictors",
    "9b": "Definition of predictors",
    "9c": "Who assessed subjective predictors",
    "10": "Sample size",
    "11": "Missing data",
    "12a": "Division of the data for training and evaluation",
    "12b": "Handling of predictors in the analysis",
    "12c": "Kind of model, and how it was built",
    "12d": "Differences between clusters, such as centers",
    "12e": "Measures of performance",
    "12f": "Updating of the model",
    "12g": "How predictions are calculated",
    "13": "Class imbalance",
    "14": "Fairness",
    "15": "Output of the model",
    "16": "Differences between the data of training and evaluation",
    "17": "Ethical approval",
    "18a": "Funding",
    "18b": "Conflicts of interest",
    "18c": "Protocol",
    "18d": "Registration",
    "18e": "Sharing of data",
    "18f": "Sharing of code",
    "19": "Involvement of patients and public",
    "20a": "Flow of participants",
    "20b": "Characteristics of participants",
    "20c": "Comparison of development and evaluation data",
    "21": "Numbers of participants and events in each analysis",
    "22": "Full specification of the model",
    "23a": "Performance with intervals",
    "23b": "Differences of performance between clusters",
    "24": "Results of updating",
    "25": "Interpretation",
    "26": "Limitations",
    "27a": "Input of poor quality, or missing",
    "27b": "Interaction of users",
    "27c": "Next steps",
}
UNKNOWN = "to be written by the authors"


def tripod_rows(known: dict[str, str]) -> list[tuple[str, str, str]]:
    """List every item with what is known about it.

    Parameters
    ----------
    known : dict of str to str
        Text of the items that are known, by number.

    Returns
    -------
    list of (str, str, str)
        Number, topic, and text, or a note that it is unknown.
    """
    return [(number, topic, known.get(number, UNKNOWN)) for number, topic in ITEMS.items()]
