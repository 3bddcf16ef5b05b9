# SPDX-License-Identifier: Apache-2.0
# Completion of gatewayctl(1) for bash. The program itself knows what may come: commands, options, and the ids that the daemon has.

_gatewayctl() {
        local word words cword candidates
        if declare -F _get_comp_words_by_ref >/dev/null; then
                # A device id holds a colon, which is not to split words.
                _get_comp_words_by_ref -n : -c word -w words -i cword
        else
                word=$2 words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
        fi
        mapfile -t candidates < <("${words[0]}" complete -- "${words[@]:1:cword-1}" "$word" 2>/dev/null)
        if [[ ${candidates[0]-} == /files ]]; then
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
                return
        fi
        COMPREPLY=("${candidates[@]}")
        if declare -F __ltrim_colon_completions >/dev/null; then
                __ltrim_colon_completions "$word"
        fi
}

complete -F _gatewayctl gatewayctl
