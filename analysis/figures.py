"""What the scripts that draw share: command lines, errors, colours, names, files."""

import argparse
import os
import sys

import matplotlib

matplotlib.use("Agg")  # no display

import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np

import results

# Okabe and Ito's colours, which colour-blind people can tell apart.
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
SKY, PINK, YELLOW, GREY = "#56b4e9", "#cc79a7", "#f0e442", "#8a949e"
CYCLE = [BLUE, RED, GREEN, ORANGE, PINK, SKY, "#000000", YELLOW, GREY, "#661100"]
COSTS = {"compute": BLUE, "registers": SKY, "L1": GREEN, "L2": YELLOW, "DRAM": ORANGE, "network": RED,
         "launch": PINK, "not in an operator": GREY}

# Columns that are drawn: name and unit, what divides the file's numbers.
QUANTITIES = {
    "best_time_s": ("time (s)", 1),
    "start_time_s": ("time of the start (s)", 1),
    "energy_j": ("energy (J)", 1),
    "power_w": ("power (W)", 1),
    "area_mm2": ("area of all devices (mm²)", 1),
    "memory_bytes": ("memory needed by a device (GiB)", 2**30),
    "tokens_ps": ("tokens/s", 1),
    "memory_overflow": ("memory needed / memory there", 1),
    "num_worker": ("devices", 1),
}
DEGREES = {"dp": "data parallel dp", "tp": "tensor parallel tp", "cp": "context parallel cp", "kp1": "kernel parallel kp1",
           "kp2": "kernel parallel kp2", "lp": "pipeline lp", "mb": "micro-batches mb", "zero_stage": "ZeRO stage",
           "kp_type": "kernel split (1: CR, 2: RC)", "tp_sp": "sequence parallel", "layout": "layout", "num_wafer": "wafers or nodes",
           "schedule": "schedule", "recompute": "recomputation", "virtual_stages": "virtual stages"}


class Refused(Exception):
    """Bad input, in one line."""


def parser(description, examples, output):
    made = argparse.ArgumentParser(description=description, epilog="examples:\n" + examples,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("-o", "--output", default=output, help=f"picture that is written: .png, .pdf, .svg (default {output})")
    made.add_argument("--width", type=float, default=6.5, help="of the picture, inches (default 6.5)")
    made.add_argument("--title", default="", help="above the picture (default none)")
    return made


def run(draw, arguments):
    """Draws; what is wrong with the input is one line, and exit code 2."""
    try:
        draw(arguments)
    except (Refused, results.ResultsError) as why:
        print(f"{os.path.basename(sys.argv[0])}: error: {why}", file=sys.stderr)
        sys.exit(2)


def save(figure, arguments):
    if arguments.title:
        figure.suptitle(arguments.title)
    try:
        figure.savefig(arguments.output, dpi=200)
    except (OSError, ValueError) as why:
        raise Refused(f"{arguments.output}: expected a file that can be written, found: {why}") from why
    plt.close(figure)
    print(arguments.output)


def subplots(arguments, height, **more):
    plt.rcParams.update({"font.size": 9, "axes.prop_cycle": plt.cycler(color=CYCLE), "axes.grid": True, "grid.color": "#e2e6ea",
                         "axes.axisbelow": True, "legend.frameon": False, "pdf.fonttype": 42})
    return plt.subplots(figsize=(arguments.width, height), constrained_layout=True, **more)


def done(path):
    """The results, and the rows of their finished searches; some there are."""
    found = results.load(path)
    rows = found.done()
    if rows.empty:
        raise Refused(f"{found.path}: expected searches that are done and found a device, found none")
    return found, rows


def values(rows, name):
    """A quantity of searches in the unit of its label."""
    if name not in rows:
        known = ", ".join(column for column in QUANTITIES if column in rows)
        raise Refused(f"{name}: expected a column such as {known}, found no such column")
    column = rows[name].astype(float).to_numpy() / QUANTITIES.get(name, (name, 1))[1]
    if not np.isfinite(column).any():
        raise Refused(f"{name}: expected numbers, found none: this model has no such figures")
    return column


def label(name):
    return QUANTITIES.get(name, (name, 1))[0]


def scale(set_scale, numbers):
    """Logarithmic where numbers differ by more than a factor of 20. `set_scale`: axes.set_xscale or axes.set_yscale."""
    numbers = np.asarray(numbers, float)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) > 0 and numbers.min() > 0 and numbers.max() / numbers.min() > 20:
        set_scale("log")


def whole_ticks(axis):
    axis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True, min_n_ticks=1))


def strategy(row, llm):
    """As the program names it."""
    if llm:
        name = f"t{row.tp}-c{row.cp}-d{row.dp}-l{row.lp}-m{row.mb}"
        name += "-sp" if row.tp_sp else ""
        name += f"-z{row.zero_stage}" if row.zero_stage else ""
        name += f"-{row.recompute}" if row.recompute not in ("", "none") else ""
        name += f"-{row.schedule}" if row.schedule not in ("", "gpipe") else ""
        return name
    split = {1: "CR", 2: "RC"}.get(row.kp_type, "none")
    return f"{split}-k{row.kp1}-k{row.kp2}-d{row.dp}-l{row.lp}"
