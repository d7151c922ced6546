# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# A private apt: packages of another Debian release, fetched into a directory without touching this system's
# own sources, lists or package status. Signatures are checked as always.

# debian_mirror: the address of the Debian archive that this system itself uses.
debian_mirror() {
	local codename mirror
	codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	# shellcheck disable=SC2016 # apt's own placeholders
	mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(RELEASE)' 'Created-By: Packages' |
		awk -v name="$codename" '!found && ($2 == name || $3 == name) {print $1; found = 1}')
	[ -n "$mirror" ] || die "apt names no archive for $codename" "Run apt-get update, then try again."
	printf '%s\n' "$mirror"
}

# private_apt_setup DIR SUITE: make the state in DIR and fetch the suite's lists.
private_apt_setup() {
	mkdir -p "$1/lists/partial" "$1/archives/partial"
	: >"$1/status"
	printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
		"$(debian_mirror)" "$2" >"$1/sources.list"
	private_apt "$1" -qq update
}

# private_apt DIR ARGUMENT...: apt-get with the state in DIR.
private_apt() {
	local dir=$1
	shift
	apt-get -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o "Dir::State=$dir" -o "Dir::State::lists=$dir/lists" -o "Dir::State::status=$dir/status" \
		-o "Dir::Cache=$dir" -o "Dir::Cache::archives=$dir/archives" -o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o APT::Install-Recommends=false "$@"
}

# apt_candidate DIR PACKAGE: the newest version that the archive has, empty where it has none.
apt_candidate() {
	private_apt "$1" --print-uris download "$2" 2>/dev/null | sed -n "s/^'[^']*' ${2}_\([^ ]*\)_[a-z0-9]*\.deb .*/\1/p" || true
}

# private_apt_fetch DIR PACKAGE...: fetch the packages, with all that they depend on, into DIR/archives.
private_apt_fetch() {
	local dir=$1 count
	shift
	count=$(private_apt "$dir" --print-uris -qq install "$@" | wc -l)
	logged "$dir/fetch.log" "fetching packages" "$((count * 3 / 2))" 30 \
		private_apt "$dir" -q -y --download-only install "$@"
}

# unpack_packages ARCHIVES ROOT [TAR-OPTION]...: lay the packages in ARCHIVES out in the directory ROOT, without running their scripts and
# without what only people read.
unpack_packages() {
	local archives=$1 root=$2 link
	shift 2
	mkdir -p "$root/usr"/{bin,sbin,lib,lib64}
	for link in bin sbin lib lib64; do ln -s "usr/$link" "$root/$link"; done
	unpack_each "$archives" "$root" "$@" | progress "unpacking packages" "$(find "$archives" -name '*.deb' | wc -l)" 20
}

unpack_each() {
	local deb
	for deb in "$1"/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$2" --keep-directory-symlink --no-same-owner \
			--exclude=./usr/share/doc/* --exclude=./usr/share/man/* --exclude=./usr/share/locale/* "${@:3}"
		echo "$deb"
	done
}
