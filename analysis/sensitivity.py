#!/usr/bin/python3
"""How the best time moves with each budget: searches (GD_search or arch_search) whose hardware
files differ in numbers, against the first of them. A line for each number that is changed alone;
the slope is d log(time) / d log(budget)."""

import re

import figures
import numpy as np

import results

EXAMPLES = """  sensitivity.py output/base output/power_* output/area_* -o sensitivity.pdf"""

UNITS = {"": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def numbers_of(text):
    """The numbers of a YAML file by their dotted keys."""
    found, path = {}, []
    for line in text.splitlines():
        match = re.match(r"( *)([\w-]+): *([^#]*)", line)
        if not match:
            continue
        depth = len(match[1])
        path = [(d, key) for d, key in path if d < depth] + [(depth, match[2])]
        value = re.fullmatch(r"([-+0-9.eE]+) *([A-Za-z]*)", match[3].strip())
        try:
            found[".".join(key for _, key in path)] = float(value[1]) * UNITS[value[2]]
        except (TypeError, ValueError, KeyError):
            pass  # a word
    return found


def read(path):
    found = results.load(path)
    rows = found.done()
    if rows.empty:
        raise figures.Refused(f"{found.path}: expected a search that found a device, found none")
    return numbers_of(found.config["hardware_yaml"]), rows.best_time_s.min()


def lines_of(paths):
    """For each number that differs from the first run's alone: (number / base, time / base)."""
    base, base_s = read(paths[0])
    lines = {}
    for path in paths[1:]:
        numbers, time_s = read(path)
        changed = [key for key in base.keys() | numbers.keys() if base.get(key) != numbers.get(key)]
        if len(changed) != 1 or not base.get(changed[0]) or not numbers.get(changed[0]):
            raise figures.Refused(f"{path}: expected a hardware file that differs from that of {paths[0]} in one number, found {len(changed)}")
        lines.setdefault(changed[0], [(1.0, 1.0)]).append((numbers[changed[0]] / base[changed[0]], time_s / base_s))
    return {key: np.array(sorted(points)) for key, points in lines.items()}, base


def slope(points):
    return np.polyfit(np.log(points[:, 0]), np.log(points[:, 1]), 1)[0]


def draw(arguments):
    if len(arguments.runs) < 2:
        raise figures.Refused("RUN: expected the base and at least one other, found one")
    lines, base = lines_of(arguments.runs)
    figure, axes = figures.subplots(arguments, 4)
    for (key, points), marker in zip(sorted(lines.items()), "osD^v<>pP*" * 10):
        axes.plot(points[:, 0], points[:, 1], marker=marker, markersize=4, label=f"{key} ({base[key]:g}): slope {slope(points):.2g}")
        print(f"{key}: {base[key]:g}, slope {slope(points):.4g}")
    axes.axhline(1, color=figures.GREY, linewidth=0.8)
    axes.axvline(1, color=figures.GREY, linewidth=0.8)
    axes.set(xlabel="budget / that of the first run", ylabel="best time / that of the first run")
    axes.legend(fontsize=7)
    figures.save(figure, arguments)


def main(arguments=None):
    parser = figures.parser(__doc__, EXAMPLES, "sensitivity.png")
    parser.add_argument("runs", metavar="RUN", nargs="+", help="results.h5 of a search, or its folder; the base first")
    figures.run(draw, parser.parse_args(arguments))


if __name__ == "__main__":
    main()
