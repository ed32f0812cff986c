#!/usr/bin/python3
"""Predictions against measurements: what `deepflow validate --points --format csv` (or json) prints."""

import io
import json
import sys

import figures
import matplotlib.ticker
import numpy as np
import pandas as pd

EXAMPLES = """  deepflow validate --points --format csv | validation.py - -o validation.pdf
  validation.py points.csv --sets koyeb,uci --rules corrected,calibrated"""

COLUMNS = {"set", "metric", "id", "quality", "measured"}
RULES = {"reference": (figures.ORANGE, "^"), "corrected": (figures.BLUE, "o"), "calibrated": (figures.GREEN, "s")}


def read(path):
    try:
        with sys.stdin if path == "-" else open(path, encoding="utf-8") as file:
            text = file.read()
        points = pd.DataFrame(json.loads(text)["points"]) if text.lstrip().startswith("{") else pd.read_csv(io.StringIO(text))
    except (OSError, ValueError, KeyError) as why:
        raise figures.Refused(f"{path}: expected the output of deepflow validate --points --format csv, found: {why}") from why
    if not COLUMNS <= set(points.columns):
        raise figures.Refused(f"{path}: expected the columns of deepflow validate --points, found {', '.join(points.columns[:6])}, ...")
    return points


def ticks(low, high):
    """Two or three round numbers inside."""
    first, last = np.log10(low * 1.15), np.log10(high / 1.15)
    if last - first >= 2:
        step = int(np.ceil((last - first) / 3))
        return [10.0**e for e in range(int(np.ceil(first)), int(np.floor(last)) + 1, step)]
    return sorted({float(f"{v:.1g}") for v in np.logspace(first, last, 3)})


def panel(axes, name, points, rules):
    low, high, errors = np.inf, 0, []
    for rule, (colour, marker) in RULES.items():
        if rule not in rules:
            continue
        known = points[(points.measured > 0) & (points[rule] > 0)]
        if known.empty:
            errors.append("-")
            continue
        errors.append(f"{100 * (known[rule] / known.measured - 1).abs().mean():.3g} %")
        axes.scatter(known.measured, known[rule], s=9, color=colour, marker=marker, alpha=0.6, linewidths=0, label=rule, rasterized=len(known) > 2000)
        low, high = min(low, known.measured.min(), known[rule].min()), max(high, known.measured.max(), known[rule].max())
    line = np.array([low / 1.3, high * 1.3])
    axes.plot(line, line, color="black", linewidth=0.8, label="equal")
    axes.fill_between(line, line / 1.2, line * 1.2, color=figures.GREY, alpha=0.25, linewidth=0, label="within 20 %")
    axes.set(xscale="log", yscale="log", xlim=line, ylim=line)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(matplotlib.ticker.FixedLocator(ticks(*line)))
        axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda v, _: f"{v:g}" if 1e-3 <= v < 1e4 else f"{v:.0e}".replace("e-0", "e-").replace("e+0", "e")))
        axis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.tick_params(labelsize=7)
    axes.set_box_aspect(1)
    axes.set_title(f"{name}\nmean error {', '.join(errors)}", fontsize=7)


def draw(arguments):
    points = read(arguments.points)
    if arguments.sets:
        points = points[points["set"].str.startswith(tuple(arguments.sets.split(",")))]
    rules = [rule for rule in (arguments.rules.split(",") if arguments.rules else RULES) if rule in points]
    if not rules:
        raise figures.Refused("--rules: expected reference, corrected, calibrated or several, found another")
    groups = [(f"{name}\n{metric}", group) for (name, metric), group in points.groupby(["set", "metric"])
              if metric != "fits" and ((group.measured > 0) & (group[rules] > 0).any(axis=1)).any()]
    if not groups:
        raise figures.Refused(f"{arguments.points}: expected points that are measured and predicted, found none")
    across = min(3, len(groups))
    down = -(-len(groups) // across)
    figure, axes = figures.subplots(arguments, 0.6 + down * (0.1 + arguments.width / across), nrows=down, ncols=across, squeeze=False)
    for place, (name, group) in zip(axes.flat, groups):
        panel(place, name, group, rules)
    for place in list(axes.flat)[len(groups):]:
        place.remove()
    figure.supxlabel("measured", fontsize=9)
    figure.supylabel("predicted", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncol=4, fontsize=8)
    height = figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - 0.3 / height), h_pad=0.1)  # room for the legend
    figures.save(figure, arguments)


def main(arguments=None):
    parser = figures.parser(__doc__, EXAMPLES, "validation.png")
    parser.add_argument("points", help="what deepflow validate --points printed as csv or json; -: standard input")
    parser.add_argument("--sets", metavar="SET,...", help="sets, or how their names begin (default all)")
    parser.add_argument("--rules", metavar="RULES", help="reference, corrected, calibrated or several with commas (default all that are there)")
    figures.run(draw, parser.parse_args(arguments))


if __name__ == "__main__":
    main()
