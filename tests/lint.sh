#!/usr/bin/env bash
# Checks the sources without running them: formatting, clang-tidy, cppcheck, CMake files, shellcheck,
# and the laws of docs/code.md. Needs a build of the dev preset (tests/run.sh makes one).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=jobs/setup.sh
. jobs/setup.sh

commands=build/dev/compile_commands.json
if [ ! -e "$commands" ]; then
    echo "$commands is missing: configure with cmake --preset dev" >&2
    exit 2
fi

mapfile -t sources < <(find src search tests -name '*.c' | sort)
mapfile -t headers < <(find src search tests -name '*.h' | sort)
scripts=(jobs/*.sh src/cli/install/man.sh src/cli/install/completion.bash tests/*.sh .ci/run)
failed=()

# check NAME COMMAND...
check() {
    local name=$1
    shift
    echo "lint: $name"
    if ! "$@"; then
        failed+=("$name")
    fi
}

tidy() {
    # On stderr it counts the warnings that it suppressed in system headers.
    printf '%s\0' "${sources[@]}" |
        xargs -0 -n 1 -P "$df_jobs" clang-tidy -p build/dev --quiet 2> >(grep -Ev 'warnings? generated' >&2)
}

check clang-format clang-format --dry-run -Werror "${sources[@]}" "${headers[@]}"
check clang-tidy tidy
check cppcheck cppcheck --project="$commands" -j "$df_jobs" --quiet --error-exitcode=1 \
    --enable=warning,performance,portability --inline-suppr \
    --suppress=missingIncludeSystem --suppress=preprocessorErrorDirective:src/config/cfg_table.c --library=posix
check cmake tests/cmake_style.sh
check shellcheck shellcheck -x "${scripts[@]}"
check laws "$df_python" tests/laws.py build/dev

if [ "${#failed[@]}" -gt 0 ]; then
    echo "lint: failed: ${failed[*]}" >&2
    exit 1
fi
echo "lint: ${#sources[@]} sources, ${#headers[@]} headers, ${#scripts[@]} scripts are clean"
