"""What the checklists ask, where a record answers it, and what it leaves to people."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.report.checklist import of_data, of_model, of_scores
from pipeline.report.checklist.item import Question

__all__ = ["CLAIM", "GMLP", "METRICS_RELOADED"]

CLAIM: Sequence[Question] = (
    Question("1", "The AI method is named in title or abstract", of_model.method, "the title"),
    Question("2", "Structured summary of design, methods, results, conclusions"),
    Question("3", "Background, intended use and clinical role"),
    Question("4", "Objectives and hypotheses"),
    Question("5", "Prospective or retrospective"),
    Question("6", "Goal of the study"),
    Question("7", "Sources of the data", of_data.data, "where they come from, and by whose permission"),
    Question(
        "8", "Eligibility: how, where and when cases were found", of_data.refused, "all that came before the index"
    ),
    Question("9", "Preprocessing of the data", of_data.preprocessing),
    Question("10", "Selection of subsets of the data"),
    Question("11", "Definitions of the data elements", of_data.definitions, "what belongs to each class"),
    Question("12", "De-identification", of_data.deidentified, "how the images were, and names burnt into pixels"),
    Question("13", "Missing data", of_data.refused, "clinical data"),
    Question("14", "Definition of the reference standard", of_data.reference, "how the masks came about"),
    Question("15", "Why this reference standard"),
    Question("16", "Who annotated, with which qualification"),
    Question("17", "Annotation tools"),
    Question("18", "Variability within and between annotators"),
    Question("19", "Intended sample size and how it was determined"),
    Question("20", "How data were assigned to the partitions", of_data.partitions),
    Question("21", "Level at which the partitions are disjoint", of_data.disjoint),
    Question("22", "The model in detail", of_model.model),
    Question("23", "Software and versions", of_model.software),
    Question("24", "Initialisation of the parameters", of_model.initialisation),
    Question(
        "25", "Training: augmentation, hyperparameters, number of models", of_model.training, "how many were tried"
    ),
    Question("26", "How the final model was selected", of_model.selection),
    Question("27", "Ensembling", of_model.ensemble),
    Question("28", "Metrics of performance", of_scores.measured),
    Question("29", "Measures of uncertainty and significance", of_scores.intervals),
    Question("30", "Robustness or sensitivity analysis"),
    Question("31", "Explainability"),
    Question("32", "Testing on external data", of_scores.external, "whether they are of other hospitals"),
    Question("33", "Flow of participants or cases", of_data.size, "who was left out before the index"),
    Question("34", "Demographic and clinical characteristics by partition"),
    Question("35", "Performance of the model on each partition", of_scores.scores),
    Question("36", "Accuracy with its precision", of_scores.scores),
    Question("37", "Failure analysis", of_scores.failures, "why these failed"),
    Question("38", "Limitations", of_scores.limits, "bias, and whom it holds for"),
    Question("39", "Implications for practice"),
    Question("40", "Registration"),
    Question("41", "Where protocol, code and data are", of_model.protocol, "where they can be had"),
    Question("42", "Funding"),
)

GMLP: Sequence[Question] = (
    Question("1", "Expertise of many disciplines throughout the life cycle"),
    Question("2", "Good software engineering and security", of_model.engineering, "tests, reviews and security"),
    Question("3", "Participants and data represent the intended patients"),
    Question("4", "Training data are independent of test data", of_data.independent, "other ways in which they depend"),
    Question("5", "Reference data are based on the best available methods"),
    Question("6", "The model fits the data and the intended use", of_model.design, "the intended use"),
    Question("7", "Performance of the human and the AI together"),
    Question("8", "Testing under clinically relevant conditions", of_scores.external, "how like the clinic they are"),
    Question("9", "Users get clear, essential information", of_scores.user_information, "that users get it"),
    Question("10", "Deployed models are watched, and risks of training again are managed"),
)

METRICS_RELOADED: Sequence[Question] = (
    Question("–", "An overlap metric for each class", of_scores.overlap),
    Question("–", "A boundary metric besides, with its tolerance", of_scores.boundary, "why this tolerance"),
    Question("–", "Does the tolerance match the variability of annotators"),
    Question("–", "Imbalance of classes does not hide in an average", of_scores.by_class),
    Question("–", "Rule for empty references and predictions", of_scores.empty),
    Question("–", "Aggregation respects patients and classes", of_scores.aggregated),
    Question("–", "Uncertainty of the figures", of_scores.intervals),
    Question("–", "Calibration of the probabilities", of_scores.calibration),
    Question("–", "Small structures need other metrics than overlap"),
    Question("–", "Do the metrics reflect the clinical purpose"),
)
