"""`sknic train-encoder`: labelled patches to an encoder file."""

from pathlib import Path
from typing import Annotated

import typer

from sknic.cli.common import write_run_record
from sknic.cli.options import Device, Seed


def train_encoder(
    patches: Annotated[Path, typer.Argument(help="Folder with patches.csv, or with task/class/image folders.")],
    out: Annotated[Path, typer.Option(help="Folder for encoder.safetensors, history and run record.")],
    tasks: Annotated[list[str] | None, typer.Option(help="Train on these tasks only; give it once a task.")] = None,
    init: Annotated[Path | None, typer.Option(help="Start from this encoder file.")] = None,
    code_size: Annotated[int, typer.Option(help="C, the length of an embedding.")] = 128,
    mpp: Annotated[float, typer.Option(help="um/px of the patches.")] = 0.5,
    augmentation: Annotated[str, typer.Option(help="heavy, strong, light, mild or none.")] = "heavy",
    max_epochs: Annotated[int, typer.Option(help="Most epochs.")] = 100,
    device: Device = "auto",
    random_state: Seed = 0,
):
    """Train a multitask encoder on labelled patches.

    Example: `sknic train-encoder patches/ --out my-encoder`
    """
    import pandas as pd

    from sknic import MultitaskEncoder
    from sknic.datasets import load_patch_folder

    out.mkdir(parents=True, exist_ok=True)
    X, table = load_patch_folder(patches, out / "patches.npy")
    labels = table.pivot(columns="task", values="label")
    encoder = MultitaskEncoder(
        code_size=code_size,
        tasks=tasks or None,
        init=str(init) if init else None,
        mpp=mpp,
        augmentation=None if augmentation == "none" else augmentation,
        max_epochs=max_epochs,
        device=device,
        random_state=random_state,
        verbose=1,
    )
    encoder.fit(X, labels, groups=table.get("group"))
    encoder.save(out / "encoder.safetensors")
    history = pd.DataFrame(encoder.history_)
    history.to_csv(out / "history.csv", index=False)
    write_run_record(out, "train-encoder", encoder.get_params(deep=False), n_patches=len(X), epochs=len(history))
    typer.echo(f"wrote {out / 'encoder.safetensors'}")
