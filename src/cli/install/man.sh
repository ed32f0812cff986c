#!/usr/bin/env bash
# man.sh PROGRAM VERSION >deepflow.1: the manual page, out of the program's own help, so that it
# cannot tell anything else.
set -euo pipefail
program=$1
version=$2

# Text as it is, in roff: backslashes and leading dots and quotes mean something there.
verbatim() {
    printf '.nf\n'
    sed -e 's/\\/\\e/g' -e "s/^[.']/\\\\\\&&/" -e 's/-/\\-/g'
    printf '.fi\n'
}

usage=$("$program" help)
printf '.TH DEEPFLOW 1 "" "DeepFlow %s" "User Commands"\n' "$version"
printf '.SH NAME\ndeepflow \\- predicts deep learning on hardware to be, and searches for the best\n'
printf '.SH SYNOPSIS\n.B deepflow\n.I COMMAND\n[\\fB\\-\\-OPTION\\fR \\fIVALUE\\fR ...]\n'
printf '.SH DESCRIPTION\n'
tail -n +2 <<<"$usage" | verbatim
printf '.SH COMMANDS\n'
while read -r command; do
    printf '.SS %s\n' "${command//-/\\-}"
    "$program" help "$command" | verbatim
done < <(sed -n 's/^  \([A-Za-z_-]*\)  *[a-z].*/\1/p' <<<"$usage" | grep -vx help)
for topic in config devices search rules; do
    printf '.SH "HELP %s"\n' "${topic^^}"
    "$program" help "$topic" | verbatim
done
