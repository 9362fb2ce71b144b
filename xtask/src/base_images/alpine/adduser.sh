#!/bin/sh
# adduser [-u UID] [-G GROUP] [-h HOME] [-s SHELL] [-S] [-D] [-H] NAME: a stand-in that busybox's own
# replaces. Options may also follow the name.
set -e
uid= group= home= shell=/sbin/nologin name= make_home=yes
while [ $# -gt 0 ]; do
  case $1 in
    -u) uid=$2; shift ;;
    -G) group=$2; shift ;;
    -h) home=$2; shift ;;
    -s) shell=$2; shift ;;
    -H) make_home= ;;
    -S | -D) ;;
    -*) echo "adduser: the stand-in does not know '$1'" >&2; exit 1 ;;
    *) name=$1 ;;
  esac
  shift
done
if grep -q "^$name:" /etc/passwd; then
  echo "adduser: user '$name' in use" >&2
  exit 1
fi
home=${home:-/home/$name}
if [ -z "$uid" ]; then
  uid=$(awk -F: '$3 >= 1000 && $3 < 60000 && $3 > top { top = $3 } END { print (top ? top + 1 : 1000) }' /etc/passwd)
fi
if [ -z "$group" ]; then
  group=$name
  grep -q "^$name:" /etc/group || addgroup -g "$uid" "$name"
fi
gid=$(awk -F: -v group="$group" '$1 == group { print $3 }' /etc/group)
[ -n "$gid" ] || { echo "adduser: unknown group $group" >&2; exit 1; }
echo "$name:x:$uid:$gid:$name:$home:$shell" >> /etc/passwd
if [ -n "$make_home" ]; then
  mkdir -p "$home"
  chown "$uid:$gid" "$home"
fi
