#!/bin/sh
# Shows NMEA sentences arriving through a virtual serial port whose UART is at an
# RFC 2217 access server. The server and its GPS are simulated inside vcomd, so
# no hardware and no network are needed; sh and coreutils are enough.
#
# usage: scripts/demo.sh VCOMD
#
# Exit status: 0 when sentences came and vcomd ended cleanly, 1 when not, 2 for
# wrong usage. Everything is made in a temporary directory, and removed.
set -u

vcomd=${1:?usage: scripts/demo.sh VCOMD}
if [ ! -x "$vcomd" ]; then
	echo "demo: $vcomd is not a program: run make build first" >&2
	exit 2
fi

sentences=10 # two seconds of the GPS: it sends five each second
patience=8   # seconds to wait for them

dir=$(mktemp -d) || exit 1
link=$dir/ttyGPS
pid=

clean() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
	rm -rf "$dir"
}
trap clean EXIT
trap 'exit 1' INT TERM HUP

fail() {
	echo "demo: $1" >&2
	if [ -s "$dir/log" ]; then
		echo "demo: the log of vcomd:" >&2
		cat "$dir/log" >&2
	fi
	exit 1
}

echo "\$ vcomd --link $link sim:gps"
"$vcomd" --link "$link" --run-dir "$dir/run" sim:gps >"$dir/log" 2>&1 &
pid=$!

tries=0
until [ -L "$link" ]; do
	kill -0 "$pid" 2>/dev/null || fail "vcomd ended before its port was there"
	tries=$((tries + 1))
	[ "$tries" -le 50 ] || fail "the port $link is not there after 5 seconds"
	sleep 0.1
done
echo "The port $link is there (it is $(readlink "$link")). Any program can open it:"

echo "\$ head -n $sentences $link"
timeout "$patience" head -n "$sentences" "$link" >"$dir/nmea"
came=0
while IFS= read -r sentence; do
	case $sentence in
	'$GP'*) came=$((came + 1)) ;;
	esac
	printf '%s\n' "$sentence"
done <"$dir/nmea"
[ "$came" -gt 0 ] || fail "no NMEA sentence came from $link in $patience seconds"

echo "\$ kill -TERM $pid"
kill -TERM "$pid" || fail "vcomd is gone, and nobody ended it"
wait "$pid"
code=$?
pid=
[ "$code" -eq 0 ] || fail "vcomd ended with status $code"
[ ! -L "$link" ] || fail "vcomd has ended, but its link $link is still there"
echo "vcomd has ended cleanly, and the port is gone. $came sentences came through."
