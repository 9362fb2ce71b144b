# Arguments: a directory, a user of no meaning here, the program, and its arguments. The new root is
# the old one, mounted once more.
root=$1/root program=$3
shift 3
mkdir -p "$root"
mount --rbind / "$root"
exec chroot "$root" "$program" "$@"
