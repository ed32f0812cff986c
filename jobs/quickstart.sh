#!/usr/bin/env bash
# The main job on a bare Debian 12 machine: installs what is missing, builds, searches
# every parallelism strategy of a small wafer on all cores (about a minute on two), prints
# the ten best and leaves output/quickstart/results.h5 with a page about it, report.html.
# Takes root or sudo only when a package is missing. May be run again and again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=jobs/setup.sh
. jobs/setup.sh

df_install "${df_build_packages[@]}"
if ! df_page run; then
    echo "No report will be made: npm cannot install its plotting library" >&2
fi
df_build release deepflow

out=output/quickstart
echo "Searching on $df_jobs core(s); results go to $out/results.h5"
# --bind-to none: on a machine that shares its cores, the system places the ranks best.
mpirun -n "$df_jobs" --bind-to none \
    build/deepflow arch_search \
    --exp_config configs/search/lstm_4x4.yaml --exp_dir "$out" --overwrite \
    --num_wafer 1 --wafer_dim 4 --num_search 200
if build/deepflow report "$out" -o "$out/report.html"; then
    echo "Open $out/report.html in a browser."
fi
echo "Look into it with: h5dump -n $out/results.h5, or $df_python analysis/results.py $out/results.h5"
