# shellcheck shell=bash
# bash completion for deepflow: commands and options are those that the program's help lists.

_deepflow() {
    local word=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} command=${COMP_WORDS[1]-} words
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=$("$program" help 2>/dev/null | sed -n 's/^  \([A-Za-z_-]*\)  *[a-z].*/\1/p')
    elif [ "$command" = help ]; then
        words="config devices rules search $("$program" help 2>/dev/null |
            sed -n 's/^  \([A-Za-z_-]*\)  *[a-z].*/\1/p')"
    elif [[ $word == -* ]]; then
        words=$("$program" "$command" --help 2>/dev/null | grep -oE '^  --[A-Za-z0-9_-]+' |
            tr -d ' ')
    else
        # what an option may be: a|b|c after it in the help
        words=$("$program" "$command" --help 2>/dev/null |
            sed -n "s/^  \(-[A-Za-z], \)\{0,1\}${COMP_WORDS[COMP_CWORD - 1]} \[\{0,1\}\([a-z_0-9]*|[a-z_0-9|]*\)\]\{0,1\}\$/\2/p" |
            tr '|' ' ')
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    if [ "${#COMPREPLY[@]}" -eq 0 ]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames
    fi
}
complete -F _deepflow deepflow
