# Arguments: a directory, a user of no meaning here, the program, and its arguments. The new root has
# what the old one has, but is a directory like any other.
root=$1/root program=$3
shift 3
mkdir -p "$root"
for path in /*; do
    if [ -L "$path" ]; then
        [ -L "$root$path" ] || cp -P "$path" "$root$path"
    elif [ -d "$path" ]; then
        mkdir -p "$root$path"
        mount --rbind "$path" "$root$path"
    fi
done
exec chroot "$root" "$program" "$@"
