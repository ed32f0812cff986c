#!/usr/bin/python3
"""Loads results.h5 of `deepflow arch_search` or `GD_search` as pandas data frames.

    import results
    r = results.load("output/quickstart/results.h5")
    r.best(10)       # the ten best descents with their strategies
    r.strategies     # one row for each (strategy, layout)
    r.searches       # one row for each descent
    r.trajectories   # iterates, where they were asked for; else None

As a program it prints the ten best: results.py FILE [COUNT].
"""

import sys
from dataclasses import dataclass

import h5py
import pandas as pd


@dataclass
class Results:
    strategies: pd.DataFrame
    searches: pd.DataFrame
    trajectories: pd.DataFrame | None
    config: dict
    provenance: dict

    def best(self, count=10):
        """The `count` fastest descents, each with its strategy and layout."""
        rows = self.searches.sort_values(["best_time_s", "work_id"]).head(count)
        return rows.merge(self.strategies, on="strategy_id", suffixes=("", "_strategy"))


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


def _frame(dataset):
    """A compound dataset, one column for each field; texts as str."""
    frame = pd.DataFrame({name: dataset[name] for name in dataset.dtype.names})
    for name in frame.columns:
        if frame[name].dtype == object or dataset.dtype[name].kind == "S":
            frame[name] = frame[name].map(_text)
    return frame


def _texts(group):
    """Attributes and scalar datasets of a group as a dictionary."""
    found = {name: _text(value) for name, value in group.attrs.items()}
    found.update({name: _text(item[()]) for name, item in group.items() if item.shape == ()})
    return found


def load(path):
    with h5py.File(path, "r") as file:
        return Results(
            strategies=_frame(file["strategies"]),
            searches=_frame(file["searches"]),
            trajectories=_frame(file["trajectories"]) if "trajectories" in file else None,
            config=_texts(file["config"]),
            provenance=_texts(file["provenance"]),
        )


def main(arguments):
    if len(arguments) not in (2, 3):
        print(__doc__.strip().splitlines()[-1], file=sys.stderr)
        return 2
    found = load(arguments[1])
    count = int(arguments[2]) if len(arguments) == 3 else 10
    columns = ["best_time_s", "kp_type", "kp1", "kp2", "dp", "lp", "layout", "index"]
    columns += [c for c in found.searches.columns if c.startswith("area_")]
    print(found.best(count)[columns].to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
