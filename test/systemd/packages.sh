#!/usr/bin/env bash
# Runs the commands of docs/install.md's systemd sections, line by line, in a container that boots a Debian: install,
# alert, collector, upgrade, removal, purge; the RPM package's scripts; the tarball. On demand (npm run e2e:packages), as root:
# it needs debootstrap, systemd-container and rpm, the Debian mirror at the first run, and about four minutes.
#
#   test/systemd/packages.sh [DIRECTORY]     the directory keeps the Debian for the next run
set -euo pipefail
cd "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.."

for program in debootstrap systemd-nspawn rpmbuild; do
  command -v "$program" >/dev/null || {
    echo "$program is missing: apt-get install debootstrap systemd-container rpm" >&2
    exit 2
  }
done
root=${1:-/var/tmp/fim-packages}
[[ -d $root/usr ]] ||
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,procps,curl,man-db,rpm bookworm "$root"

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
npm run --silent build
node packaging/package.ts "$made" none
deb=$(echo "$made"/*.deb)
dpkg-deb --raw-extract "$deb" "$made/next"
sed -i 's/^Version: .*/Version: 9.9.9/' "$made/next/DEBIAN/control"
next=$made/fim-agent_9.9.9_${deb##*_}
dpkg-deb --root-owner-group -Znone --build "$made/next" "$next" >/dev/null

rm -rf "$root"/usr/lib/fim-agent "$root"/{var/lib,etc}/fim-{agent,collector} "$root"/usr/bin/planted* "$root"/root/*
rm -rf "$root"/opt/fim-agent "$root"/usr/local/bin/fim-* "$root"/etc/systemd/system/fim-*
cp "$deb" "$next" "$made"/*.rpm "$made"/*.tar.gz "$root"/root/

# The commands of a section, as they are printed.
section() {
  awk -v title="$1" '$0 == title { on = 1; next } on && /^##/ { exit } on && /^```sh/ { code = 1; next }
    /^```/ { code = 0 } on && code' docs/install.md
}
section '## systemd' >"$root"/root/install
section '### A collector as a service' >"$root"/root/collector
section '### From the tarball' >"$root"/root/tarball
section '### Upgrade and removal' >"$root"/root/removal
for part in install collector tarball removal; do [[ -s $root/root/$part ]]; done

install -m 755 /dev/stdin "$root"/root/go.sh <<'SCRIPT'
#!/bin/bash
exec >/root/report 2>&1
set -x
cd /root
export DEBIAN_FRONTEND=noninteractive HOME=/root
line() { sed -n "$2p" "/root/$1"; }
planted() {
  cp /bin/true "/usr/bin/$1"
  chmod 4755 "/usr/bin/$1"
  until journalctl -b -u fim-agent | grep -q "/usr/bin/$1 .*4755"; do sleep 0.2; done
}
pid() { systemctl show -p MainPID --value "$1"; }
ready() { curl --fail --silent --retry 60 --retry-delay 1 --retry-all-errors "http://127.0.0.1:$1/readyz"; }
ok() { { echo "ok: $1"; } 2>/dev/null; }
# A mirror is not needed.
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*

eval "$(line install 1)" && [[ $(pid fim-agent)$(pid fim-collector) == 00 ]] && ok installed
man -w fim-agent fim-collector && ok manual
bash -c 'source /usr/share/bash-completion/completions/fim-agent; COMP_WORDS=(fim-agent che); COMP_CWORD=1
  _fim_agent; [[ ${COMPREPLY[*]} == check ]]' && ok completion
eval "$(sed 1d /root/install)" && ok ready
planted planted1 && ok alerted
systemctl enable fim-collector
set -e; eval "$(cat /root/collector)"; set +e
ready 8686 && ok collector
[[ $(stat -c %U:%a /var/lib/fim-collector /var/lib/fim-collector/agent.key | xargs) == \
  'fim-collector:700 fim-collector:600' ]] && ok collector-user
systemd-analyze security --no-pager fim-collector | tail -1
before="$(pid fim-agent) $(pid fim-collector)"
key=$(sha256sum /var/lib/fim-agent/agent.key /var/lib/fim-collector/agent.key)
echo 'watch: { quickSweepEvery: 2s }' >/etc/fim-agent/config.yaml
eval "$(line removal 1)"
dpkg-query -W fim-agent
[[ $(dpkg-query -W -f '${Version}' fim-agent) == 9.9.9 ]] && grep -q quickSweep /etc/fim-agent/config.yaml && ok upgraded
read -r agent collector <<<"$before"
ready 9464 && ready 8686 && [[ $(pid fim-agent) != "$agent" && $(pid fim-collector) != "$collector" ]] && ok restarted
sha256sum --check <<<"$key" && ok kept-by-upgrade
journalctl -b -u fim-agent --no-pager | grep -E '(critical|high|medium) ' | grep -v /usr/bin/planted
[[ -z $(journalctl -b -u fim-agent --no-pager | grep -E '(critical|high) /usr/lib/fim-agent') ]] && ok quiet-upgrade
planted planted2 && ok alerted-after-upgrade
eval "$(line removal 2)"
[[ $(systemctl is-active fim-agent fim-collector | xargs) == 'inactive inactive' ]] && ok stopped
sha256sum --check <<<"$key" && [[ -e /etc/fim-agent/config.yaml && ! -e /usr/bin/fim-agent ]] && ok kept-by-removal
eval "$(line removal 3)"
[[ ! -e /var/lib/fim-agent && ! -e /etc/fim-agent && ! -e /var/lib/fim-collector && ! -e /etc/fim-collector ]] && ok purged

rpm -i --nodeps /root/*.rpm
systemctl start fim-collector
fim-agent baseline --format json | head -c 100
systemctl start fim-agent
ready 9464 && ready 8686 && ok rpm-installed
first=$(pid fim-agent)
rpm -U --nodeps --force /root/*.rpm
ready 9464 && [[ $(pid fim-agent) != "$first" ]] && ok rpm-restarted
rpm -e --nodeps fim-agent
[[ $(systemctl is-active fim-agent fim-collector | xargs) == 'inactive inactive' && -e /var/lib/fim-agent/agent.key &&
  ! -e /usr/lib/fim-agent ]] && ok rpm-removed

rm -rf /var/lib/fim-agent /etc/fim-agent
hash -r
eval "$(cat /root/tarball)"
eval "$(sed 1d /root/install)" && planted planted3 && ok tarball
journalctl -b -u fim-agent -u fim-collector --no-pager | grep -v '/usr/bin/planted' | tail -80
SCRIPT
cat >"$root"/etc/systemd/system/go.service <<'UNIT'
[Service]
Type=oneshot
ExecStart=/root/go.sh
TimeoutStartSec=600
ExecStopPost=/bin/systemctl poweroff --force
UNIT
mkdir -p "$root"/etc/systemd/system/multi-user.target.wants
ln -sf /etc/systemd/system/go.service "$root"/etc/systemd/system/multi-user.target.wants/go.service

timeout -k 10 660 systemd-nspawn --quiet -D "$root" --boot --register=no --keep-unit --capability=all \
  --bind=/sys/kernel/tracing --system-call-filter='bpf perf_event_open @privileged' \
  --machine="fim-packages-$$" >/dev/null </dev/null || true

failed=0
for step in installed manual completion ready alerted collector collector-user upgraded restarted kept-by-upgrade \
  quiet-upgrade alerted-after-upgrade stopped kept-by-removal purged rpm-installed rpm-restarted rpm-removed tarball; do
  if grep -qx "ok: $step" "$root"/root/report; then echo "ok  $step"; else
    echo "not ok  $step"
    failed=1
  fi
done
((failed == 0)) || cat "$root"/root/report
exit "$failed"
