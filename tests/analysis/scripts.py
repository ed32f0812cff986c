"""The scripts of analysis/ on real results: scripts.py DEEPFLOW SOURCES"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM, SOURCES = sys.argv[1], sys.argv[2]
sys.path.insert(0, os.path.join(SOURCES, "analysis"))

import breakdown
import compare
import h5py
import heatmap
import matplotlib.pyplot as plt
import numpy as np
import pareto
import results
import sensitivity
import trajectories
import validation

LSTM = os.path.join(SOURCES, "configs/search/lstm_4x4.yaml")
HARDWARE = os.path.join(SOURCES, "configs/hardware/a100_80gb.yaml")
MODEL = os.path.join(SOURCES, "configs/model/llama2_7b.yaml")


def deepflow(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{arguments}: exit code {done.returncode}: {done.stderr}")
    return done.stdout


def one_strategy(config, folder):
    deepflow("GD_search", "--exp_config", config, "--exp_dir", folder, "--index", "3", "--dp", "16", "--wafer_dim", "4",
             "--intra_derate", "2", "--inter_derate", "0", "--iterations", "4", "--rules", "corrected")


class Scripts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.dir = cls.folder.name
        search = ["arch_search", "--rules", "corrected", "--top", "0", "--exp_dir"]
        small = ["--exp_config", LSTM, "--wafer_dim", "2", "--num_search", "2", "--iterations", "3"]
        cls.lstm, cls.other, cls.llm = (os.path.join(cls.dir, name) for name in ("lstm", "other", "llm"))
        deepflow(*search, cls.lstm, *small, "--trajectory")
        deepflow(*search, cls.other, *small, "--batch_size", "1024")
        deepflow(*search, cls.llm, "--hardware_config", HARDWARE, "--model_config", MODEL, "--batch_size", "8", "--fix_hardware", "--objective", "time,energy",
                 "--num_nodes", "2", "--devices_per_node", "2")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def draw(self, script, *arguments):
        """Draws; returns the axes of the picture and what was printed."""
        path = os.path.join(self.dir, "picture.png")
        kept = []
        close, plt.close = plt.close, kept.append
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                script.main([*arguments, "-o", path])
        finally:
            plt.close = close
        with open(path, "rb") as file:
            self.assertEqual(file.read(8), b"\x89PNG\r\n\x1a\n")
        self.assertGreater(os.path.getsize(path), 5000)
        os.remove(path)
        picture = next(figure for figure in kept if not isinstance(figure, str))
        close(picture)
        return picture.axes, printed.getvalue()

    def refuse(self, script, message, *arguments):
        said = io.StringIO()
        with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as ended:
            script.main([*arguments, "-o", os.path.join(self.dir, "picture.png")])
        self.assertEqual(ended.exception.code, 2)
        self.assertRegex(said.getvalue(), message)
        self.assertEqual(said.getvalue().count("\n"), 1)

    def test_pareto_shows_every_search_and_the_front(self):
        axes, _ = self.draw(pareto, self.llm)
        rows = results.load(self.llm).done()
        points = axes[0].collections[0].get_offsets()
        self.assertEqual(len(points), len(rows))
        self.assertEqual(points[:, 1].min(), rows.best_time_s.min())
        front = axes[0].lines[0].get_xydata()
        for x, y in front:
            better = (points[:, 0] <= x) & (points[:, 1] <= y) & ((points[:, 0] < x) | (points[:, 1] < y))
            self.assertFalse(better.any())
        self.assertRegex(axes[0].get_xlabel(), "energy")

    def test_front_is_that_of_the_file(self):
        found = results.load(self.llm)
        rows = found.done()
        front = rows.iloc[pareto.front(rows.energy_j.to_numpy(), rows.best_time_s.to_numpy())]
        self.assertEqual(sorted(zip(front.best_time_s, front.energy_j)), sorted(set(zip(found.pareto.time_s, found.pareto.energy_j))))
        self.assertIsNone(results.load(self.lstm).pareto)

    def test_front_of_known_points(self):
        x, y = np.array([3.0, 1, 2, 2, 4]), np.array([1.0, 5, 3, 4, 1])
        self.assertEqual(list(pareto.front(x, y)), [1, 2, 0])

    def test_heatmap_has_the_least_time_of_each_cell(self):
        axes, _ = self.draw(heatmap, self.lstm, "--x", "dp", "--y", "kp1")
        rows = results.load(self.lstm).done()
        drawn = axes[0].images[0].get_array()
        for i, kp1 in enumerate(sorted(rows.kp1.unique())):
            for k, dp in enumerate(sorted(rows.dp.unique())):
                times = rows[(rows.kp1 == kp1) & (rows.dp == dp)].best_time_s
                if len(times) > 0:
                    self.assertEqual(drawn[i, k], times.min())

    def test_breakdown_adds_up(self):
        axes, _ = self.draw(breakdown, self.llm, "--deepflow", PROGRAM, "--top", "3")
        ends = max(bar.get_x() + bar.get_width() for bar in axes[0].patches)
        best = results.load(self.llm).done().sort_values(["best_value", "work_id"]).head(3)
        self.assertAlmostEqual(ends / best.best_time_s.max(), 1, delta=0.1)
        axes, _ = self.draw(breakdown, self.llm, "--deepflow", PROGRAM, "--design", str(best.work_id.iloc[0]))
        names = [tick.get_text() for tick in axes[0].get_yticklabels()]
        self.assertIn("ffn1", names)
        total = sum(bar.get_width() for bar in axes[0].patches)
        self.assertAlmostEqual(total / best.best_time_s.iloc[0], 1, delta=1e-6)

    def test_trajectories(self):
        axes, _ = self.draw(trajectories, self.lstm)
        self.assertEqual(len(axes[0].lines), 8)
        best = results.load(self.lstm).best(1).best_time_s[0]
        self.assertEqual(min(np.nanmin(line.get_ydata().astype(float)) for line in axes[0].lines), best)
        axes, _ = self.draw(trajectories, self.other)
        self.assertRegex(axes[0].get_xlabel(), "starting point")

    def test_compare(self):
        _, said = self.draw(compare, self.lstm, self.lstm)
        self.assertIn("11 strategies and layouts in both", said)
        self.assertIn("ratio from 1 to 1, median 1", said)
        axes, said = self.draw(compare, self.lstm, self.other, "--names", "512,1024")
        self.assertIn("1024: best time (s)", axes[0].get_ylabel())
        self.assertNotIn("median 1\n", said)

    def test_sensitivity(self):
        with open(LSTM, encoding="utf-8") as file:
            text = file.read()
        runs = []
        for power in ("300", "150"):
            config = os.path.join(self.dir, f"power_{power}.yaml")
            with open(config, "w", encoding="utf-8") as file:
                file.write(re.sub(r"TDP: \d+", f"TDP: {power}", text))
            runs.append(os.path.join(self.dir, f"power_{power}"))
            one_strategy(config, runs[-1])
        axes, said = self.draw(sensitivity, *runs)
        times = [results.load(run).searches.best_time_s[0] for run in runs]
        self.assertEqual(list(axes[0].lines[0].get_xdata()), [0.5, 1])
        self.assertAlmostEqual(axes[0].lines[0].get_ydata()[0], times[1] / times[0])
        slope = np.log(times[1] / times[0]) / np.log(0.5)
        self.assertIn(f"power_breakdown.TDP: 300, slope {slope:.4g}", said)
        self.refuse(sensitivity, "differs from that of .* in one number, found [1-9]", runs[0], self.llm)

    def test_numbers_of_a_file(self):
        text = "a:\n  b: 4 GB # four\n  c:\n    d: 1.5e3\n  e: word\nf: 2\n"
        self.assertEqual(sensitivity.numbers_of(text), {"a.b": 4 * 2**30, "a.c.d": 1500, "f": 2})

    def test_validation(self):
        path = os.path.join(self.dir, "points.csv")
        with open(path, "w", encoding="utf-8") as file:
            file.write(deepflow("validate", "koyeb", "--points", "--format", "csv"))
        axes, _ = self.draw(validation, path)
        self.assertEqual(len(axes), 2)
        self.assertRegex(axes[0].get_title(), r"koyeb_a100_decode\ndecode_s\nmean error [\d.]+ %, [\d.]+ %")
        self.refuse(validation, "none", path, "--sets", "other")

    def test_scoreboard(self):
        runs = os.path.join(self.dir, "runs")
        os.makedirs(runs)
        shutil.copy(os.path.join(SOURCES, "configs/validation/uci_a100_training.csv"), runs)
        page = os.path.join(self.dir, "page.md")
        with open(page, "w", encoding="utf-8") as file:
            file.write("before\n<!-- table -->\nold\n<!-- end -->\nafter\n")
        script = os.path.join(SOURCES, "analysis/scoreboard.py")
        command = ["/usr/bin/python3", script, PROGRAM, "--data", runs, "--into", page]
        self.assertEqual(subprocess.run(command, check=False).returncode, 0)
        with open(page, encoding="utf-8") as file:
            text = file.read()
        self.assertRegex(text, r"^before\n<!-- table -->\nVersion [\d.]+, \d+ \w+ \d+. Errors in %.\n")
        self.assertIn("| uci_a100_training | step_s | trusted | 12 |", text)
        self.assertIn("| uci_training, FSDP | uci_a100_training | step_s | all | 3 |", text)
        self.assertTrue(text.endswith("<!-- end -->\nafter\n"))
        self.assertNotIn("old", text)
        done = subprocess.run([*command[:4], "nowhere"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, "^scoreboard.py: error: .*--data: expected a folder, found nowhere")

    def test_searches_under_way(self):
        path = os.path.join(self.dir, "running.h5")
        with open(os.path.join(self.lstm, "results.h5"), "rb") as source, open(path, "wb") as target:
            target.write(source.read())
        with h5py.File(path, "r+") as file:
            rows = file["searches"][:]
            rows["status"][1:] = b"pending"
            rows["best_time_s"][1:] = np.nan
            file["searches"][:] = rows
        axes, _ = self.draw(pareto, path, "--x", "memory_overflow")
        self.assertEqual(len(axes[0].collections[0].get_offsets()), 1)
        with h5py.File(path, "r+") as file:
            rows["status"] = b"pending"
            file["searches"][:] = rows
        self.refuse(pareto, "expected searches that are done", path)

    def test_bad_input(self):
        missing = os.path.join(self.dir, "missing")
        for script in (pareto, heatmap, trajectories):
            self.refuse(script, "expected results.h5 of a search or its folder, found no such file", missing)
            self.refuse(script, "expected results.h5 of a search, found another file", LSTM)
        self.refuse(breakdown, "expected results.h5 of a search or its folder", missing, "--deepflow", PROGRAM)
        self.refuse(pareto, "energy_j: expected numbers, found none", self.lstm, "--x", "energy_j")
        self.refuse(heatmap, "nothing: expected one of dp", self.lstm, "--x", "nothing")
        self.refuse(trajectories, "found 99", self.lstm, "--strategy", "99")
        self.refuse(compare, "found none", self.lstm, self.llm)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
