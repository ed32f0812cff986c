#!/usr/bin/python3
"""Where the time of the best designs goes: compute, memory levels, network; or, of one design,
operator by operator. The operators come from `deepflow report --format json`."""

import json
import os
import shutil
import subprocess
import tempfile

import figures
import numpy as np

EXAMPLES = """  breakdown.py output/mine                    the ten best designs
  breakdown.py output/mine --design 4711      one search, operator by operator
  breakdown.py report.json -o breakdown.pdf   from deepflow report --format json"""


def find_program(named):
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build", "deepflow")
    program = named or shutil.which("deepflow") or (beside if os.path.exists(beside) else None)
    if not program:
        raise figures.Refused("--deepflow: expected the program, found none on the PATH and none in build/")
    return program


def read_report(arguments):
    if arguments.results.endswith(".json"):
        return read_json(arguments.results)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report.json")
        command = [find_program(arguments.deepflow), "report", arguments.results, "--format", "json", "-o", path]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as why:
            raise figures.Refused(f"{command[0]}: cannot be run: {why.strerror}") from why
        if done.returncode != 0:
            raise figures.Refused(done.stderr.strip().splitlines()[-1].removeprefix("deepflow: error: "))
        return read_json(path)


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as why:
        raise figures.Refused(f"{path}: expected the numbers of a report, found: {why}") from why


def costs(operator):
    return operator["runs"] * np.array([value or 0 for value in operator["cost_s"]])


def of_designs(report, count):
    """Names of the best designs, and the costs of each."""
    shown = {design["work_id"]: design for design in report["designs"]}
    best = [shown[work_id] for work_id in report["ranked"][:count] if work_id in shown]
    rows = [sum((costs(operator) for operator in design["ops"]), np.zeros(len(report["cost_names"]))) for design in best]
    rest = [max(0, design["predicted_s"] - row.sum()) for design, row in zip(best, rows)]
    names = [f"{rank}: {design['strategy']}\nsearch {design['work_id']}" for rank, design in enumerate(best, 1)]
    return names, [np.append(row, more) for row, more in zip(rows, rest)]


def of_operators(report, work_id):
    design = next((design for design in report["designs"] if design["work_id"] == work_id), None)
    if not design:
        known = ", ".join(str(design["work_id"]) for design in report["designs"][:10])
        raise figures.Refused(f"--design: expected one of the best designs ({known}, ...), found {work_id}")
    operators = [operator for operator in design["ops"] if costs(operator).sum() > 0]
    rows = [np.append(costs(operator), 0) for operator in operators]
    names = [operator["name"] + (f" ({operator['phase']})" if operator["phase"] else "") for operator in operators]
    rest = design["predicted_s"] - sum(row.sum() for row in rows)
    if rest > 1e-6 * design["predicted_s"]:
        names.append("waiting, hops, reductions")
        rows.append(np.append(np.zeros(len(report["cost_names"])), rest))
    return names, rows


def draw(arguments):
    report = read_report(arguments)
    names, rows = of_designs(report, arguments.top) if arguments.design is None else of_operators(report, arguments.design)
    if not names:
        raise figures.Refused(f"{arguments.results}: expected designs that work, found none")
    figure, axes = figures.subplots(arguments, 1.1 + (0.28 if arguments.design is not None else 0.36) * len(names))
    table = np.array(rows)
    left = np.zeros(len(names))
    for i, cost in enumerate(report["cost_names"] + ["not in an operator"]):
        if table[:, i].sum() > 0:
            axes.barh(names, table[:, i], left=left, color=figures.COSTS[cost], label=cost, height=0.7, edgecolor="white", linewidth=0.3)
            left += table[:, i]
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("seconds of a step on one device")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=4, fontsize=8)
    figures.save(figure, arguments)


def main(arguments=None):
    parser = figures.parser(__doc__, EXAMPLES, "breakdown.png")
    parser.add_argument("results", help="results.h5 of a search, its folder, or the JSON of a report")
    parser.add_argument("--design", type=int, metavar="WORK_ID", help="one search, operator by operator")
    parser.add_argument("--top", type=int, default=10, help="how many designs otherwise (default 10)")
    parser.add_argument("--deepflow", help="the program (default: deepflow on the PATH, or build/deepflow)")
    figures.run(draw, parser.parse_args(arguments))


if __name__ == "__main__":
    main()
