#!/bin/sh
# compile SOURCE BINARY: makes a program that prints the lines of SOURCE.
set -eu
{
  echo '#!/bin/sh'
  while read -r line; do
    printf "echo '%s'\n" "$line"
  done < "$1"
} > "$2"
chmod +x "$2"
