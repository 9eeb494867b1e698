#!/bin/bash
# verify.sh LEAF PROOF KEY [ROOT]: checks a proof that an entry is in a log. README.md beside it says how to use it.
#
# Needs bash, openssl (3.0 or newer), coreutils and xxd, and nothing of vaultd. Formats: tlog-proof.md,
# tlog-checkpoint.md, signed-note.md (beside it); the way from the leaf to the root: RFC 9162, section 2.1.3.2.
# Exit status: 0 proved, 1 not proved (standard error says why), 2 wrong usage or a program is missing.
#
# Whatever can be spelled in two ways is spelled again from what was read and compared, so that only one passes.
# shellcheck disable=SC2015,SC2154  # `A && B || fail` is meant; read_key sets variables by name
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C # bytes, not characters: the same in every locale

readonly usage='usage: verify.sh LEAF PROOF KEY [ROOT]
LEAF   file with the bytes of the entry
PROOF  file with the proof (.tlog-proof)
KEY    the key of the log: name+id+base64, or a file with it; or keys/<n> of the ledger, and then
ROOT   the root key from paper: name+id+base64, or a file with it (keys/root is one, but see README.md)'
readonly limit=1048576 longest=9223372036854775807 dash=$'\xe2\x80\x94' certificate_header='vaultd ledger key'

readonly refused=3 # inside; at_end makes it 1

fail() { # says what is wrong, and ends
  printf 'verify.sh: not proved: %s\n' "$1" >&2
  exit "$refused"
}
at_end() { # a program that fails unexpectedly must not end this without a word
  local status=$?
  rm -rf "$work"
  if ((status == 0 || status == refused)); then exit $((status != 0)); fi
  printf 'verify.sh: not proved: a program that it needs failed\n' >&2
  exit 1
}

# --- bytes and their spellings, bytes as hex --------------------------------------------------------------------------

unhex() { xxd -r -p <<<"$1"; }
sha256_hex() { # of standard input
  local sum
  sum=$(sha256sum)
  [[ ${sum:0:64} =~ ^[0-9a-f]{64}$ ]] || fail "sha256sum does not do its work"
  printf %s "${sum:0:64}"
}
hex_of() { # base64, what it is: prints its bytes as hex
  local hex='' again=''
  # base64 of other versions takes other spellings; the comparison takes one.
  if [[ $1 =~ ^[A-Za-z0-9+/]+=?=?$ ]]; then
    hex=$({ base64 -d <<<"$1" 2>/dev/null || true; } | xxd -p)
    again=$(unhex "$hex" | base64 -w 0)
  fi
  [ -n "$again" ] && [ "$again" = "$1" ] || fail "$2 is not base64 as it must be: $1"
  printf %s "${hex//$'\n'/}"
}
check_number() { # a decimal number below 2^63, as it must be spelled; what it is
  [[ $1 =~ ^(0|[1-9][0-9]*)$ ]] || fail "$2 is not a number: $1"
  if ((${#1} > ${#longest})) || { ((${#1} == ${#longest})) && [[ x$1 > x$longest ]]; }; then
    fail "$2 is larger than any log: $1"
  fi
}
check_text() { # UTF-8 without control characters, not empty; what it is
  local hex plain='([2-7].)' two='(c[2-9a-f]|d.)[89ab].' three four
  hex=$(printf %s "$1" | xxd -p)
  hex=${hex//$'\n'/}
  three='(e0[ab].|e[1-9abcef][89ab].|ed[89].)[89ab].'
  four='(f0[9ab].|f[123][89ab].|f48.)[89ab].[89ab].'
  [[ $hex =~ ^($plain|$two|$three|$four)+$ ]] || fail "$2 is not plain text in UTF-8"
}
check_name() { # of a key: text without Unicode's spaces, and without a plus; what it is
  local space
  check_text "$1" "$2"
  for space in ' ' + $'\xc2\x85' $'\xc2\xa0' $'\xe1\x9a\x80' $'\xe2\x80\x80' $'\xe2\x80\x81' $'\xe2\x80\x82' \
    $'\xe2\x80\x83' $'\xe2\x80\x84' $'\xe2\x80\x85' $'\xe2\x80\x86' $'\xe2\x80\x87' $'\xe2\x80\x88' $'\xe2\x80\x89' \
    $'\xe2\x80\x8a' $'\xe2\x80\xa8' $'\xe2\x80\xa9' $'\xe2\x80\xaf' $'\xe2\x81\x9f' $'\xe3\x80\x80'; do
    [[ $1 != *"$space"* ]] || fail "$2 has a space or a plus in it"
  done
}
read_lines() { # file, name of an array: its lines; refuses what is not the very same when joined again
  local -n lines_read=$2
  local length control there again
  length=$(wc -c <"$1")
  ((length <= limit)) || fail "$1 is too long: $length bytes"
  control=$(tr -d '\n\040-\377' <"$1" | wc -c)
  ((control == 0)) || fail "$1 has control characters"
  mapfile -t lines_read <"$1"
  [ ${#lines_read[@]} != 0 ] || fail "$1 is empty"
  there=$(sha256_hex <"$1")
  again=$(printf '%s\n' "${lines_read[@]}" | sha256_hex)
  [ "$there" = "$again" ] || fail "$1 does not end with a line feed"
}

# --- keys and signed notes --------------------------------------------------------------------------------------------

read_key() { # vkey, prefix of variables: sets <prefix>_name, <prefix>_id and <prefix>_public
  local name id rest hex
  [[ $1 =~ ^([^+ ]+)\+([0-9a-f]{8})\+(.+)$ ]] || fail "this is not a key (name+id+base64): $1"
  name=${BASH_REMATCH[1]} id=${BASH_REMATCH[2]} rest=${BASH_REMATCH[3]}
  check_name "$name" "the name of the key"
  hex=$(hex_of "$rest" "the key of $name")
  [[ $hex =~ ^01.{64}$ ]] || fail "the key of $name is not an Ed25519 key that signs notes"
  [ "$({ printf '%s\n' "$name" && unhex "$hex"; } | sha256sum | head -c 8)" = "$id" ] ||
    fail "the id in the key of $name is not that of the key"
  printf -v "$2_name" %s "$name"
  printf -v "$2_id" %s "$id"
  printf -v "$2_public" %s "${hex#01}"
}
key_in() { # a key, or the name of a file with one line: prints the line
  local found=()
  if [ ! -f "$1" ]; then
    printf %s "$1"
    return
  fi
  read_lines "$1" found
  [ ${#found[@]} = 1 ] || fail "$1 has more than one line: it is not a key"
  printf %s "${found[0]}"
}
check_signed() { # what, name, id, public key (hex), text, signature lines: signed by this key, and each line well spelled
  local what=$1 name=$2 id=$3 public=$4 text=$5 line signer value hex said by=no
  shift 5
  [ $# != 0 ] || fail "$what has no signature"
  for line in "$@"; do
    [[ $line =~ ^$dash\ ([^ +]+)\ ([^ ]+)$ ]] || fail "$what has a line that is not a signature: $line"
    signer=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    check_name "$signer" "the name of a signature"
    hex=$(hex_of "$value" "a signature of $what")
    ((${#hex} >= 10)) || fail "$what has an empty signature"
    [ "$signer" = "$name" ] && [ "${hex:0:8}" = "$id" ] || continue # a stranger's says nothing here
    unhex "${hex:8}" >"$work/signature"
    unhex "302a300506032b6570032100$public" >"$work/key"
    printf %s "$text" >"$work/text"
    said=$(openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key" -rawin -in "$work/text" \
      -sigfile "$work/signature" 2>&1) || fail "the signature of $name under $what is wrong (openssl: ${said%%$'\n'*})"
    by=yes
  done
  [ "$by" = yes ] || fail "$what is not signed by $name with the key $id"
}
read_certificate() { # lines of keys/<n>: sets key_*, and first, the first size that the key may sign
  local lines=("$@") epoch word
  [ -n "$root" ] || fail "a certificate alone proves nothing: give the root key as well"
  ((${#lines[@]} >= 7)) && [ -z "${lines[5]}" ] || fail "the certificate of the key has other lines than a certificate"
  word=$(key_in "$root")
  read_key "$word" root
  check_signed "the certificate of the key" "$root_name" "$root_id" "$root_public" \
    "$(printf '%s\n' "${lines[@]:0:5}")"$'\n' "${lines[@]:6}"
  check_number "${lines[2]}" "the epoch of the key"
  check_number "${lines[3]}" "the first size of the key"
  read_key "${lines[4]}" key
  [ "${lines[1]}" = "$key_name" ] && [ "$root_name" = "$key_name/root" ] ||
    fail "the certificate of the key is of another log"
  first=${lines[3]} epoch=${lines[2]}
  printf -v certified ', by its key number %s that the root key certifies' "$epoch"
}

# --- the proof --------------------------------------------------------------------------------------------------------

climb() { # leaf's hash, index, size, hashes (hex) of the proof: prints the root that they lead to
  local hash=$1 at=$2 last=$(($3 - 1)) step
  shift 3
  for step in "$@"; do
    ((last != 0)) || fail "the proof has more hashes than a tree of this size needs"
    if ((at & 1)) || ((at == last)); then
      hash=$(unhex "01$step$hash" | sha256_hex)
      while ((!(at & 1) && at != 0)); do # alone at the end of its row: nothing is hashed there
        ((at >>= 1, last >>= 1)) || true
      done
    else
      hash=$(unhex "01$hash$step" | sha256_hex)
    fi
    ((at >>= 1, last >>= 1)) || true
  done
  ((last == 0)) || fail "the proof has fewer hashes than a tree of this size needs"
  printf %s "$hash"
}

if [ $# != 3 ] && [ $# != 4 ]; then
  printf '%s\n' "$usage" >&2
  exit 2
fi
for program in openssl xxd sha256sum base64; do
  command -v "$program" >/dev/null || {
    printf 'verify.sh: the program %s is missing\n' "$program" >&2
    exit 2
  }
done
leaf=$1 proof=$2 key=$3 root=${4-} first=0 certified=''
work=$(mktemp -d)
trap at_end EXIT
for file in "$leaf" "$proof"; do
  [ -f "$file" ] && [ -r "$file" ] || fail "there is no file $file that can be read"
done

key_lines=()
if [ -f "$key" ]; then read_lines "$key" key_lines; fi
if [ "${key_lines[0]-}" = "$certificate_header" ]; then
  read_certificate "${key_lines[@]}"
else
  [ -z "$root" ] || fail "with a root key goes a certificate (keys/<n>), and $key is none"
  word=$(key_in "$key")
  read_key "$word" key
fi

lines=()
read_lines "$proof" lines
[ "${lines[0]}" = c2sp.org/tlog-proof@v1 ] || fail "$proof does not begin as a proof does"
next=1
if [[ ${lines[next]-} == 'extra '* ]]; then
  hex_of "${lines[next]#extra }" "the extra line" >/dev/null # nothing vouches for what it says
  next=2
fi
[[ ${lines[next]-} == 'index '* ]] || fail "$proof has no line with the index where it must be"
index=${lines[next]#index }
check_number "$index" "the index"
hashes=()
for ((next += 1; next < ${#lines[@]}; next += 1)); do
  [ -n "${lines[next]}" ] || break
  hash=$(hex_of "${lines[next]}" "a hash of the proof")
  hashes+=("$hash")
  [ ${#hash} = 64 ] || fail "a hash of the proof has not 32 bytes: ${lines[next]}"
done
checkpoint=("${lines[@]:next+1}")
((${#checkpoint[@]} >= 5)) && [ -z "${checkpoint[3]}" ] ||
  fail "after the hashes and an empty line there are not the three lines of a checkpoint, an empty one and signatures"
origin=${checkpoint[0]} size=${checkpoint[1]}
check_text "$origin" "the log's name"
check_number "$size" "the size in the checkpoint"
root_hash=$(hex_of "${checkpoint[2]}" "the root hash in the checkpoint")
[ ${#root_hash} = 64 ] || fail "the root hash in the checkpoint has not 32 bytes"

[ "$origin" = "$key_name" ] || fail "the checkpoint is of the log $origin, the key of $key_name"
((index < size)) || fail "a log of $size entries has no entry $index"
((first <= size)) || fail "the key may sign sizes from $first on, and the checkpoint's is $size"
check_signed "the checkpoint" "$key_name" "$key_id" "$key_public" \
  "$origin"$'\n'"$size"$'\n'"${checkpoint[2]}"$'\n' "${checkpoint[@]:4}"
leaf_hash=$({ printf '\0' && cat <"$leaf"; } | sha256_hex)
reached=$(climb "$leaf_hash" "$index" "$size" "${hashes[@]}")
[ "$reached" = "$root_hash" ] || fail "the entry and the hashes do not lead to the root of the checkpoint"

printf 'proved: entry %s is in the log %s of %s entries%s\n' "$index" "$origin" "$size" "$certified"
