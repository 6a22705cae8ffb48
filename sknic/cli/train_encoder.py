"""`sknic train-encoder`: train an encoder on labelled patches."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sknic.cli.common import need_folder_of, write_run_record
from sknic.cli.config import Config, write_options
from sknic.cli.options import Device, Seed
from sknic.cli.running import saying_what_is_kept
from sknic.cli.settings import absolute
from sknic.exceptions import DatasetError

CHECKPOINT = "training.checkpoint"


class Schedule(StrEnum):
    """How the learning rate falls."""

    plateau = "plateau"
    cosine = "cosine"


class Body(StrEnum):
    """Network before the code."""

    plain = "plain"
    residual = "residual"


class Precision(StrEnum):
    """Number format used in training."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


def train_encoder(
    ctx: typer.Context,
    patches: Annotated[
        Path, typer.Argument(help="Folder with patches.csv (and images or patches.npy), or task/class/image folders.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for encoder.safetensors, history.csv and the run record.")],
    tasks: Annotated[list[str] | None, typer.Option(help="Train on this task only; may be repeated.")] = None,
    init: Annotated[str | None, typer.Option(help="Start from this encoder: a file or a bundled name.")] = None,
    code_size: Annotated[int, typer.Option(help="Length of an embedding.")] = 128,
    body: Annotated[
        Body, typer.Option(help="Convolutions as in the paper, or residual blocks, which learn more at the same cost.")
    ] = Body.plain,
    mpp: Annotated[
        float | None,
        typer.Option(
            help="um/px at which slides will be encoded; by default that of the patches in the column mpp, of --init, "
            "or else 0.5."
        ),
    ] = None,
    augmentation: Annotated[str, typer.Option(help="heavy, strong, light, mild or none.")] = "heavy",
    max_steps: Annotated[int, typer.Option(help="Maximum number of training batches.")] = 10_000,
    eval_every: Annotated[int, typer.Option(help="Number of training batches between two evaluations.")] = 100,
    batch_size: Annotated[int, typer.Option(help="Number of patches per batch, of all tasks together.")] = 128,
    schedule: Annotated[
        Schedule, typer.Option(help="Divide the learning rate on plateaus, or let it fall along a cosine.")
    ] = Schedule.plateau,
    lr: Annotated[float, typer.Option(help="Highest learning rate.")] = 1e-3,
    precision: Annotated[
        Precision, typer.Option(help="Arithmetic; auto uses bfloat16 if the processor supports it natively.")
    ] = Precision.auto,
    device: Device = "auto",
    random_state: Seed = 0,
    config: Config = None,
):
    """Train a multitask encoder on labelled patches.

    The state is written to OUT every minute: run the same command again to resume an interrupted training. Ctrl-C
    keeps the best encoder so far.

    Example: `sknic train-encoder patches/ --out my-encoder`
    """
    from sknic import MultitaskEncoder
    from sknic.datasets import load_patch_folder

    need_folder_of("train-encoder", out)
    out.mkdir(parents=True, exist_ok=True)
    write_options(ctx, out, init=None if init is None else absolute(init))
    X, table = load_patch_folder(patches, out / "patches.npy")
    checkpoint = out / CHECKPOINT
    if checkpoint.exists():
        typer.echo(f"resuming the training of {checkpoint}")
    encoder = MultitaskEncoder(
        code_size,
        tasks=tasks or None,
        body=body.value,
        init=init,
        mpp=_mpp(table if not tasks else table[table["task"].isin(tasks)], mpp, init),
        augmentation=None if augmentation == "none" else augmentation,
        max_steps=max_steps,
        eval_every=eval_every,
        batch_size=batch_size,
        schedule=schedule.value,
        lr=lr,
        precision=precision.value,
        checkpoint=checkpoint,
        device=device,
        random_state=random_state,
        verbose=1,
    )
    labels = table.pivot(columns="task", values="label")
    with saying_what_is_kept(partial(_keep_best, encoder, out, len(X))):
        encoder.fit(X, labels, groups=table.get("group"), centers=table.get("center"))
    _write(encoder, out, len(X))
    checkpoint.unlink(missing_ok=True)
    typer.echo(f"wrote {out / 'encoder.safetensors'}")


def _mpp(table, stated, init):
    """um/px of the encoder: what is stated, that of the patches, that of the encoder to start from, or 0.5."""
    from sknic import load_encoder
    from sknic.datasets.patch_folder import common_mpp
    from sknic.grids.header import MPP_TOLERANCE

    if stated is not None:
        others = table[(table["mpp"] / stated - 1).abs() > MPP_TOLERANCE]
        if len(others):
            found = ", ".join(f"{mpp:g}" for mpp in sorted(set(others["mpp"])))
            typer.secho(
                f"warning: {len(others)} of {len(table)} patches are of {found} um/px, not {stated:g}", err=True
            )
        return stated
    try:
        of_patches = common_mpp(table)
    except DatasetError as error:
        raise typer.BadParameter(
            f"{error}. State at which um/px slides will be encoded, or train on some --tasks", param_hint="--mpp"
        ) from error
    if of_patches is not None:
        return of_patches
    return 0.5 if init is None else load_encoder(init).mpp


def _keep_best(encoder, out, n_patches):
    """Write the best encoder of an interrupted training, and return a message on what is kept."""
    said = []
    if hasattr(encoder, "history_"):
        _write(encoder, out, n_patches)
        step = encoder.history_[-1]["step"]
        said.append(f"{out / 'encoder.safetensors'} has the best weights of {step} steps")
    if (out / CHECKPOINT).exists():
        said.append(f"{out / CHECKPOINT} has the state to resume the training from")
    else:
        said.append("the training will start again, because no state has been written yet")
    return "; ".join(said)


def _write(encoder, out, n_patches):
    import pandas as pd

    encoder.save(out / "encoder.safetensors")
    history = pd.DataFrame(encoder.history_)
    history.to_csv(out / "history.csv", index=False)
    settings = encoder.get_params(deep=False)
    write_run_record(out, "train-encoder", settings, n_patches=n_patches, steps=int(history["step"].iloc[-1]))
