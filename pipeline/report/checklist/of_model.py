"""What a record says of its network and its training to the items of a checklist; empty where it says nothing."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.report.card_facts import CardFacts
from pipeline.report.checklist.of_data import transform_names
from pipeline.tracking.recorded import config_artifact

SETTINGS = ("max_epochs", "batch_size", "learning_rate", "patience", "seed")


def method(facts: CardFacts) -> str:
    """CLAIM 1."""
    name = _network(facts)
    return f"Deep learning: {name} segments {', '.join(facts.classes[1:])}." if name and facts.classes[1:] else ""


def model(facts: CardFacts) -> str:
    """CLAIM 22: the network with its arguments; those that are expressions follow from the classes."""
    network = facts.config.get("network_def")
    name = _network(facts)
    if not isinstance(network, Mapping) or not name:
        return ""
    arguments = [
        f"{key}={value}"
        for key, value in network.items()
        if not key.startswith("_") and not (isinstance(value, str) and value.startswith(("$", "@")))
    ]
    size = facts.config.get("image_size")
    given = f"; its input has {size} pixels" if isinstance(size, list) else ""
    return f"{name} ({', '.join(arguments)}), {len(facts.classes)} classes{given}."


def software(facts: CardFacts) -> str:
    """CLAIM 23."""
    versions = facts.environment.get("versions") or {}
    if not versions:
        return ""
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    lock = "code/requirements.txt"
    return f"{told}{f'; all packages in {lock}' if lock in facts.main.files else ''}."


def initialisation(facts: CardFacts) -> str:
    """CLAIM 24."""
    resumes = facts.main.tags.get("planar.resumes")
    if resumes:
        after = facts.main.tags.get("planar.resumes_after_epoch", "?")
        return f"From the training that it resumes, {resumes}, after epoch {after}."
    if facts.began_with:
        name, digest = facts.began_with
        seed = f" with the seed {facts.params['seed']}" if "seed" in facts.params else ""
        return f"With the weights of {name} (SHA-256 {digest[:12]}); what does not fit them at random{seed}."
    if facts.training is None or "seed" not in facts.params or _loads_weights(facts):
        return ""
    return f"At random with the seed {facts.params['seed']}; no weights were loaded."


def training(facts: CardFacts) -> str:
    """CLAIM 25."""
    if facts.training is None:
        return ""
    told = [f"{key.replace('_', ' ')} {facts.params[key]}" for key in SETTINGS if key in facts.params]
    for key in ("loss", "optimizer"):
        part = facts.config.get(key)
        if isinstance(part, Mapping) and "_target_" in part:
            told.append(f"{key} {str(part['_target_']).rpartition('.')[2]}")
    train = facts.config.get("train")
    augmentation = transform_names(train.get("random_transforms")) if isinstance(train, Mapping) else []
    told += [f"augmentation {', '.join(augmentation)}"] if augmentation else []
    return f"{'; '.join(told)}; all else in the recorded config." if told else ""


def selection(facts: CardFacts) -> str:
    """CLAIM 26."""
    best = facts.best
    if best is None:
        return ""
    which = "last" if facts.training is not None and facts.training.keeps_last else "best"
    return f"The {which} mean Dice on the validation part, {best.value:.4f} at epoch {best.step}."


def ensemble(facts: CardFacts) -> str:
    """CLAIM 27: how an image is predicted, by the config of the first evaluation."""
    if not facts.evaluations:
        return ""
    run = facts.evaluations[0].run
    path = config_artifact(run)
    content = run.json(path) if path is not None else None
    if not isinstance(content, Mapping):
        return ""
    network = content.get("network_def")
    target = str(network.get("_target_", "")) if isinstance(network, Mapping) else ""
    members = "An ensemble of folds" if target.endswith("FoldEnsemble") else "One network"
    passes = len(content.get("test_time_flips") or [[]])
    return f"{members}; " + ("one pass an image." if passes == 1 else f"mean of {passes} passes an image, flipped.")


def protocol(facts: CardFacts) -> str:
    """CLAIM 41."""
    tags = facts.main.tags
    if "planar.version" not in tags:
        return ""
    commit = tags.get("mlflow.source.git.commit")
    code = f"Code: Planar {tags['planar.version']}{f', commit {commit[:12]}' if commit else ''}."
    return f"{code} Settings, list of cases and tables are in this record, the weights by their SHA-256."


def engineering(facts: CardFacts) -> str:
    """GMLP 2."""
    tags = facts.main.tags
    commit, dirty = tags.get("mlflow.source.git.commit"), tags.get("planar.git.dirty")
    if commit is None or dirty is None:
        return ""
    changed = "differences from it are recorded" if dirty == "true" else "nothing differed from it"
    return f"Code (commit {commit[:12]}; {changed}), packages and machine are recorded."


def design(facts: CardFacts) -> str:
    """GMLP 6: only a bundle that was planned says why it is as it is."""
    digests = facts.main.json("code/bundle.json")
    plan = digests.get("configs/plan.json") if isinstance(digests, Mapping) else None
    if not plan:
        return ""
    told = "The bundle was planned from a fingerprint of data; the reason of each choice stands in its configs"
    return f"{told} (plan.json {str(plan)[:12]})."


def _network(facts: CardFacts) -> str:
    network = facts.config.get("network_def")
    return str(network.get("_target_", "")).rpartition(".")[2] if isinstance(network, Mapping) else ""


def _loads_weights(facts: CardFacts) -> bool:
    """Whether a handler of the training loads weights, other than those of a training that is resumed."""
    train = facts.config.get("train")
    handlers = train.get("handlers") if isinstance(train, Mapping) else None
    if not isinstance(handlers, list):
        return True  # not known
    return any(
        isinstance(one, Mapping)
        and str(one.get("_target_", "")).endswith("CheckpointLoader")
        and "resume" not in str(one.get("_disabled_", ""))
        for one in handlers
    )
