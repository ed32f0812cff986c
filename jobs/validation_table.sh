#!/usr/bin/env bash
# Rewrites the table of docs/validation.md, between its two markers, from what
# `deepflow validate` prints. The first argument is the program (default build/deepflow); the
# others are passed on to `validate`, for example --data DIR.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program=${1:-build/deepflow}
shift || true

table() {
    printf 'Version %s, %s.\n\n' "$("$program" version | cut -d ' ' -f 2)" \
        "$(LC_ALL=C date '+%-d %B %Y')"
    "$program" validate "$@" | awk '
        function row(first, last, i) {
            printf "|"
            for (i = first; i <= last; i++)
                printf " %s |", $i
            print ""
        }
        /^set / {
            print "| set | metric | rows | n | reference: mean | median | worst | bias" \
                " | corrected: mean | median | worst | bias |"
            print "|---|---|---|---|---|---|---|---|---|---|---|---|"
            part = "scores"
            next
        }
        /^rankings / {
            print "\nErrors in %.\n"
            print "| rankings | groups | reference: tau | regret | worst" \
                " | corrected: tau | regret | worst |"
            print "|---|---|---|---|---|---|---|---|"
            part = "rankings"
            next
        }
        / rules, mean over / {
            for (i = 1; i < NF; i++) {
                if ($i == "error") {
                    (mean[$1] == "") ? mean[$1] = $(i + 1) : median[$1] = $(i + 1)
                }
            }
            next
        }
        NF == 0 { part = "" }
        part == "scores" { row(1, 12) }
        part == "rankings" {
            printf "| %s | %s | %s | %s %% | %s %% | %s | %s %% | %s %% |\n", $1, $3, $4, $5, $6, $7,
                $8, $9
        }
        END {
            printf "\nOver all sets and metrics, the mean error is %.0f %% (reference) and %.0f %%" \
                " (corrected), the median\nerror %s %% and %s %%.\n", mean["reference"],
                mean["corrected"], median["reference"], median["corrected"]
        }'
}

{
    sed '/^<!-- table -->$/q' docs/validation.md
    table "$@"
    sed -n '/^<!-- end -->$/,$p' docs/validation.md
} >docs/validation.md.new
mv docs/validation.md.new docs/validation.md
