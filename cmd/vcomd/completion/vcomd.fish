# Completion of vcomd for fish, by vcomd itself. As ~/.config/fish/completions/vcomd.fish
function __vcomd_words
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] completion words -- $words[2..-1] 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c vcomd -f -a '(__vcomd_words)'
