# Completion of vcomd for bash, by vcomd itself. As /usr/share/bash-completion/completions/vcomd, or: source <(vcomd completion bash)
_vcomd() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
    :files) compopt -o default 2>/dev/null; COMPREPLY=(); return ;;
    *) COMPREPLY+=("${line%%$'\t'*}") ;;
    esac
  done < <("${COMP_WORDS[0]}" completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _vcomd vcomd
