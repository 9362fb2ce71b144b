#!/bin/sh
# The builder pattern: what people did before Dockerfiles could have several stages. One image holds
# the compiler; the program is copied out of it, and into a second, small image.
#
# KILN names the program to build with, options included; docker works as well.
set -eu
cd "$(dirname "$0")"
kiln=${KILN:-kiln}

echo 'Building href-counter:build'
$kiln build -t href-counter:build -f Dockerfile.build ..

$kiln container create --name extract href-counter:build
$kiln container cp extract:/go/src/example.org/href-counter/app ./app
$kiln container rm -f extract

echo 'Building href-counter:pattern'
$kiln build --no-cache -t href-counter:pattern .
rm ./app
