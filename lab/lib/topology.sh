# SPDX-License-Identifier: GPL-2.0-or-later
# Namespaces and wires, for the `setup` of a scenario. Addresses come from lib/lab/addresses.py as variables: a
# namespace "client" has $client4 and $client6, and $client is the one of the IP version under test ($LAB_FAMILY).
set -eu

# in_ns NAME COMMAND…: run a command in a network namespace.
in_ns() {
	_ns=$1
	shift
	nsenter --net="/run/netns/$_ns" "$@"
}

# setting NAME KEY=VALUE…: set sysctls of a namespace.
setting() {
	_ns=$1
	shift
	in_ns "$_ns" sysctl -qw "$@"
}

# namespaces NAME…: create namespaces whose behaviour does not depend on the machine's own settings.
namespaces() {
	for _ns; do
		ip netns add "$_ns"
		setting "$_ns" net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
			net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.default.router_solicitations=0
		# Cases that run at the same time have the same addresses: at least their ports differ.
		[ -z "${LAB_PORTS-}" ] || setting "$_ns" net.ipv4.ip_local_port_range="$LAB_PORTS"
		# Kernels before 6.5 have no linear timeouts.
		[ ! -e /proc/sys/net/ipv4/tcp_syn_linear_timeouts ] ||
			setting "$_ns" net.ipv4.tcp_syn_linear_timeouts=0
		ip -n "$_ns" link set lo up
	done
}

# wire NAME INTERFACE NAME INTERFACE: join two namespaces with a veth pair.
wire() {
	ip link add "$2" netns "$1" type veth peer name "$4" netns "$3"
}

# interface NAME INTERFACE ROLE PREFIX4 PREFIX6: give an interface a role's addresses and bring it up.
interface() {
	eval "_v4=\$${3}4 _v6=\$${3}6"
	ip -n "$1" -batch - <<-END
		addr add $_v4/$4 dev $2
		addr add $_v6/$5 dev $2 nodad
		link set $2 up
	END
}

# gateway NAME ROLE: the default routes of a namespace.
gateway() {
	eval "_v4=\$${2}4 _v6=\$${2}6"
	ip -n "$1" route add default via "$_v4"
	ip -n "$1" -6 route add default via "$_v6"
}

# carrier NAME INTERFACE: wait until the interface can send; before that the kernel drops what it is given.
carrier() {
	_tries=0
	until ip -n "$1" link show dev "$2" | grep -q 'state \(UP\|UNKNOWN\)'; do
		_tries=$((_tries + 1))
		[ $_tries -lt 500 ] || { echo "$2 in $1 stays down" >&2; exit 1; }
		sleep 0.01
	done
}

forwarding() {
	setting "$1" net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}

# pair A B: two machines on one wire.
pair() {
	namespaces "$1" "$2"
	wire "$1" eth0 "$2" eth0
	interface "$1" eth0 "$1" 16 48
	interface "$2" eth0 "$2" 16 48
	carrier "$1" eth0
	carrier "$2" eth0
}

# routed: client -- router -- server.
routed() {
	namespaces client router server
	wire client eth0 router eth0
	wire router eth1 server eth0
	forwarding router
	interface router eth0 router 24 64
	interface router eth1 uplink 24 64
	interface client eth0 client 24 64
	interface server eth0 server 24 64
	gateway client router
	gateway server uplink
	for _end in "client eth0" "router eth0" "router eth1" "server eth0"; do
		carrier $_end
	done
}

# bridged: client -- host's br0 -- server; the ports are port0 and port1.
bridged() {
	namespaces client host server
	wire client eth0 host port0
	wire server eth0 host port1
	ip -n host link add br0 type bridge
	for _port in port0 port1; do
		ip -n host link set $_port master br0 up
	done
	ip -n host link set br0 up
	interface client eth0 client 16 48
	interface server eth0 server 16 48
	for _end in "client eth0" "server eth0" "host br0"; do
		carrier $_end
	done
	for _port in port0 port1; do
		bridge -n host link set dev $_port state 3 # forwarding
	done
}

# docker_bridge OUTSIDE: a container on a bridge of `host`, behind masquerading; OUTSIDE is on the wire of the host.
docker_bridge() {
	pair "$1" host
	namespaces container
	forwarding host
	ip -n host link add docker0 type bridge
	wire container eth0 host veth0
	ip -n host link set veth0 master docker0 up
	interface host docker0 bridge 16 64
	interface container eth0 container 16 64
	gateway container bridge
	carrier container eth0
	carrier host docker0
	case $LAB_FAMILY in 4) _inside=172.17.0.0/16 ;; *) _inside=2001:db8:17::/64 ;; esac
	in_ns host "$iptables" -w -t nat -A POSTROUTING -s $_inside ! -o docker0 -j MASQUERADE
}

# void NAME INTERFACE: an interface into nothing, for packets that leave the host and are never answered.
void() {
	[ -c /dev/net/tun ] || { echo "no /dev/net/tun"; exit 77; }
	"$LAB_LIB/void" "$1" "$2" >/dev/null 2>&1 &
	_tries=0
	until ip -n "$1" link set "$2" up 2>/dev/null; do
		_tries=$((_tries + 1))
		[ $_tries -lt 500 ] || { echo "no $2 in $1" >&2; exit 1; }
		sleep 0.01
	done
}

# nft_rule NAME HOOK RULE: an nftables chain of the inet family, with one rule.
nft_rule() {
	in_ns "$1" nft "table inet filter { chain $2 { type filter hook $2 priority filter; $3; }; }"
}

# queue_rule NAME MATCH…: let what arrives and matches wait for a program at queue 7 of netfilter.
queue_rule() {
	_ns=$1
	shift
	in_ns "$_ns" "$iptables" -w -A INPUT "$@" -j NFQUEUE --queue-num 7 2>/dev/null ||
		{ echo 'this kernel has no NFQUEUE'; exit 77; }
}

# in_virtual_machine: whether this machine is one of test/vm/run, whose modules and settings are nobody else's.
in_virtual_machine() {
	grep -q ' vm_run=' /proc/cmdline
}

# module NAME SYMBOL: what a module of the kernel does must be there. On a user's machine none is loaded: some change
# what happens to the packets of the whole machine.
module() {
	! in_virtual_machine || modprobe -q "$1" || :
	grep -q " $2\b" /proc/kallsyms || { echo "this kernel has not loaded $1"; exit 77; }
}
