#!/bin/sh
# A stand-in for apk. It adds the packages baked in as /usr/share/apk/NAME.tar.gz, takes those that
# mean nothing here as there already, and refuses all others.
command=
packages=
for word; do
  case $word in
    -*) ;;
    *) if [ -z "$command" ]; then command=$word; else packages="$packages $word"; fi ;;
  esac
done
case $command in
  add)
    for package in $packages; do
      baked=/usr/share/apk/$package.tar.gz
      case $package in
        libc6-compat | busybox | musl) ;;
        *)
          if [ -f "$baked" ]; then
            tar -xzf "$baked" -C / || exit 1
          else
            echo "ERROR: unable to select packages:" >&2
            echo "  $package (no such package in this stand-in for alpine)" >&2
            exit 1
          fi
          ;;
      esac
    done
    echo "OK: stand-in, added$packages"
    ;;
  update | upgrade | del) echo "OK: stand-in, nothing to do" ;;
  *)
    echo "ERROR: the stand-in for apk does not know '$command'" >&2
    exit 1
    ;;
esac
