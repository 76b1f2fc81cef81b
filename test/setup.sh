#!/usr/bin/env bash
# Installs what the tests need and this machine lacks, from Debian's packages.
# Safe to run again: with everything there it looks and ends. The packages'
# own daemons are neither started nor enabled; the tests start their own.
set -euo pipefail

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

# A user's PATH often lacks the directories that daemons and ip live in.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# What the tests need: Debian's package, then a command that succeeds when what
# it provides is there, from that package or from elsewhere.
needs=(
  "git               command -v git"
  "curl              command -v curl"
  "ca-certificates   test -s /etc/ssl/certs/ca-certificates.crt"
  "iproute2          command -v ip"
  "squid-openssl     squid_with_openssl"
  "dante-server      command -v danted"
  "prometheus        prometheus_and_promtool"
  "postgresql        postgresql_server"
  "chromium          command -v chromium"
  "fonts-dejavu-core test -d /usr/share/fonts/truetype/dejavu"
)

# Debian's plain squid is built without OpenSSL and has no https_port.
squid_with_openssl() { [[ $(squid -v) == *--with-openssl* ]]; }

# Debian keeps the server's programs, a version each, off the PATH.
postgresql_server() { compgen -G '/usr/lib/postgresql/*/bin/initdb'; }

prometheus_and_promtool() { command -v prometheus && command -v promtool; }

find_missing() {
  local need package check
  missing=()
  for need in "${needs[@]}"; do
    read -r package check <<<"$need"
    $check >/dev/null 2>&1 || missing+=("$package")
  done
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo -- "$@"; fi
}

# invoke-rc.d asks policy-rc.d whether a package may start its daemon: 101 is
# no. An answer that the machine already has comes back afterwards; one that an
# interrupted run left in the backup is not overwritten.
policy=/usr/sbin/policy-rc.d
backup=$policy.before-setup
forbid_daemons() {
  if [[ -e $policy && ! -e $backup ]]; then as_root cp -a "$policy" "$backup"; fi
  trap 'allow_daemons; allow_cluster' EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}
allow_daemons() {
  as_root rm -f "$policy"
  if [[ -e $backup ]]; then as_root mv "$backup" "$policy"; fi
}

# A new PostgreSQL makes a database cluster for the whole machine, unless its
# configuration says no. The tests make their own.
cluster_dir=/etc/postgresql-common/createcluster.d
cluster_conf=$cluster_dir/test-setup.conf
forbid_cluster() {
  as_root mkdir -p "$cluster_dir"
  echo "create_main_cluster = false" | as_root tee "$cluster_conf" >/dev/null
}
allow_cluster() {
  as_root rm -f "$cluster_conf"
  as_root rmdir --ignore-fail-on-non-empty "$cluster_dir" 2>/dev/null || true
}

# Where systemd runs, installing a daemon also enables it for the next boot.
disable_daemons() {
  [[ -d /run/systemd/system ]] || return 0
  local unit
  for unit in $(dpkg-query -L "${missing[@]}" | grep -oE '[^/]+\.service$' | grep -v '@' | sort -u); do
    as_root systemctl disable --quiet "$unit" || say "could not disable $unit; it may start at the next boot"
  done
}

find_missing
if ((${#missing[@]} == 0)); then
  say "everything the tests need is there"
  exit 0
fi
say "missing: ${missing[*]}"

command -v apt-get >/dev/null ||
  fail "install these by hand, since there is no apt-get here: ${missing[*]}"
if ((EUID != 0)) && ! command -v sudo >/dev/null; then
  fail "run this as root, or install sudo: Debian's packages are to be installed"
fi

apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
say "updating the package lists"
as_root "${apt[@]}" update || fail "apt-get update failed; see the lines above"

say "installing ${missing[*]}"
forbid_daemons
forbid_cluster
# --no-remove: squid-openssl conflicts with squid, and taking away a package
# that somebody uses is not for a test setup to decide.
as_root "${apt[@]}" install --no-install-recommends --no-remove "${missing[@]}" >/dev/null ||
  fail "apt-get could not install ${missing[*]} (if squid is installed, remove it first: squid-openssl takes its place)"
disable_daemons

find_missing
((${#missing[@]} == 0)) || fail "installed, yet still not usable: ${missing[*]}"
say "everything the tests need is there"
