#compdef vcomd
# Completion of vcomd for zsh, by vcomd itself. As _vcomd in a directory of $fpath.
_vcomd() {
  local line
  local -a found
  for line in "${(@f)$("${words[1]}" completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
    :files) _files; return ;;
    ?*) found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
    esac
  done
  _describe vcomd found
}
if [ "$funcstack[1]" = _vcomd ]; then
  _vcomd "$@"
else
  compdef _vcomd vcomd
fi
