#!/usr/bin/python3
"""How descents went: the time of every iterate, where the search kept them (--trajectory);
else the time of each start, what its descent found, and the best so far."""

import figures
import numpy as np

EXAMPLES = """  trajectories.py output/mine                 the best descent of each of the best strategies
  trajectories.py output/mine --strategy 17   all descents of one strategy"""


def best_of_each(rows, count):
    ranked = rows.sort_values(["best_value", "work_id"]).drop_duplicates("strategy_id")
    return ranked.head(count)


def draw_iterates(axes, found, rows):
    for row in rows.itertuples():
        steps = found.trajectories[(found.trajectories.work_id == row.work_id) & (found.trajectories.used > 0)]
        times = steps.time_s.where(np.isfinite(steps.time_s))
        axes.plot(steps.iteration, times, marker=".", markersize=3, linewidth=1, label=f"{figures.strategy(row, found.is_llm)}, start {row.index_}")
    axes.set(xlabel="iteration", ylabel="time (s)")
    figures.whole_ticks(axes.xaxis)
    figures.scale(axes.set_yscale, found.trajectories.time_s[found.trajectories.work_id.isin(rows.work_id) & (found.trajectories.used > 0)])


def draw_starts(axes, rows):
    rows = rows.sort_values("index_")
    axes.scatter(rows.index_, rows.start_time_s.where(np.isfinite(rows.start_time_s)), s=14, facecolors="none", edgecolors=figures.GREY, label="time of the start")
    axes.scatter(rows.index_, rows.best_time_s, s=14, color=figures.BLUE, label="best of the descent")
    axes.step(rows.index_, rows.best_time_s.cummin(), where="post", color=figures.RED, label="best so far")
    axes.set(xlabel="starting point (index)", ylabel="time (s)")
    figures.whole_ticks(axes.xaxis)
    figures.scale(axes.set_yscale, np.concatenate([rows.best_time_s, rows.start_time_s]))


def draw(arguments):
    found, rows = figures.done(arguments.results)
    rows = rows.rename(columns={"index": "index_"})  # itertuples has an index of its own
    one = arguments.strategy
    if one is not None:
        rows = rows[rows.strategy_id == one]
        if rows.empty:
            raise figures.Refused(f"--strategy: expected a row of /strategies with searches that are done, found {one}")
    figure, axes = figures.subplots(arguments, 4)
    if found.trajectories is not None:
        draw_iterates(axes, found, rows.head(arguments.top) if one is not None else best_of_each(rows, arguments.top))
    else:
        best = best_of_each(rows, 1).strategy_id.iloc[0]
        draw_starts(axes, rows[rows.strategy_id == best])
        axes.set_title(figures.strategy(rows[rows.strategy_id == best].iloc[0], found.is_llm), fontsize=9)
    axes.legend(fontsize=7)
    figures.save(figure, arguments)


def main(arguments=None):
    parser = figures.parser(__doc__, EXAMPLES, "trajectories.png")
    parser.add_argument("results", help="results.h5 of a search, or its folder")
    parser.add_argument("--strategy", type=int, metavar="STRATEGY_ID", help="one row of /strategies (default: the best ones)")
    parser.add_argument("--top", type=int, default=8, help="how many descents (default 8)")
    figures.run(draw, parser.parse_args(arguments))


if __name__ == "__main__":
    main()
