#!/usr/bin/env bash
# Prints nfpm's description of a package: nfpm.yaml.in, filled in.
#
#   packaging/describe.sh NAME OTHER VERSION ARCH ABOUT PROGRAM...
#
# OTHER is the package that contains the same programs and cannot be installed beside it.
set -eu
cd "$(dirname "$0")/.."
name=$1 other=$2 version=$3 arch=$4 about=$5
shift 5
links=""
for program in "$@"; do
    links+="  - src: /opt/$name/$program\n    dst: /usr/bin/$program\n    type: symlink\n"
done
sed -e "s|@NAME@|$name|g" -e "s|@OTHER@|$other|g" -e "s|@VERSION@|$version|g" -e "s|@ARCH@|$arch|g" \
    -e "s|@ABOUT@|$about|g" -e "s|^@LINKS@\$|$links|" packaging/nfpm.yaml.in
