#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The migration_version files: who has them, what they say, what they accept, and how they refuse.
set -u
shopt -s extglob
# shellcheck source=ktap.sh
. "$(dirname "$0")/ktap.sh"

# Names of devices, by type.
declare -A device
for type in $ALL_TYPES; do
	create "$type"
	device[$type]=$BUS/$uuid
done

for type in $MIGRATABLE; do
	check "$type has the file" [ -f "$TYPES/$type/migration_version" ]
	check "a device of $type has the file" [ -f "${device[$type]}/migration_version" ]
done
check "$LOCAL has no such file" [ ! -e "$TYPES/$LOCAL/migration_version" ]
check "a device of $LOCAL has no such file" [ ! -e "${device[$LOCAL]}/migration_version" ]

# changed PATTERN REPLACEMENT: sets `text` to the file's own string after a change, which must be one.
changed() {
	# shellcheck disable=SC2295 # a pattern
	text=${own/$1/$2}
	[ "$text" != "$own" ] || note "'$1' changes nothing in $own"
}

# refuses ERRNO WHAT STRING: one write, and what it must answer.
refuses() { put_is "$where: $1 for $2" "$1" "$file" "$3"; }

# refuses_change ERRNO WHAT PATTERN REPLACEMENT: the same for the file's own string with a change.
refuses_change() {
	changed "$3" "$4"
	refuses "$1" "$2" "$text"
}

# repeated COUNT: sets `text` to so many letters.
repeated() {
	printf -v text '%*s' "$1" ''
	text=${text// /a}
}

# padded LENGTH STRING: sets `text` to the string, made so long by extensions that bear on nothing.
padded() {
	local name=10 room field value
	text=$2
	while ((${#text} < $1)); do
		field=,ext.$name=may:
		room=$(($1 - ${#text} - ${#field}))
		# A value has 1 to 63 characters. What is left after this one must have room for a field of its own.
		if ((room > 63)); then room=$((room < 80 ? 40 : 63)); fi
		printf -v value '%*s' "$room" ''
		text+=$field${value// /x}
		name=$((name + 1))
	done
	[ ${#text} = "$1" ] || note "there is no string of $1 bytes: this one has ${#text}"
}

put_by_echo() { echo "$own" >"$file"; }

# put_twice: two writes to one open file; says what became of each.
put_twice() {
	local _ became=()
	exec 3>"$file"
	for _ in 1 2; do
		if printf '%s' "$own" 2>/dev/null >&3; then became+=(accepted); else became+=(refused); fi
	done
	exec 3>&-
	echo "${became[@]}"
}

# What a reader gets, at any offset and in any pieces.
try_reading() {
	local at length=$((${#own} + 1))
	equal "$where: mode, owner and group" "$(stat -c '%a %u %g' "$file")" "644 0 0"
	get_is "$where: one line" "ok $own"$'\n' "$file"
	equal "$where: characters that need no quoting" "${own//[A-Za-z0-9._:,+=\/-]/}" ""
	equal "$where: names itself and its device" "${own%%,abi=*}" "migver:1,vendor=migdev,model=serial"
	get_is "$where: an ordinary user reads it" "ok $own"$'\n' "$file" 0 65534
	for at in 1 5 $((length / 2)) $((length - 1)); do
		get_is "$where: read from offset $at" "ok ${own:at}"$'\n' "$file" "$at"
	done
	for at in "$length" $((length + 1)) 4095 4096 100000; do
		get_is "$where: nothing at offset $at" "ok " "$file" "$at"
	done
	for at in 1 7; do
		equal "$where: read in pieces of $at" "$(dd if="$file" bs="$at" status=none && echo x)" "$own"$'\n'x
	done
}

# What a writer may write, and where.
try_accepting() {
	local at
	put_is "$where: its own string" "ok ${#own}" "$file" "$own"
	put_is "$where: its own string with a newline" "ok $((${#own} + 1))" "$file" "$own"$'\n'
	check "$where: its own string by the shell" put_by_echo
	check "$where: its own string by dd" dd if="$file" of="$file" status=none
	put_is "$where: an ordinary user cannot write it" EACCES "$file" "$own" 0 65534
	for at in 1 7 4095; do
		put_is "$where: a write at offset $at is refused" ESPIPE "$file" "$own" "$at"
	done
	# The second write goes on where the first ended.
	equal "$where: two writes to an open file" "$(put_twice)" "accepted refused"
}

try_malformed() {
	refuses EINVAL "a newline alone" $'\n'
	refuses EINVAL "a word" hello
	refuses EINVAL "two newlines" "$own"$'\n\n'
	refuses EINVAL "a newline in front" $'\n'"$own"
	refuses EINVAL "a carriage return" "$own"$'\r\n'
	refuses EINVAL "a space at the end" "$own "
	refuses EINVAL "a space in front" " $own"
	refuses EINVAL "a comma at the end" "$own,"
	refuses EINVAL "capitals" "${own^^}"
	refuses EINVAL "what is no ASCII" "${own/serial/sérial}"
	refuses EINVAL "the string twice" "$own$own"
	refuses_change EINVAL "a leading zero" "abi=" "abi=0"
	refuses_change EINVAL "a number out of range" "abi=+([0-9])" "abi=99999999999"
	refuses_change EINVAL "a range upside down" "stream=+([!,])" "stream=1:2-1"
	refuses_change EINVAL "a field that is missing" ",model=+([!,])" ""
	refuses_change EINVAL "a field that is there twice" ",model=serial" ",model=serial,model=serial"
	refuses_change EINVAL "an unknown field" ",abi=" ",colour=red,abi="
	refuses_change EINVAL "fields in another order" "vendor=migdev,model=serial" "model=serial,vendor=migdev"
	equal "$where: EINVAL for a NUL at the end" \
		"$({ printf '%s\0' "$own" >"$file"; } 2>&1 | sed 's/.*: //')" "Invalid argument"
	repeated 1022
	refuses EINVAL "1022 bytes of nonsense" "$text"
	refuses EINVAL "1022 bytes of nonsense and a newline" "$text"$'\n'
	for length in 1023 1024 4096 5000; do
		repeated "$length"
		refuses E2BIG "$length bytes of nonsense" "$text"
	done
	repeated 1023
	refuses E2BIG "1023 bytes of nonsense and a newline" "$text"$'\n'
}

# A string of the greatest length is judged by what it says; one byte more is not looked at.
try_longest() {
	padded 1022 "$own"
	put_is "$where: 1022 bytes that fit" "ok 1022" "$file" "$text"
	put_is "$where: 1022 bytes that fit and a newline" "ok 1023" "$file" "$text"$'\n'
	refuses EINVAL "1021 bytes that fit and two newlines" "${text%?}"$'\n\n'
	refuses E2BIG "1022 bytes that fit and two newlines" "$text"$'\n\n'
	padded 1023 "$own"
	refuses E2BIG "1023 bytes that would fit" "$text"
	refuses E2BIG "1023 bytes that would fit and a newline" "$text"$'\n'
	changed "vendor=+([!,])" "vendor=acme"
	padded 1022 "$text"
	refuses EXDEV "1022 bytes of another vendor" "$text"
	refuses EXDEV "1022 bytes of another vendor and a newline" "$text"$'\n'
}

# try_incompatible OTHER-TYPE
try_incompatible() {
	refuses_change EXDEV "another vendor" "vendor=+([!,])" "vendor=acme"
	refuses_change EXDEV "another model" "model=+([!,])" "model=parallel"
	refuses_change EXDEV "another vendor and ABI" "vendor=*,abi=+([!,])" "vendor=acme,model=serial,abi=9.0"
	refuses_change EPROTO "a newer ABI major" "abi=+([!,])" "abi=2.0"
	refuses_change EPROTO "a newer ABI minor" "abi=+([!,])" "abi=1.2"
	refuses_change EPROTO "an older ABI major" "abi=+([!,])" "abi=0.9"
	refuses_change EPROTO "a newer stream" "stream=+([!,])" "stream=3:3-3"
	refuses_change EPROTO "a newer schema" "migver:1" "migver:2"
	refuses_change EOPNOTSUPP "a feature it lacks" ",param." ",needs=teleport,takes=teleport,param."
	refuses ERANGE "a card with other ports" "$(<"$TYPES/$1/migration_version")"
	refuses_change ERANGE "a card with 300 ports" "ports=eq:+([0-9])" "ports=eq:300"
}

# try_file WHERE FILE OTHER-TYPE: everything that both places promise.
try_file() {
	local where=$1 file=$2 own text length
	own=$(<"$file")
	try_reading
	try_accepting
	try_malformed
	try_longest
	try_incompatible "$3"
	get_is "$where: still the same after all that" "ok $own"$'\n' "$file"
}

for type in $MIGRATABLE; do
	other=${MIGRATABLE/$type/}
	other=${other// /}
	equal "$type and its device say the same" \
		"$(cat "${device[$type]}/migration_version")" "$(cat "$TYPES/$type/migration_version")"
	equal "the device of $type leads to its type's file" \
		"$(readlink -f "${device[$type]}/mdev_type/migration_version")" "$(readlink -f "$TYPES/$type/migration_version")"
	try_file "$type" "$TYPES/$type/migration_version" "$other"
	try_file "device of $type" "${device[$type]}/migration_version" "$other"
done

# mutations STRING: the string with each of its bytes left out, doubled, and replaced, and with fields left out,
# doubled and exchanged: one a line.
mutations() {
	awk -v s="$1" 'BEGIN {
		n = length(s); split("0 2 9 z , = : -", other, " ")
		print s
		for (i = 1; i <= n; i++) {
			a = substr(s, 1, i - 1); c = substr(s, i, 1); b = substr(s, i + 1)
			print a b; print a c c b; print a
			for (o in other) print a other[o] b
		}
		fields = split(s, f, ",")
		for (i = 1; i <= fields; i++)
			for (j = 1; j <= fields; j++) {
				t = ""
				for (k = 1; k <= fields; k++) t = t (k > 1 ? "," : "") (k == i ? f[j] : k == j ? f[i] : f[k])
				print t
			}
		split("needs=x,takes=x takes=x,y param.a=le:1 param.z=ge:5 ext.note=may:1 ext.note=must:1", more, " ")
		for (m in more) { print s "," more[m]; t = s; sub(/,param\./, "," more[m] ",param.", t); print t }
	}'
}

# predicts TYPE: tries every mutation of every type's string on the type and on its device.
predicts() {
	local strings=() string source got=() i accepted=0 wrong='' odd=''
	local -A classes=()
	for source in $MIGRATABLE; do
		mutations "$(<"$TYPES/$source/migration_version")"
	done >"$work/strings"
	mapfile -t strings <"$work/strings"
	# All at once: one request after the other would take a minute.
	for string in "${strings[@]}"; do
		printf '%s\0' write "$TYPES/$1/migration_version" 0 0 "$string" \
			write "${device[$1]}/migration_version" 0 0 "$string"
	done | "$VFIO_CLIENT" attrs >"$work/answers"
	mapfile -d '' -t got <"$work/answers"
	equal "$1 and its device answer ${#strings[@]} strings" "${#got[@]}" $((2 * ${#strings[@]}))
	for ((i = 0; i < ${#got[@]}; i += 2)); do
		case ${got[i]} in
		ok*)
			accepted=$((accepted + 1))
			[[ ${got[i + 1]} == ok* ]] || wrong+="${strings[i / 2]}: ${got[i + 1]}"$'\n'
			;;
		EINVAL | E2BIG | EXDEV | EPROTO | EOPNOTSUPP | ERANGE) ;;
		*) odd+="${strings[i / 2]}: ${got[i]}"$'\n' ;;
		esac
		classes[${got[i]%% *}]=1
	done
	equal "what $1 accepts, a device of it accepts" "$wrong" ""
	equal "$1 answers with the documented errors alone" "$odd" ""
	check "$1 accepts some of them ($accepted) and refuses most" within "$accepted" 2 $((${#strings[@]} / 4))
	check "$1 gives most kinds of answer (${!classes[*]})" within "${#classes[@]}" 6 7
}

for type in $MIGRATABLE; do predicts "$type"; done

# refusal PLACE: the line of the log, since the mark, that tells of a refusal by this place.
refusal() { log_since | grep "migdev.*$1.*migration_version"; }

# The log is limited in its rate, and was used up a moment ago: try until it speaks again.
for place in serial1 "${device[migdev-serial1]##*/}"; do
	file=$TYPES/migdev-serial1/migration_version
	[ "$place" = serial1 ] || file=$BUS/$place/migration_version
	own=$(<"$file")
	changed "vendor=+([!,])" vendor=acme
	log_mark
	for _ in {1..16}; do
		put "$file" "$text"
		if refusal "$place" >/dev/null; then break; fi
		sleep 0.5
	done
	line=$(refusal "$place")
	note "the log: ${line:-nothing}"
	check "the log names the place of a refusal by ${place%%-*}, and what differs" \
		contains "$line" "EXDEV*vendor*acme"
done

log_mark
put "$file" "$own"
equal "the log says nothing of a string that is accepted" "$(log_since)" ""
log_mark
start=$SECONDS
for ((count = 0; count < 1000; count++)); do printf '%s\0' write "$file" 0 0 hello; done |
	"$VFIO_CLIENT" attrs >"$work/answers"
equal "1000 bad strings get 1000 errors" "$(tr '\0' '\n' <"$work/answers" | sort | uniq -c | tr -s ' ')" " 1000 EINVAL"
lines=$(log_since | wc -l)
# Ten in each five seconds, and how many were left out.
most=$((11 * ((SECONDS - start) / 5 + 2)))
check "and few lines in the log ($lines of at most $most)" within "$lines" 0 "$most"
finish
