# Arguments: the directory of accounts' files, the user, the program, and its arguments. The program
# may be where only root can reach it, and so may be what it needs: that is put in a directory of
# the same name that others can enter.
accounts=$1 user=$2 program=$3
shift 3
mount --bind "$accounts/passwd" /etc/passwd
mount --bind "$accounts/subordinate" /etc/subuid
mount --bind "$accounts/subordinate" /etc/subgid
# Everybody may open it, as on machines whose devices udev makes.
if [ -c /dev/net/tun ]; then
    mkdir -p "$accounts/devices"
    mount -t tmpfs -o mode=755 tmpfs "$accounts/devices"
    mknod -m 666 "$accounts/devices/tun" c 10 200
    mount --bind "$accounts/devices/tun" /dev/net/tun
fi
mount --bind "$program" "$accounts/kiln"
count=0
while read -r above path; do
    count=$((count + 1))
    mkdir -p "$accounts/$count"
    mount --rbind "$path" "$accounts/$count"
done <"$accounts/hidden"
count=0
while read -r above path; do
    count=$((count + 1))
    [ -k "$above" ] || mount -t tmpfs -o mode=1755 tmpfs "$above"
    mkdir -p "$path"
    mount --rbind "$accounts/$count" "$path"
done <"$accounts/hidden"
cd "$PWD"
exec setpriv --reuid "$user" --regid "$user" --clear-groups "$accounts/kiln" "$@"
