# Arguments: the directory of accounts' files, the user, the binary, and its arguments. The binary
# may be where only root can reach it.
accounts=$1 user=$2 binary=$3
shift 3
mount --bind "$accounts/passwd" /etc/passwd
mount --bind "$accounts/subordinate" /etc/subuid
mount --bind "$accounts/subordinate" /etc/subgid
mount --bind "$binary" "$accounts/kiln"
exec setpriv --reuid "$user" --regid "$user" --clear-groups "$accounts/kiln" "$@"
