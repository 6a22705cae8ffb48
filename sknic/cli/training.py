"""The training options of `fit` and `evaluate`, and the estimator that they configure."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar

import typer

MODULES = ("cnn", "attention-mil")


def _among(*names):
    def check(value):
        if value is not None and value not in names:
            raise typer.BadParameter(f"{value!r}: expected {' or '.join(names)}")
        return value

    return check


def _crop_size(value):
    if value is None or value == "auto":
        return value
    try:
        return int(value)
    except ValueError:
        raise typer.BadParameter(f"{value!r}: expected auto or a whole number of cells") from None


@dataclass(frozen=True)
class Training:
    """Parameters of the estimators as options; None leaves one to the recipe. See the estimators for details."""

    PANELS: ClassVar[dict[str, str]] = {"recipe": "Training (options that are not given have the estimators' defaults)"}

    recipe: Annotated[
        str,
        typer.Option(
            help="default, or paper for the paper's training.",
            metavar="default|paper",
            callback=_among("default", "paper"),
        ),
    ] = "default"
    max_steps: Annotated[
        int | None,
        typer.Option(
            help="Number of training batches, over which the learning rate falls; 1500 by default (survival: 60 "
            "passes over the slides, at least 600 and at most 1500), 3200 with --recipe paper."
        ),
    ] = None
    lr: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None
    batch_size: Annotated[int | None, typer.Option(help="Number of crops per training batch.")] = None
    schedule: Annotated[
        str | None,
        typer.Option(
            help="How the learning rate falls: along half a cosine, or divided by 10 on each plateau.",
            metavar="cosine|plateau",
            callback=_among("cosine", "plateau"),
        ),
    ] = None
    min_lr: Annotated[
        float | None, typer.Option(help="Learning rate at which the plateau schedule stops the training.")
    ] = None
    patience: Annotated[
        int | None, typer.Option(help="Number of evaluations without a better loss that count as a plateau.")
    ] = None
    eval_every: Annotated[int | None, typer.Option(help="Number of training batches between two evaluations.")] = None
    weight_decay: Annotated[float | None, typer.Option(help="Decoupled weight decay (AdamW).")] = None
    l2: Annotated[float | None, typer.Option(help="Penalty on squared weights (Adam), instead of weight decay.")] = None
    dropout: Annotated[float | None, typer.Option(help="Share of the features that are dropped.")] = None
    validation_fraction: Annotated[
        float | None, typer.Option(help="Share of the patients held out to choose the best weights.")
    ] = None
    crop_size: Annotated[
        str | None,
        typer.Option(help="Side of the canvas in cells, or auto.", metavar="auto|INTEGER", callback=_crop_size),
    ] = None
    padding: Annotated[
        str | None,
        typer.Option(
            help="same, or valid for the authors' network on 400 x 400 cells.",
            metavar="same|valid",
            callback=_among("same", "valid"),
        ),
    ] = None
    standardize: Annotated[
        bool | None,
        typer.Option(
            "--standardize/--no-standardize",
            help="Scale each channel to mean 0 and standard deviation 1 over the tissue.",
        ),
    ] = None
    n_members: Annotated[
        int | None,
        typer.Option(
            help="Number of networks per fit, whose predictions are averaged; 1 by default (survival: 3; 1 with "
            "--recipe paper). Each adds the time of one fit."
        ),
    ] = None
    n_crops: Annotated[
        int | None,
        typer.Option(help="Number of crops averaged per prediction if the tissue does not fit on the canvas."),
    ] = None
    average_orientations: Annotated[
        bool | None,
        typer.Option(
            "--average-orientations/--no-average-orientations",
            help="Average predictions over the eight orientations of a grid.",
        ),
    ] = None
    n_filters: Annotated[int | None, typer.Option(help="Number of filters per convolution.")] = None
    pooled_branch: Annotated[
        bool | None,
        typer.Option(
            "--pooled-branch/--no-pooled-branch", help="Add a linear branch for the mean embedding to the CNN."
        ),
    ] = None
    hotspot_branch: Annotated[
        bool | None,
        typer.Option(
            "--hotspot-branch/--no-hotspot-branch",
            help="Add a branch for what is densest in one place, such as mitoses, to the CNN; on by default for "
            "survival only.",
        ),
    ] = None
    mask_background: Annotated[
        bool | None,
        typer.Option(
            "--mask-background/--no-mask-background",
            help="Leave the background out of the normalization and the final mean of the CNN.",
        ),
    ] = None
    module: Annotated[
        str | None,
        typer.Option(
            help="cnn, or attention-mil, which ignores the positions of cells.",
            metavar="cnn|attention-mil",
            callback=_among(*MODULES),
        ),
    ] = None
    balanced: Annotated[
        bool | None,
        typer.Option(
            "--balanced/--no-balanced",
            help="Draw the same number of slides of each class into a batch (classification only).",
        ),
    ] = None
    class_weight: Annotated[
        str | None,
        typer.Option(
            help="balanced: weight the classes in the loss instead of balancing batches (classification only).",
            metavar="balanced",
            callback=_among("balanced"),
        ),
    ] = None
    ties: Annotated[
        str | None,
        typer.Option(
            help="Handling of tied times: efron or breslow (survival only).",
            metavar="efron|breslow",
            callback=_among("efron", "breslow"),
        ),
    ] = None

    def estimator(self, task: str, **settings: Any) -> Any:
        """Return the unfitted estimator of a task.

        Parameters
        ----------
        task : str
            Name of the kind of target.
        **settings
            Parameters that are not options of the training, such as `random_state`.

        Returns
        -------
        estimator
            With the parameters set by the options.
        """
        from sknic.estimators import PAPER_RECIPE, AttentionMIL, estimator_for
        from sknic.estimators.parameters import OF_THE_CNN, check_parameters

        kind = estimator_for(task)
        params = dict(PAPER_RECIPE) if self.recipe == "paper" else {}
        if self.module == "attention-mil":
            for name in OF_THE_CNN:
                params.pop(name, None)
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        params |= {name: value for name, value in given.items() if value is not None and name not in _NOT_PARAMETERS}
        if self.module == "attention-mil":
            params["module"] = AttentionMIL
            self._refuse_branches()
        known = kind().get_params(deep=False)
        for name in params:
            if name not in known:
                raise typer.BadParameter(f"--{name.replace('_', '-')} has no meaning for --task {task}")
        estimator = kind(**params, **settings)
        try:
            # Now, and not after the slides were compressed.
            check_parameters(estimator, kind._rules)
        except (ValueError, TypeError) as error:
            raise typer.BadParameter(str(error)) from error
        return estimator

    def _refuse_branches(self):
        """Attention has no branches, even where the CNN has them by default."""
        from sknic.estimators.parameters import OF_THE_CNN

        for name in OF_THE_CNN:
            if getattr(self, name, None) is True:
                raise typer.BadParameter(f"--{name.replace('_', '-')} has no meaning for --module attention-mil")


_NOT_PARAMETERS = ("recipe", "module")
