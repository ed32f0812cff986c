#!/usr/bin/env bash
# Rewrites the tables and the pictures of docs/validation.md from what `deepflow validate` prints.
# The first argument is the program (default build/deepflow).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program=${1:-build/deepflow}
points=$(mktemp)
trap 'rm -f "$points"' EXIT
analysis/scoreboard.py "$program" --into docs/validation.md
"$program" validate --points --format csv >"$points"
analysis/validation.py "$points" --sets korthikanti_a100,uci,vtrain,hf_nanotron,mlperf,nemo,mpt,torchtitan,tpu \
    --rules corrected,calibrated -o docs/validation-training.png
analysis/validation.py "$points" --sets ops_ --rules corrected,calibrated -o docs/validation-kernels.png
