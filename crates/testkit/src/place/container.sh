# Arguments: the directory of the container's files, a user of no meaning here, the program, and its
# arguments. The environment and the words travel in a script that the container runs.
files=$1
shift 2
bundle=$files/$$
mkdir -p "$bundle/rootfs"
{
    export -p
    printf "cd '%s'\nexec" "$PWD"
    for word in "$@"; do
        printf " '%s'" "$(printf %s "$word" | sed "s/'/'\\\\''/g")"
    done
    printf '\n'
} >"$bundle/run"
sed "s|@RUN@|$bundle/run|" "$files/config.json" >"$bundle/config.json"
exec runc --root "$files/state" run --bundle "$bundle" "kiln-test-$$"
