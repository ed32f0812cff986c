#!/usr/bin/python3
"""The best time of all searches with two degrees of parallelism."""

import figures
import matplotlib.colors
import numpy as np

EXAMPLES = """  heatmap.py output/mine -o heatmap.pdf
  heatmap.py output/mine --x dp --y kp1"""


def varying(strategies):
    return [name for name in figures.DEGREES if name in strategies and strategies[name].nunique() > 1]


def choose(arguments, strategies):
    degrees = varying(strategies)
    if len(degrees) < 2 and not (arguments.x and arguments.y):
        raise figures.Refused(f"{arguments.results}: expected strategies that differ in two degrees, found {len(degrees)}")
    chosen = arguments.x or degrees[0], arguments.y or next(d for d in degrees if d != (arguments.x or degrees[0]))
    for name in chosen:
        if name not in strategies:
            raise figures.Refused(f"{name}: expected one of {', '.join(degrees)}, found no such column")
    return chosen


def text(seconds):
    for factor, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def draw(arguments):
    found, rows = figures.done(arguments.results)
    x, y = choose(arguments, found.strategies)
    best = rows.pivot_table(index=y, columns=x, values="best_time_s", aggfunc="min")
    everything = found.strategies.pivot_table(index=y, columns=x, values="strategy_id", aggfunc="count")
    best = best.reindex(index=everything.index, columns=everything.columns)
    figure, axes = figures.subplots(arguments, 1.2 + 0.45 * max(4, len(best)))
    times = best.to_numpy()
    norm = matplotlib.colors.LogNorm(np.nanmin(times), np.nanmax(times) if np.nanmax(times) > np.nanmin(times) else 1.001 * np.nanmax(times))
    image = axes.imshow(times, origin="lower", aspect="auto", norm=norm, cmap="cividis_r")
    axes.grid(False)
    for (i, k), time in np.ndenumerate(times):
        if np.isfinite(time):
            axes.text(k, i, text(time), ha="center", va="center", fontsize=7, color="white" if norm(time) > 0.55 else "black")
        elif np.isfinite(everything.to_numpy()[i, k]):
            axes.text(k, i, "none works", ha="center", va="center", fontsize=7, color=figures.GREY)
    axes.set_xticks(range(best.shape[1]), [str(v) for v in best.columns], rotation=45 if x == "layout" else 0)
    axes.set_yticks(range(best.shape[0]), [str(v) for v in best.index])
    axes.set(xlabel=figures.DEGREES.get(x, x), ylabel=figures.DEGREES.get(y, y))
    bar = figure.colorbar(image, ax=axes, label="best time (s)")
    bar.ax.minorticks_off()
    bar.set_ticks(np.geomspace(norm.vmin, norm.vmax, 4), labels=[text(v) for v in np.geomspace(norm.vmin, norm.vmax, 4)])
    figures.save(figure, arguments)


def main(arguments=None):
    parser = figures.parser(__doc__, EXAMPLES, "heatmap.png")
    parser.add_argument("results", help="results.h5 of a search, or its folder")
    parser.add_argument("--x", help="degree across (default: the first that varies)")
    parser.add_argument("--y", help="degree up (default: the next)")
    figures.run(draw, parser.parse_args(arguments))


if __name__ == "__main__":
    main()
