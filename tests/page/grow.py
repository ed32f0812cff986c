"""A results.h5 with many more searches of the same strategies: grow.py FROM TO ROWS

Times and shares are spread around those of FROM, as other starting points would spread them."""

import sys

import h5py
import numpy


def main(source, target, rows):
    with h5py.File(source) as old, h5py.File(target, "w") as new:
        for name in ("config", "provenance", "strategies"):
            old.copy(name, new)
        searches = old["searches"][:]
        starts = len(searches) // len(set(searches["strategy_id"]))
        times = -(-rows // len(searches))
        grown = numpy.concatenate([numpy.repeat(searches[at : at + starts], times) for at in range(0, len(searches), starts)])[:rows]
        spread = 1 + numpy.random.default_rng(1).exponential(0.2, rows)
        grown["work_id"] = numpy.arange(rows)
        grown["index"] = numpy.arange(rows) % (starts * times)
        for column in ("best_time_s", "best_value", "start_time_s", "memory_overflow"):
            grown[column] *= spread
        for column in grown.dtype.names:
            if column.startswith(("area_", "power_", "perimeter_")) and column not in ("area_mm2", "power_w"):
                grown[column] *= 1 - 0.1 * numpy.random.default_rng(2).random(rows)
        new["searches"] = grown


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
