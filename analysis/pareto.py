#!/usr/bin/python3
"""All searches in the plane of two quantities, and their Pareto front."""

import figures
import numpy as np

EXAMPLES = """  pareto.py output/mine -o pareto.pdf
  pareto.py output/mine --x area_mm2 --y energy_j"""


def front(x, y):
    """Rows that no other is better than in both, in the order of x."""
    order = np.lexsort((y, x))
    least = np.minimum.accumulate(np.concatenate([[np.inf], y[order][:-1]]))
    return order[y[order] < least]


def default_x(rows):
    for name in ("energy_j", "area_mm2", "memory_bytes", "memory_overflow"):
        if name in rows and np.isfinite(rows[name]).any() and rows[name].nunique() > 1:
            return name
    return "start_time_s"


def draw(arguments):
    found, rows = figures.done(arguments.results)
    across = arguments.x or default_x(rows)
    x, y = figures.values(rows, across), figures.values(rows, arguments.y)
    known = np.isfinite(x) & np.isfinite(y)
    x, y, rows = x[known], y[known], rows[known]
    best = front(x, y)
    figure, axes = figures.subplots(arguments, 4)
    axes.scatter(x, y, s=8 if len(x) > 2000 else 16, color=figures.SKY, alpha=0.6, linewidths=0, label=f"{len(x)} searches", rasterized=len(x) > 5000)
    axes.step(x[best], y[best], where="post", color=figures.RED, marker="o", markersize=4, label="Pareto front")
    for at, offset in zip(best[[0, -1]][: len(best)], ((6, 14), (6, -14))):  # the ends
        axes.annotate(figures.strategy(rows.iloc[at], found.is_llm), (x[at], y[at]), textcoords="offset points", xytext=offset, fontsize=7,
                      arrowprops={"arrowstyle": "-", "linewidth": 0.6}, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1})
    axes.set(xlabel=figures.label(across), ylabel=figures.label(arguments.y))
    axes.margins(x=0.12, y=0.08)
    figures.scale(axes.set_xscale, x)
    figures.scale(axes.set_yscale, y)
    axes.legend()
    figures.save(figure, arguments)


def main(arguments=None):
    parser = figures.parser(__doc__, EXAMPLES, "pareto.png")
    parser.add_argument("results", help="results.h5 of a search, or its folder")
    parser.add_argument("--x", help="column across (default: energy, or what this model has)")
    parser.add_argument("--y", default="best_time_s", help="column up (default best_time_s)")
    figures.run(draw, parser.parse_args(arguments))


if __name__ == "__main__":
    main()
