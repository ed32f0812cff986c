#!/usr/bin/python3
"""Two sweeps against each other, strategy by strategy: the best time of each, and their ratio."""

import figures
import numpy as np

EXAMPLES = """  compare.py output/before output/after --names before,after -o compare.pdf"""

KEYS = ["kp_type", "dp", "lp", "kp1", "kp2", "tp", "cp", "mb", "tp_sp", "zero_stage", "recompute", "schedule", "virtual_stages",
        "layout", "wafer_dim", "num_wafer", "devices_per_node", "num_worker"]


def best_of(path):
    found, rows = figures.done(path)
    keys = [key for key in KEYS if key in rows]
    return found, rows.groupby(keys, as_index=False).best_time_s.min(), keys


def draw(arguments):
    names = arguments.names.split(",") if arguments.names else [arguments.a, arguments.b]
    if len(names) != 2:
        raise figures.Refused(f"--names: expected two names with a comma between them, found {arguments.names}")
    found, first, keys = best_of(arguments.a)
    _, second, _ = best_of(arguments.b)
    both = first.merge(second, on=keys, suffixes=("_a", "_b"))
    if both.empty:
        raise figures.Refused(f"{arguments.b}: expected strategies and layouts that {arguments.a} has too, found none")
    ratio = (both.best_time_s_b / both.best_time_s_a).sort_values()
    figure, (left, right) = figures.subplots(arguments, 3.4, ncols=2)
    ends = [both[["best_time_s_a", "best_time_s_b"]].min().min(), both[["best_time_s_a", "best_time_s_b"]].max().max()]
    left.plot(ends, ends, color=figures.GREY, linewidth=1, label="equal")
    left.scatter(both.best_time_s_a, both.best_time_s_b, s=12, color=figures.BLUE, alpha=0.7, linewidths=0)
    left.set(xlabel=f"{names[0]}: best time (s)", ylabel=f"{names[1]}: best time (s)")
    figures.scale(left.set_xscale, ends)
    figures.scale(left.set_yscale, ends)
    left.legend()
    right.axhline(1, color=figures.GREY, linewidth=1)
    right.plot(np.arange(1, len(ratio) + 1), ratio, color=figures.BLUE, marker=".", markersize=3)
    right.set(xlabel="strategies and layouts, sorted", ylabel=f"time, {names[1]} / {names[0]}")
    figures.whole_ticks(right.xaxis)
    figures.scale(right.set_yscale, ratio)
    figures.save(figure, arguments)
    print(f"{len(both)} strategies and layouts in both; best {both.best_time_s_a.min():.6g} s, {both.best_time_s_b.min():.6g} s; "
          f"ratio from {ratio.min():.4g} to {ratio.max():.4g}, median {ratio.median():.4g}")


def main(arguments=None):
    parser = figures.parser(__doc__, EXAMPLES, "compare.png")
    parser.add_argument("a", help="results.h5 of a search, or its folder")
    parser.add_argument("b", help="another one's")
    parser.add_argument("--names", metavar="A,B", help="what they are called (default: their paths)")
    figures.run(draw, parser.parse_args(arguments))


if __name__ == "__main__":
    main()
