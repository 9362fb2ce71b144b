#!/bin/sh
# addgroup [-g GID] [-S] NAME, or addgroup USER NAME: a stand-in that busybox's own replaces.
set -e
gid=
while getopts g:S option; do
  case $option in
    g) gid=$OPTARG ;;
    S) ;;
    *) exit 1 ;;
  esac
done
shift $((OPTIND - 1))
if [ $# -eq 2 ]; then
  grep -q "^$2:" /etc/group || { echo "addgroup: unknown group $2" >&2; exit 1; }
  sed -i "/^$2:/{s/:\$/:$1/;t;s/\$/,$1/}" /etc/group
  exit
fi
if grep -q "^$1:" /etc/group; then
  echo "addgroup: group '$1' in use" >&2
  exit 1
fi
if [ -z "$gid" ]; then
  gid=$(awk -F: '$3 >= 1000 && $3 < 60000 && $3 > top { top = $3 } END { print (top ? top + 1 : 1000) }' /etc/group)
fi
echo "$1:x:$gid:" >> /etc/group
