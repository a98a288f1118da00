#!/usr/bin/env bash
# scripts/bare-debian.sh COMMAND [ARGUMENT...]: runs COMMAND in a clone of HEAD on a Debian 12 that holds its base system,
# certificates, git, Node and npm, and nothing else: what works only where somebody once installed something fails there.
# Needs root, mmdebstrap, mounts and the package registries. Where it cannot run it says so and ends with code 0; with CI
# set, with code 1. NODULE_BARE: the folder for the root, which lies in memory where there is enough; the base is kept.
set -euo pipefail

cannot() {
  echo "bare-debian: NOT CHECKED on a bare Debian: $1" >&2
  [ -z "${CI:-}" ] || exit 1
  exit 0
}

top=$(cd "$(dirname "$0")/.." && git rev-parse --show-toplevel) || cannot 'this is no git checkout'
[ $# -gt 0 ] || { sed -n '2,5s/^# //p' "$0"; exit 2; }
[ "$(id -u)" = 0 ] || cannot 'it needs root'
if ! command -v mmdebstrap >/dev/null; then
  { apt-get -q update && apt-get -q install -y --no-install-recommends mmdebstrap; } >/dev/null 2>&1 ||
    cannot 'mmdebstrap is missing and apt cannot install it'
fi
[ -z "$(git -C "$top" status --porcelain)" ] || echo 'bare-debian: changes that are not committed are not in the clone' >&2

where=${NODULE_BARE:-${TMPDIR:-/tmp}/nodule-bare}
base=$where/base.tar root=$where/root
mkdir -p "$where" "$root"
[ -s "$base" ] || {
  mmdebstrap --quiet --variant=minbase --include=ca-certificates,git --format=tar bookworm "$base.part" ||
    cannot 'mmdebstrap failed'
  mv "$base.part" "$base"
}

leave() {
  cd /
  for name in dev proc .; do
    # What still runs in there was started by COMMAND; a lazy unmount needs nobody to be gone.
    if mountpoint -q "$root/$name"; then umount -l "$root/$name"; fi
  done
}
trap leave EXIT
leave
rm -rf --one-file-system "${root:?}"
mkdir -p "$root"
available=$(awk '/^MemAvailable/ { print int($2 / 1024 / 1024) }' /proc/meminfo)
if [ "$available" -ge 10 ]; then mount -t tmpfs -o size=6g,mode=755 tmpfs "$root" || cannot 'it may not mount'; fi
tar -C "$root" -xf "$base"
mount -t proc proc "$root/proc" || cannot 'it may not mount'
mount --bind /dev "$root/dev"

# What reaches the registries, and Node: nothing else of this machine.
for file in /etc/resolv.conf /etc/npmrc /usr/etc/npmrc /usr/local/etc/npmrc "$HOME/.npmrc"; do
  if [ -f "$file" ]; then install -D -m 644 "$(readlink -f "$file")" "$root$file"; fi
done
install -m 644 "$(readlink -f /etc/ssl/certs/ca-certificates.crt)" "$root/etc/ssl/certs/ca-certificates.crt"
for file in /etc/apt/apt.conf.d/99*; do
  case $file in *mmdebstrap* | *\**) ;; *) cp "$file" "$root/etc/apt/apt.conf.d/" ;; esac
done
npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
install -D "$(readlink -f "$(command -v node)")" "$root/usr/local/bin/node"
mkdir -p "$root/usr/local/lib/node_modules"
cp -r "$npm" "$root/usr/local/lib/node_modules/npm"
for tool in npm npx; do ln -s "../lib/node_modules/npm/bin/$tool-cli.js" "$root/usr/local/bin/$tool"; done
git clone -q --no-hardlinks "$top" "$root/project"

mapfile -t kept < <(env | grep -E '^(CI|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY|npm_config_registry)=' || true)
clean=(HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8)
# shellcheck disable=SC2016
chroot "$root" env -i "${clean[@]}" "${kept[@]}" bash -c 'cd /project && exec "$@"' bash "$@"
