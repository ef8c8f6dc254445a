#!/bin/sh
# Installs, uses, upgrades, removes and purges the packages $1 and $2 in a file system that goes with this process: the machine's
# own below, what is changed above, in memory. What it prints is judged by the test. It has a mount and a pid namespace of its own.
set -eu
first=$1 second=$2 space=$3

mount --make-rprivate /
mount -t tmpfs tmpfs "$space"
mkdir "$space/upper" "$space/work" "$space/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$space/upper,workdir=$space/work" "$space/root"
root=$space/root
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
# Its own /dev, and ptys: links are made there.
mount -t tmpfs tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/run/lock"
mount -t devpts -o newinstance,ptmxmode=0666,gid=5,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
for node in null zero urandom tty; do
  touch "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
cp "$first" "$root/tmp/first.deb"
cp "$second" "$root/tmp/second.deb"
# A systemd that is said to run, and tells what it is asked. No port of vcomd@.service is active.
mkdir -p "$root/run/systemd/system" "$root/tmp/bin"
cat >"$root/tmp/bin/systemctl" <<'FAKE'
#!/bin/sh
echo "systemctl $*" >>/tmp/systemctl.log
case "$*" in
*list-units*) echo "vcomd@ttyONE.service loaded active running a port" ;;
esac
FAKE
chmod 755 "$root/tmp/bin/systemctl"
# Services may be started: deb-systemd-invoke asks.
printf '#!/bin/sh\nexit 0\n' >"$root/tmp/policy-rc.d"
chmod 755 "$root/tmp/policy-rc.d"
[ ! -e /usr/sbin/policy-rc.d ] || mount --bind "$root/tmp/policy-rc.d" "$root/usr/sbin/policy-rc.d"

chroot "$root" /bin/sh -eu <<'INSIDE'
export PATH=/tmp/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
unset VCOMD_TEST_REQUIRE
asked() { echo "$1 asks: $(sort -u /tmp/systemctl.log 2>/dev/null | tr '\n' ';')"; : >/tmp/systemctl.log; }
snapshot() { find /etc /usr /opt /srv /run /dev /var/lib /root -xdev \( -path /var/lib/dpkg -o -path /root/.cache -o -path /root/go -o -path /dev/pts -o -path /usr/local/go \) -prune -o -print | sort; }

mkdir -p /etc/udev/rules.d # as udev has it, which this machine may be without

snapshot >/tmp/before
dpkg --force-unsafe-io -i /tmp/first.deb >/tmp/out 2>&1 || { cat /tmp/out; exit 1; }
asked install
echo "status: $(dpkg-query -W -f '${db:Status-Status}' vcomd)"
echo "conffiles: $(dpkg-query -W -f '${Conffiles}' vcomd | awk '{print $1}')"
echo "verify: $(dpkg --verify vcomd)."
vcomd check -c /etc/vcomd/vcomd.toml >/dev/null && echo "the configuration is right"
[ "$(dpkg -S /usr/share/man/man1/vcomd.1.gz /usr/share/man/man5/vcomd.toml.5.gz | wc -l)" -eq 2 ] && echo "the manual is there"
[ ! -e /etc/systemd/system/multi-user.target.wants/vcomd.service ] && echo "it is not enabled"

# The port of a server, as the unit would serve it.
ip link set lo up 2>/dev/null || true
vcomd sim --listen 127.0.0.1:2217 echo >/tmp/sim.log 2>&1 &
sim=$!
cat >>/etc/vcomd/vcomd.toml <<'TOML'
[[port]]
link = "/dev/ttyPKG"
remote = "127.0.0.1:2217"
TOML
vcomd serve -c /etc/vcomd/vcomd.toml >/tmp/serve.log 2>&1 &
serve=$!
for _ in $(seq 300); do [ ! -L /dev/ttyPKG ] || break; sleep 0.1; done
exec 3<>/dev/ttyPKG
echo "through the port" >&3
read -r got <&3
echo "came back: $got"
exec 3<&-

# Rules and a link of one who has enabled it; an upgrade keeps both, and what was edited.
vcomd udev --install >/dev/null
/usr/bin/systemctl --quiet enable vcomd.service
: >/tmp/systemctl.log
dpkg --force-unsafe-io -i /tmp/second.deb </dev/null >/tmp/out 2>&1 || { cat /tmp/out; exit 1; }
asked upgrade
echo "upgraded: $(dpkg-query -W -f '${db:Status-Status} ${Version}' vcomd)"
grep -q ttyPKG /etc/vcomd/vcomd.toml && echo "upgrade keeps the edited configuration"
[ -L /etc/systemd/system/multi-user.target.wants/vcomd.service ] && echo "upgrade keeps it enabled"
kill -0 "$serve" && echo "upgrade does not end it"
kill "$serve" "$sim"
wait "$serve" && echo "vcomd serve ended well"
[ ! -L /dev/ttyPKG ] && echo "no link is left"

dpkg -r vcomd >/tmp/out 2>&1 || { cat /tmp/out; exit 1; }
asked remove
[ -e /etc/vcomd/vcomd.toml ] && [ ! -e /usr/bin/vcomd ] && echo "removal keeps the configuration alone"
dpkg -P vcomd >/tmp/out 2>&1 || { cat /tmp/out; exit 1; }
asked purge
snapshot >/tmp/after
echo "left: $(diff /tmp/before /tmp/after | grep '^[<>]' | tr '\n' ' ')."
INSIDE
