#!/usr/bin/env bash
# All tests, from a clean clone on: installs what is missing, builds and tests three ways
# (Debug; Release, which is what users run; Debug with sanitizers), then checks the sources.
# Goes on after a failure, so that one run shows them all; the exit code is 0 only when all
# is well.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=jobs/setup.sh
. jobs/setup.sh

df_install "${df_build_packages[@]}" "${df_check_packages[@]}" "${df_page_packages[@]}"

failed=()
if ! df_page all; then
    failed+=("packages of the page")
fi
for preset in dev release asan; do
    echo "== $preset: build"
    if ! df_build "$preset"; then
        failed+=("$preset build")
        continue
    fi
    echo "== $preset: test"
    if ! ctest --preset "$preset" --parallel "$df_jobs"; then
        failed+=("$preset tests")
    fi
done
echo "== lint"
if ! tests/lint.sh; then
    failed+=(lint)
fi

echo "== summary after $SECONDS s"
if [ "${#failed[@]}" -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
count=0
for preset in dev release asan; do
    count=$((count + $(ctest --preset "$preset" -N | sed -n 's/^Total Tests: //p')))
done
echo "100% tests passed, 0 tests failed out of $count in dev, release and asan;" \
    "the sources are clean."
