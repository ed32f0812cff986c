#!/usr/bin/env bash
# Runs tests/laws.py on a small tree that keeps the laws, and then on the same tree with each of
# them broken in turn.
#   tests/test_laws.sh COMPILER
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=jobs/setup.sh
. jobs/setup.sh

compiler=$1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

mkdir -p "$tree"/{docs,search,src/{base,rules,cost,predict},tests}
cp tests/laws.py "$tree/tests"
cat >"$tree/docs/code.md" <<'END'
| module | owns | uses | marks |
|---|---|---|---|
| src/base | nothing | | |
| src/rules | rules | | rules |
| src/cost | prices | rules | |
| src/predict | everything else | cost, rules | circles |
END
echo '#include <stdbool.h>
typedef struct {
    bool hop_free; /* a rule */
} df_rules;' >"$tree/src/rules/rules.h"
echo '#include "rules/rules.h"
#include "base/base.h"
int df_ring(int n) { return n; }' >"$tree/src/cost/ring.c"
echo 'int df_ring(int n);
int df_flash(int n) { return df_ring(n); }' >"$tree/src/cost/flash.c"
echo 'int df_llm(int n);
int df_predict(int n) { return n == 0 ? 0 : df_llm(n - 1); }' >"$tree/src/predict/predict.c"
echo 'int df_predict(int n);
int df_llm(int n) { return n == 0 ? 0 : df_predict(n - 1); }' >"$tree/src/predict/llm.c"
touch "$tree"/src/{base/base.h,predict/predict.h}

# build MODULE SOURCE...
build() {
    local module=$1 source
    shift
    mkdir -p "$tree/build/$module"
    for source; do
        "$compiler" -I"$tree/src" -c "$tree/src/$module/$source" -o "$tree/build/$module/$source.o"
    done
}

# expect NAME TEXT: laws.py must print TEXT, and must fail where TEXT is not empty.
expect() {
    local found code=0 wanted_code=0
    found=$("$df_python" "$tree/tests/laws.py" "$tree/build" 2>&1) || code=$?
    if [ -n "$2" ]; then
        wanted_code=1
    fi
    if [ "$found" != "$2" ] || [ "$code" -ne "$wanted_code" ]; then
        printf '%s: expected exit code %d and:\n%s\nfound %d and:\n%s\n' \
            "$1" "$wanted_code" "$2" "$code" "$found" >&2
        exit 1
    fi
}

build cost ring.c flash.c
build predict predict.c llm.c
expect 'a clean tree' ''

echo '#include "predict/predict.h"' >>"$tree/src/cost/flash.c"
expect 'a forbidden include' 'src/cost/flash.c:3: src/cost may not use predict'
sed -i '$d' "$tree/src/cost/flash.c"

echo 'int df_price(const df_rules *rules) { return rules->hop_free; }' >>"$tree/src/cost/ring.c"
expect 'a rule that is read' 'src/cost/ring.c:4: src/cost may not read the rule hop_free'
sed -i '$d' "$tree/src/cost/ring.c"

sed -i 's/return n;/int df_flash(int n); return n == 0 ? 0 : df_flash(n - 1);/' "$tree/src/cost/ring.c"
build cost ring.c
expect 'a circle' 'src/cost: flash.c, ring.c call each other in a circle'

rm "$tree/build/cost/ring.c.o"
expect 'no object file' "src/cost/ring.c has no object file in $tree/build: build it first"

sed -i '/src.cost/d' "$tree/docs/code.md"
expect 'a module without a row' 'docs/code.md: no row for src/cost'
