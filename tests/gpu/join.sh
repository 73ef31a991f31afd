#!/usr/bin/env bash
# Makes the folder app of the parts that lie beside this script, after it has checked them.
set -euo pipefail
cd "$(dirname "$0")"
sha256sum --quiet -c parts.sha256 || { echo "error: a part is missing or damaged, copy it again" >&2; exit 2; }
rm -rf app.partial && mkdir app.partial
cat app.tar.xz.* | xz -dc -T0 | tar -C app.partial -xf -
rm -rf app && mv app.partial/app app && rmdir app.partial
