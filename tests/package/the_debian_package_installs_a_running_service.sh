#!/usr/bin/env bash
# The Debian package in a Debian that systemd boots: installed beside a docker-registry that runs, it
# starts, builds, is upgraded, removed, installed again and purged.
#
#   tests/package/the_debian_package_installs_a_running_service.sh [DIRECTORY]
#
# By hand, not by ./test: it makes a Debian (some 300 MB of packages, kept in DIRECTORY) and boots it in
# a container, which takes root and minutes.  Needs mmdebstrap and systemd-container.  In there builds have
# no network and no control groups.
set -euo pipefail
cd "$(dirname "$0")/../.."

place=$(realpath -m "${1:-build/package-test}")
root=$place/root
mkdir -p "$place"

cmake --preset package >"$place/configure.log"
cmake --build build/package -- --quiet
(cd build/package && cpack -B "$place" >"$place/cpack.log")
package=$(ls -t "$place"/kiln_*.deb | head -1)
depends=$(dpkg-deb --field "$package" Depends | sed 's/ ([^)]*)//g; s/ //g')

if [[ ! -e $place/debian.tar ]]; then
    mmdebstrap --format=tar --variant=minbase --include="systemd,systemd-sysv,dbus,curl,jq,zip,$depends" \
        bookworm "$place/debian.tar.new"
    mv "$place/debian.tar.new" "$place/debian.tar"
fi
rm -rf "$root"
mkdir "$root"
tar -C "$root" -xf "$place/debian.tar"
cp "$package" "$root/root/kiln.deb"

cat >"$root/root/try" <<'TRY'
#!/bin/bash
exec >/root/told 2>&1
set -eux -o pipefail
trap 'poweroff' EXIT
api=http://127.0.0.1:8080

systemctl is-active docker-registry
dpkg -i /root/kiln.deb
systemctl is-active kiln
! systemctl is-active docker-registry
curl -fsS $api/readyz
journalctl -u kiln | grep 'kiln key create'
! journalctl -u kiln | grep -q bl_
echo 'egress = "none"' >>/etc/kiln/kiln.toml
systemctl restart kiln
kiln config | grep 'egress .*none .*/etc/kiln/kiln.toml'

key=$(kiln key create --workspace default)
mkdir /root/project
cd /root/project
echo hello >hello
printf 'FROM scratch\nCOPY hello /hello\nCMD ["/hello"]\n' >Dockerfile
zip -qr /root/project.zip .
url=$(curl -fsS -D- -o /dev/null -H "Authorization: Bearer $key" \
    -d '{"name":"demo","resourceType":"job"}' "$api/v0/images?upload=true" |
    tr -d '\r' | sed -n 's/^x-blaxel-upload-url: //Ip')
curl -fsS -T /root/project.zip -H 'Content-Type: application/zip' "$url"
status() {
    curl -fsS -H "Authorization: Bearer $key" $api/v0/images/job/demo | jq -r .metadata.status
}
for _ in $(seq 60); do
    [[ $(status) != BUILDING ]] || { sleep 1 && continue; }
    break
done
[[ $(status) = BUILT ]]

dpkg -i /root/kiln.deb # an upgrade
systemctl is-active kiln
grep egress.*none /etc/kiln/kiln.toml
[[ $(status) = BUILT ]]
systemctl disable --now kiln
dpkg -i /root/kiln.deb
! systemctl is-enabled kiln # what the administrator disabled stays so
systemctl enable --now kiln
dpkg -r kiln
! systemctl is-active kiln
[[ -e /var/lib/kiln/kiln.db ]]
dpkg -i /root/kiln.deb
systemctl is-active kiln
systemctl is-enabled kiln
[[ $(status) = BUILT ]]
dpkg -P kiln
[[ ! -e /var/lib/kiln && ! -e /etc/kiln/kiln.toml ]]
: all is well
TRY
chmod +x "$root/root/try"
cat >"$root/etc/systemd/system/try.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/root/try
[Install]
WantedBy=graphical.target
UNIT
chroot "$root" systemctl enable try.service

timeout 600 systemd-nspawn --register=no --keep-unit --private-network --capability=all -D "$root" \
    --boot </dev/null >"$place/boot.log" || true
cat "$root/root/told"
[[ $(tail -2 "$root/root/told") == *": all is well"* ]]
rm -rf "$root"
echo "passed"
