#!/usr/bin/python3
"""The tables of docs/validation.md: what `deepflow validate` says of all sets under all rules."""

import argparse
import datetime
import json
import os
import subprocess
import sys

EXAMPLES = """  scoreboard.py build/deepflow                  the tables, as Markdown
  scoreboard.py build/deepflow --data mine      of other runs
  scoreboard.py build/deepflow --into docs/validation.md"""

RULES = ("reference", "corrected", "calibrated")
BEGIN, END = "<!-- table -->", "<!-- end -->"


class Refused(Exception):
    """Bad input, in one line."""


def ask(arguments, *more):
    command = [arguments.program, "validate", "--format", "json", *more]
    command += ["--data", arguments.data] if arguments.data else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(done.stderr.strip() or f"{arguments.program}: expected a program that runs, found exit code {done.returncode}")
    return json.loads(done.stdout)


def percent(value):
    return f"{100 * value:.1f}"


def errors_of(score, rule, rows):
    """Of a score under a rule: n, mean, median, worst and bias as text."""
    errors = score[rule][rows]
    if errors["n"] == 0:
        return ["0", "", "", "", ""]
    return [str(errors["n"])] + [percent(errors[key]) for key in ("mean", "median", "worst")] + [f"{100 * errors['bias']:+.1f}"]


def table(header, rows):
    return "\n".join(["| " + " | ".join(header) + " |", "|" + "---|" * len(header)] + ["| " + " | ".join(row) + " |" for row in rows])


def predicted(score):
    return any(score[rule]["all"]["n"] for rule in RULES)


def row_kinds(score):
    """All rows, and the trusted ones where only some are."""
    some = any(0 < score[rule]["trusted"]["n"] < score[rule]["all"]["n"] for rule in RULES)
    return ("all", "trusted") if some else ("all",)


def set_table(scores):
    """Mean and median under all rules, and what the calibrated rules are worth at worst."""
    header = ["set", "metric", "rows", "n", "reference: mean", "median", "corrected: mean", "median", "calibrated: mean", "median", "worst", "bias"]
    rows = []
    for score in filter(predicted, scores):
        for kind in row_kinds(score):
            errors = {rule: errors_of(score, rule, kind) for rule in RULES}
            n = max(int(errors[rule][0]) for rule in RULES)
            rows.append([score["set"], score["metric"], kind, str(n)] + errors["reference"][1:3] + errors["corrected"][1:3] + errors["calibrated"][1:])
    return table(header, rows)


def ranking_table(scores):
    header = ["rankings", "groups"] + [f"{rule}: tau | regret | worst" for rule in RULES]
    rows = []
    for score in scores:
        found = [score[rule].get("ranking") for rule in RULES]
        if any(found):
            groups = max(each["groups"] for each in found if each)
            cells = [f"{each['kendall_tau']:.2f} | {percent(each['regret'])} % | {percent(each['worst_regret'])} %" if each else " | | " for each in found]
            rows.append([score["set"], str(groups)] + cells)
    lines = table(header, rows).split("\n")
    lines[1] = "|" + "---|" * (2 + 3 * len(RULES))
    return "\n".join(lines)


def calibrated_table(scores, by):
    """Under the calibrated rules, one row for each set and device, model or part."""
    rows = []
    for score in scores:
        kind = row_kinds(score)[-1]
        errors = errors_of(score, "calibrated", kind)
        if score["metric"] != "fits" and errors[0] != "0":
            rows.append([score[by] or "-", score["set"], score["metric"], kind] + errors)
    return table([by, "set", "metric", "rows", "n", "mean", "median", "worst", "bias"], sorted(rows))


def left_out(scores):
    rows = [[score["set"], score["metric"], str(score["rows"])] + [str(score[rule]["skipped"]) for rule in RULES]
            for score in scores if any(score[rule]["skipped"] for rule in RULES)]
    return table(["left out", "metric", "rows", *RULES], rows)


def scoreboard(arguments):
    version = subprocess.run([arguments.program, "version"], capture_output=True, text=True, check=True).stdout.split()[1]
    scores = {by: ask(arguments, *(["--by", by] if by else []))["sets"] for by in ("", "part", "device", "model")}
    today = datetime.date.today()
    return "\n\n".join([
        f"Version {version}, {today.day} {today:%B %Y}. Errors in %.",
        set_table(scores[""]), ranking_table(scores[""]),
        "### Calibrated rules by part of a set", calibrated_table(scores["part"], "part"),
        "### Calibrated rules by device", calibrated_table(scores["device"], "device"),
        "### Calibrated rules by model", calibrated_table([score for score in scores["model"] if score["model"]], "model"),
        "### Left out", left_out(scores[""])])


def main():
    parser = argparse.ArgumentParser(description=__doc__, epilog="examples:\n" + EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="deepflow")
    parser.add_argument("--data", metavar="DIR", help="folder of measured runs (default the one that comes along)")
    parser.add_argument("--into", metavar="FILE", help=f"replaces what is between {BEGIN} and {END} there")
    arguments = parser.parse_args()
    try:
        text = scoreboard(arguments)
        if not arguments.into:
            print(text)
            return
        with open(arguments.into, encoding="utf-8") as file:
            page = file.read()
        if BEGIN not in page or END not in page:
            raise Refused(f"{arguments.into}: expected the marks {BEGIN} and {END}, found none")
        with open(arguments.into, "w", encoding="utf-8") as file:
            file.write(page[:page.index(BEGIN)] + BEGIN + "\n" + text + "\n" + page[page.index(END):])
    except (Refused, OSError, ValueError) as why:
        print(f"{os.path.basename(sys.argv[0])}: error: {why}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
