"""What all displays share: colors that color-blind readers can distinguish, simple axes, lengths in mm."""

import matplotlib.pyplot as plt

# Okabe and Ito's palette, without its yellow, which is faint on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
INK, FAINT = "#333333", "#6b6b6b"


def axes_for(ax, size):
    """The given axes, or new ones of `size` inches."""
    return ax if ax is not None else plt.subplots(figsize=size, layout="constrained")[1]


def next_color(ax):
    """The color of the fewest lines on the axes, for what is drawn next, whether or not the legend names the others."""
    used = [line.get_color() for line in ax.lines]
    return min(COLORS, key=used.count)


def tidy(ax, *, title=None, xlabel=None, ylabel=None):
    """Label a chart and remove unnecessary elements."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(FAINT)
    ax.tick_params(colors=INK, labelsize="small")
    _label(ax, title, xlabel, ylabel)


def tidy_image(ax, *, title=None, unit=None):
    """Label an image; its axes count `unit`, or nothing."""
    ax.spines[:].set_visible(False)
    ax.tick_params(colors=FAINT, labelsize="x-small", length=2)
    _label(ax, title, unit and f"x ({unit})", unit and f"y ({unit})")


def cell_extent(shape, cell_um):
    """Extent for imshow of a grid of `shape` (rows, columns), and its unit: mm, or cells of unknown size."""
    rows, columns = shape
    size, unit = (1, "cells") if cell_um is None else (cell_um / 1000, "mm")
    return (0, columns * size, rows * size, 0), unit


def _label(ax, title, xlabel, ylabel):
    if title:
        ax.set_title(title, color=INK, fontsize="medium", loc="left")
    if xlabel:
        ax.set_xlabel(xlabel, color=INK, fontsize="small")
    if ylabel:
        ax.set_ylabel(ylabel, color=INK, fontsize="small")
