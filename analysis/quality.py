"""Draws how the best time falls with the evaluations, of the problems of quality.csv.

    python3 analysis/quality.py build/quality.csv docs/search-quality.png
"""
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

# Okabe and Ito's colours: distinct for the colour-blind too
COLOURS = ["#000000", "#999999", "#56B4E9", "#009E73", "#E69F00", "#CC79A7", "#D55E00"]
COLUMNS = 4


def draw(table, path):
    problems = list(dict.fromkeys(table["problem"]))
    optimizers = list(dict.fromkeys(table["optimizer"]))
    rows = -(-len(problems) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(4 * COLUMNS, 2.5 * rows), squeeze=False)
    for axis, problem in zip(axes.flat, problems):
        of_problem = table[table["problem"] == problem]
        least = of_problem["best"].min()
        for optimizer, colour in zip(optimizers, COLOURS):
            curve = of_problem[of_problem["optimizer"] == optimizer].sort_values("evaluations")
            above = 100 * (curve["best"] / least - 1)
            axis.step(curve["evaluations"], above.clip(lower=1e-4), where="post",
                      color=colour, label=optimizer, linewidth=2 if optimizer == "cma" else 1)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_ylim(8e-5, 200)
        axis.set_title(problem, fontsize=9)
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(problems):]:
        axis.axis("off")
    for axis in axes[-1]:
        axis.set_xlabel("evaluations")
    for axis in axes[:, 0]:
        axis.set_ylabel("% above the best")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, ncol=len(labels), loc="upper center", frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.97))
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    rows = pd.read_csv(sys.argv[1])
    draw(rows[rows["set"] == "full"], sys.argv[2])
