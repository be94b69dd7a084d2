#!/usr/bin/env bash
# Boots a Debian with its own systemd in a container, installs the agent there as deploy/systemd says, and checks that
# the unit's restrictions leave fanotify to it. On demand, as root: it needs debootstrap and systemd-container, the
# Debian mirror at the first run, and about two minutes.
#
#   test/systemd/boot.sh [DIRECTORY]     the directory keeps the Debian for the next run
set -euo pipefail
cd "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.."

for program in debootstrap systemd-nspawn; do
  command -v "$program" >/dev/null || {
    echo "$program is missing: apt-get install debootstrap systemd-container" >&2
    exit 2
  }
done
root=${1:-/var/tmp/fim-debian}
[[ -d $root/usr ]] ||
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,procps bookworm "$root"

npm run --silent build
rm -rf "$root"/opt/fim-agent "$root"/var/lib/fim-agent "$root"/root/report "$root"/usr/bin/planted
mkdir -p "$root"/opt/fim-agent "$root"/etc/fim-agent "$root"/etc/systemd/system/multi-user.target.wants
cp -a bin dist baselines package.json node_modules "$root"/opt/fim-agent/
ln -sf /opt/fim-agent/bin/fim-agent "$root"/usr/local/bin/fim-agent
install -m 644 deploy/systemd/fim-agent.service "$root"/etc/systemd/system/
install -m 600 /dev/stdin "$root"/etc/fim-agent/config.yaml <<<'watch: { quickSweepEvery: 2s }'
install -m 755 /dev/stdin "$root"/root/go.sh <<'SCRIPT'
#!/bin/bash
exec >/root/report 2>&1
fim-agent baseline
systemctl start fim-agent
until journalctl -b -u fim-agent | grep -q '"msg":"ready"'; do sleep 0.2; done
cp /bin/true /usr/bin/planted
chmod 4755 /usr/bin/planted
until journalctl -b -u fim-agent | grep -q '/usr/bin/planted .*4755'; do sleep 0.2; done
first=$(systemctl show -p MainPID --value fim-agent)
kill -TERM "$first"
until second=$(systemctl show -p MainPID --value fim-agent) && ((second != 0 && second != first)); do sleep 0.2; done
echo "started again: yes"
systemctl stop fim-agent
systemctl show fim-agent -p Result -p ExecMainStatus
journalctl -b -u fim-agent --no-pager
SCRIPT
cat >"$root"/etc/systemd/system/go.service <<'UNIT'
[Service]
Type=oneshot
ExecStart=/root/go.sh
TimeoutStartSec=90
ExecStopPost=/bin/systemctl poweroff --force
UNIT
ln -sf /etc/systemd/system/go.service "$root"/etc/systemd/system/multi-user.target.wants/go.service

timeout -k 10 150 systemd-nspawn --quiet -D "$root" --boot --register=no --keep-unit --capability=all \
  --bind=/sys/kernel/tracing --system-call-filter='bpf perf_event_open @privileged' \
  --machine="fim-test-$$" >/dev/null </dev/null || true

failed=0
expect() {
  if grep -q -- "$2" "$root"/root/report; then echo "ok  $1"; else
    echo "not ok  $1"
    failed=1
  fi
}
expect "the unit's restrictions leave fanotify to the agent" '"engine":"fanotify"'
expect "a planted setuid program is reported" 'high /usr/bin/planted'
expect "after a SIGTERM from another process the agent is started again" 'started again: yes'
expect "systemctl stop ends it well" 'ExecMainStatus=0'
((failed == 0)) || cat "$root"/root/report
exit "$failed"
