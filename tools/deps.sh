# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by ./demo and ./check: missing packages, and building. Sourced from the root of the tree.

# deps_packages WHAT…: the Debian packages of each of build, lab, test, vm.
deps_packages()
{
	for what in "$@"; do
		case $what in
		build)
			echo gcc libc6-dev clang bpftool meson ninja-build pkgconf python3 libbpf-dev \
				libmnl-dev libnetfilter-conntrack-dev libnftables-dev libjansson-dev libcap-dev \
				libpcap0.8-dev libzstd-dev libdw-dev uthash-dev
			;;
		lab) echo python3 iproute2 iptables nftables conntrack ethtool procps ;;
		test) echo libcmocka-dev shellcheck clang-format tshark tcpdump zstd ;;
		vm) cat test/vm/packages ;;
		esac
	done
}

# Which of the named packages are not installed. No apt in here: this is all that a second run does.
deps_missing()
{
	{ dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || :; } |
		awk -v wanted="$*" '
			$2 == "installed" { have[$1] = 1 }
			END {
				n = split(wanted, name, " ")
				for (i = 1; i <= n; i++)
					if (!(name[i] in have) && !seen[name[i]]++)
						printf "%s ", name[i]
			}'
}

can_be_root()
{
	[ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null
}

# need_root WHY: says that sudo will be asked, or ends if nobody can become root.
need_root()
{
	[ "$(id -u)" -ne 0 ] || return 0
	if ! can_be_root; then
		echo "$0: run it as root: $1, and there is no sudo here" >&2
		exit 1
	fi
	echo "(asking sudo: $1)"
}

as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

apt_quietly()
{
	log=$(mktemp)
	if as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" >"$log" 2>&1; then
		rm -f "$log"
		return 0
	fi
	tail -n 15 "$log" >&2
	rm -f "$log"
	return 1
}

# Without apt, the commands must be there already; a missing library is told by the build.
deps_elsewhere()
{
	for tool in cc clang meson ninja pkg-config python3; do
		command -v "$tool" >/dev/null && continue
		echo "$0: $tool is missing, and packages are installed on Debian only; what is needed," \
			"by the names of Debian: $(deps_packages "$@" | tr '\n' ' ')" >&2
		exit 1
	done
}

# deps_install WHAT…: installs what is missing, and says so.
deps_install()
{
	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
		deps_elsewhere "$@"
		return 0
	fi
	# shellcheck disable=SC2046 # one word per package
	missing=$(deps_missing $(deps_packages "$@"))
	[ -n "$missing" ] || return 0
	if ! can_be_root; then
		echo "$0: without root nothing can be installed; let somebody run: apt-get install $missing" >&2
		exit 1
	fi
	echo "installing packages to build and test tcpwhy: $missing"
	need_root 'apt-get installs them'
	# The package lists of a fresh machine are empty, those of an old one outdated.
	# shellcheck disable=SC2086
	if ! apt-cache show $missing >/dev/null 2>&1; then
		apt_quietly update || exit 1
		apt_quietly install --no-install-recommends $missing || exit 1
	elif ! apt_quietly install --no-install-recommends $missing 2>/dev/null; then
		apt_quietly update || exit 1
		apt_quietly install --no-install-recommends $missing || exit 1
	fi
}

# build_tree DIR [meson option…]: sets up and builds; silent when there is nothing to do.
build_tree()
{
	dir=$1
	shift
	if [ ! -f "$dir/build.ninja" ]; then
		echo "setting up $dir"
		run_quietly meson setup "$dir" "$@" || return 1
	elif [ $# -gt 0 ] && [ "$(cat "$dir/options.stamp" 2>/dev/null)" != "$*" ]; then
		run_quietly meson configure "$dir" "$@" || return 1
	fi
	[ $# -eq 0 ] || echo "$*" >"$dir/options.stamp"
	case $(ninja -C "$dir" -n 2>/dev/null | tail -n 1) in
	*'no work to do'*) return 0 ;;
	esac
	echo "building $dir"
	ninja -C "$dir" --quiet
}

# Shows a command's output only if it fails.
run_quietly()
{
	log=$(mktemp)
	status=0
	"$@" >"$log" 2>&1 || status=$?
	[ "$status" -eq 0 ] || cat "$log" >&2
	rm -f "$log"
	return "$status"
}
