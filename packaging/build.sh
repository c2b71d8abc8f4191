#!/usr/bin/env bash
# `make package`: wheel and source archive, the frozen programs, deb and rpm; all in dist/.
# The frozen collector and the frozen app then do one real thing each, so that a build that cannot start fails.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/.venv/bin
version=$("$bin/python" -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])')
machine=$(uname -m)
case $machine in
    x86_64) arch=amd64 ;;
    aarch64) arch=arm64 ;;
    *) arch=$machine ;;
esac

rm -rf dist build
"$bin/python" -m build --no-isolation --outdir dist .
"$bin/pyinstaller" --log-level WARN --noconfirm --distpath dist --workpath build packaging/tally.spec

package() { # name, the other package with the same programs, about, programs...
    name=$1 other=$2 about=$3
    shift 3
    packaging/describe.sh "$name" "$other" "$version" "$arch" "$about" "$@" >"build/$name.yaml"
    for kind in deb rpm; do
        "$bin/nfpm" package --config "build/$name.yaml" --packager "$kind" --target dist/
    done
    tar -C dist -czf "dist/$name-$version-linux-$machine.tar.gz" "$name"
}
package xrootd-tally xrootd-tally-daemons "Proves that XRootD monitoring recorded what clients did: app and daemons." \
    tally tally-agent tally-shoveler tally-collector
package xrootd-tally-daemons xrootd-tally "Shoveler, collector and agent of Tally, without the app." \
    tally-agent tally-shoveler tally-collector

# One real thing each: the collector decodes a server's ident datagram, the app creates a workspace.
workspace=$(mktemp -d)
"$bin/python" - "$workspace/ident.jsonl" <<'PYTHON'
import base64, json, struct, sys
text = b"=/root.1:169369521036254@se01.example.org\n&site=SITE-A&port=1094&inst=disk1&pgm=xrootd&ver=v5.5.3"
datagram = struct.pack(">cBHII", b"=", 0, 12 + len(text), 1_700_000_000, 0) + text
with open(sys.argv[1], "w") as file:
    file.write(json.dumps({"t": 1.0, "remote": "127.0.0.1:1", "data": base64.b64encode(datagram).decode()}) + "\n")
PYTHON
for name in xrootd-tally xrootd-tally-daemons; do
    "dist/$name/tally-collector" inspect "$workspace/ident.jsonl" | grep -q se01.example.org
    "dist/$name/tally-shoveler" --help >/dev/null
    "dist/$name/tally-agent" --help >/dev/null
done
TALLY_DATA=$workspace "dist/xrootd-tally/tally" key list --db "$workspace/self-test.db" >/dev/null
rm -rf "$workspace"
ls -l dist
