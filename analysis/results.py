#!/usr/bin/python3
"""Loads results.h5 of `deepflow arch_search` or `GD_search` as pandas data frames.

    import results
    r = results.load("output/quickstart")   # or the file itself; also while a search runs
    r.best(10)       # the ten best descents with their strategies
    r.done()         # descents that are done, with their strategies
    r.strategies     # one row for each (strategy, layout)
    r.searches       # one row for each descent; status is "pending" where it is to do
    r.trajectories   # iterates, where they were asked for; else None
    r.pareto         # of several objectives, at the end: what no other beats in all; else None
    r.setting("rules")

As a program it prints the ten best: results.py FILE [COUNT].
"""

import os
import sys
from dataclasses import dataclass

import h5py
import numpy as np
import pandas as pd


class ResultsError(Exception):
    """A file that cannot be read, in one line."""


@dataclass
class Results:
    path: str
    strategies: pd.DataFrame
    searches: pd.DataFrame
    trajectories: pd.DataFrame | None
    pareto: pd.DataFrame | None
    config: dict
    provenance: dict

    def best(self, count=10):
        """The `count` fastest descents, each with its strategy and layout."""
        rows = self.searches.sort_values(["best_time_s", "work_id"]).head(count)
        return rows.merge(self.strategies, on="strategy_id", suffixes=("", "_strategy"))

    def done(self):
        """Descents that are done and found a device, each with its strategy and layout."""
        rows = self.searches[(self.searches.status != "pending") & np.isfinite(self.searches.best_time_s)]
        return rows.merge(self.strategies, on="strategy_id", suffixes=("", "_strategy"))

    def setting(self, key, default=""):
        """What the search was set to: model, rules, optimizer, objective, ..."""
        lines = [line.partition("=") for line in self.config["settings"].splitlines()]
        return {name: value for name, _, value in lines}.get(key, default)

    @property
    def is_llm(self):
        return bool((self.strategies.tp > 0).any())


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


def _frame(dataset):
    """A compound dataset, one column for each field; texts as str."""
    frame = pd.DataFrame({name: dataset[name] for name in dataset.dtype.names})
    for name in frame.columns:
        if frame[name].dtype == object or dataset.dtype[name].kind == "S":
            frame[name] = frame[name].map(_text)
    return frame


def _pareto(dataset):
    rows = _frame(dataset)
    return rows[rows.work_id >= 0]  # the others are not used


def _texts(group):
    """Attributes and scalar datasets of a group as a dictionary."""
    found = {name: _text(value) for name, value in group.attrs.items()}
    found.update({name: _text(item[()]) for name, item in group.items() if item.shape == ()})
    return found


def load(path):
    """Reads results.h5, or that of a folder. ResultsError: it is not there, or is another file."""
    if os.path.isdir(path):
        path = os.path.join(path, "results.h5")
    if not os.path.exists(path):
        raise ResultsError(f"{path}: expected results.h5 of a search or its folder, found no such file")
    try:
        with h5py.File(path, "r") as file:
            return Results(
                path=path,
                strategies=_frame(file["strategies"]),
                searches=_frame(file["searches"]),
                trajectories=_frame(file["trajectories"]) if "trajectories" in file else None,
                pareto=_pareto(file["pareto"]) if "pareto" in file else None,
                config=_texts(file["config"]),
                provenance=_texts(file["provenance"]),
            )
    except (OSError, KeyError) as why:
        raise ResultsError(f"{path}: expected results.h5 of a search, found another file ({why})") from why


def main(arguments):
    if len(arguments) not in (2, 3):
        print(__doc__.strip().splitlines()[-1], file=sys.stderr)
        return 2
    try:
        found = load(arguments[1])
    except ResultsError as why:
        print(f"results.py: error: {why}", file=sys.stderr)
        return 2
    count = int(arguments[2]) if len(arguments) == 3 else 10
    columns = ["best_time_s", "kp_type", "kp1", "kp2", "dp", "lp", "layout", "index"]
    columns += [c for c in found.searches.columns if c.startswith("area_")]
    print(found.best(count)[columns].to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
