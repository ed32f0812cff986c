#!/usr/bin/env bash
# Writes docs/config.md, the reference of all YAML keys, out of the program's table of options.
# shellcheck disable=SC2016 # backquotes of Markdown
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
{
    printf '# All keys of the YAML files\n\nMade by `jobs/config_reference.sh` from `deepflow help config`.\n\n'
    printf '```text\n'
    "${1:-build/deepflow}" help config
    printf '```\n'
} >docs/config.md
