"""One line per evaluation while a network trains: step, losses, learning rate, remaining time."""

import time

from sknic.progress import duration


class TrainingProgress:
    """Prints a line for each evaluation.

    Parameters
    ----------
    write : callable (str), default=print
        Function that writes a line.
    title : str, default=""
        What each line begins with.
    """

    def __init__(self, write=print, title=""):
        self.write = write
        self.title = title
        self.before = None

    def begin(self, steps):
        """Start the clock; `steps` is the `Steps` of the training."""
        self.before = time.monotonic(), steps.taken

    def __call__(self, row, steps):
        """Report the newest row of the history."""
        begun, first = self.before
        seconds = (time.monotonic() - begun) / (steps.taken - first) * (steps.total - steps.taken)
        losses = "  ".join(
            f"{name} {row[name]:.4f}" for name in ("train_loss", "valid_loss", "valid_accuracy") if name in row
        )
        best = " (best)" if row["event_best"] else ""
        speed = f"  {row['patches_per_s']:,.0f} patches/s" if "patches_per_s" in row else ""
        self.write(
            f"{self.title}step {steps.taken}/{steps.total}  {losses}{best}  lr {row['lr']:.1e}{speed}  "
            f"at most {duration(seconds)} left"
        )
