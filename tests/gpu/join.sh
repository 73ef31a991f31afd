#!/usr/bin/env bash
# Makes the folder app of the parts that lie beside this script, after it has checked them. Python takes the place of xz where that is missing.
set -euo pipefail
cd "$(dirname "$0")"
has() { command -v "$1" >/dev/null; }
for program in sha256sum tar; do has $program || { echo "error: $program is not on this machine; join the parts on another one and bring the folder app" >&2; exit 2; }; done
if has xz; then unpack() { xz -dc -T0; }
elif has python3 && python3 -c 'import lzma' 2>/dev/null; then unpack() { python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.stdin.buffer), sys.stdout.buffer, 1 << 20)'; }
else echo "error: neither xz nor a python3 with lzma is on this machine; join the parts on another one and bring the folder app" >&2; exit 2
fi
sha256sum --quiet -c parts.sha256 || { echo "error: a part is missing or damaged, copy it again" >&2; exit 2; }
rm -rf app.partial && mkdir app.partial
cat app.tar.xz.* | unpack | tar -C app.partial -xf -
rm -rf app && mv app.partial/app app && rmdir app.partial
