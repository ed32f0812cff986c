#!/usr/bin/env bash
# Checks how CMake files are laid out: two spaces a level, no tabs, nothing behind the end of a
# line, at most 110 columns. A command that goes on may be indented further.
#   tests/cmake_style.sh FILE...     checks these
#   tests/cmake_style.sh             checks itself, and then all files of the sources
set -euo pipefail

# shellcheck disable=SC2016 # awk's, not the shell's
program='
    function wrong(why) { print FILENAME ":" FNR ": " why; bad = 1 }
    FNR == 1 { level = 0; open = 0 }
    /\t/ { wrong("expected no tabs, found one") }
    / $/ { wrong("expected nothing behind the end of the line, found a space") }
    length($0) > 110 { wrong("expected at most 110 columns, found " length($0)) }
    /^ *$/ { next }
    {
        match($0, /^ */)
        indent = RLENGTH
        code = $0
        sub(/#.*/, "", code)
        if (open == 0 && code ~ /^ *end(if|foreach|function|macro|while)[(]/) { level-- }
        expected = 2 * (code ~ /^ *else(if)?[(]/ ? level - 1 : level)
        if (open == 0 ? indent != expected : indent < expected) {
            wrong("expected " expected " spaces, found " indent)
        }
        if (open == 0 && code ~ /^ *(if|foreach|function|macro|while)[(]/) { level++ }
        gsub(/"[^"]*"/, "", code)
        open += gsub(/[(]/, "", code) - gsub(/[)]/, "", code)
    }
    END { exit bad }'

check() {
    awk "$program" "$@"
}

if [ $# -gt 0 ]; then
    check "$@"
    exit
fi

file=$(mktemp)
trap 'rm -f "$file"' EXIT
# refuse TEXT: it must not pass.
refuse() {
    printf '%b' "$1" >"$file"
    if check "$file" >/dev/null; then
        printf 'cmake_style: this passes:\n%b' "$1" >&2
        exit 1
    fi
}
printf 'if(A)\n  set(b "c (")\n  foreach(d e)\n    f(g\n      h)\n  endforeach()\nelse()\n  i()\nendif()\n' >"$file"
check "$file"
refuse 'if(A)\n    set(b c)\nendif()\n'
refuse 'if(A)\nset(b c)\nendif()\n'
refuse '  set(a)\n'
refuse 'set(a) \n'
refuse '\tset(a)\n'
refuse "set(a) # $(printf '%0120d' 0)\n"

cd "$(dirname "${BASH_SOURCE[0]}")/.."
mapfile -t files < <(find CMakeLists.txt src search tests -name CMakeLists.txt -not -path '*/node_modules/*' | sort)
check "${files[@]}"
