#!/bin/sh
# Makes the OpsPilot agent a service of this host:
#
#   curl -fsSL https://ops.example.com/install.sh | sudo sh -s -- --token TOKEN
#
# Flags are those of `opspilot agent install`, such as --allow restart_service:nginx. The token may be in OPSPILOT_TOKEN, or
# OPSPILOT_ENROL_TOKEN, instead: then no list of processes shows it.
set -eu

server='@SERVER@'

main() {
  root='' ca=${OPSPILOT_CA:-} is_only_shown='' has_token=${OPSPILOT_TOKEN:-}${OPSPILOT_ENROL_TOKEN:-}${OPSPILOT_TOKEN_FILE:-}${OPSPILOT_ENROL_TOKEN_FILE:-}
  count=$#
  while [ "$count" -gt 0 ]; do
    flag=$1 value=''
    shift
    count=$((count - 1))
    case $flag in
      --token=* | --enrol-token=* | --token-file=* | --root=* | --ca=*)
        value=${flag#*=}
        flag=${flag%%=*}
        ;;
      --token | --enrol-token | --token-file | --root | --ca)
        [ "$count" -gt 0 ] || fail "$flag needs a value"
        value=$1
        shift
        count=$((count - 1))
        ;;
    esac
    case $flag in
      # The other programs get it where only root can see it.
      --token) export OPSPILOT_TOKEN="$value" has_token=yes ;;
      --enrol-token) export OPSPILOT_ENROL_TOKEN="$value" has_token=yes ;;
      --token-file) set -- "$@" "$flag" "$value" && has_token=yes ;;
      --root) set -- "$@" "$flag" "$value" && root=$value ;;
      --ca) set -- "$@" "$flag" "$value" && ca=$value ;;
      --dry-run) set -- "$@" "$flag" && is_only_shown=yes ;;
      *) set -- "$@" "$flag" ;;
    esac
  done

  check_host
  choose_platform
  [ -n "$has_token" ] || [ -e "$root/etc/opspilot/agent.env" ] ||
    fail "a token is missing: give --token, or --enrol-token, with what \`opspilot token create\` on the server prints"
  folder=$(mktemp -d "${TMPDIR:-/tmp}/opspilot.XXXXXX")
  trap 'rm -rf "$folder"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  get_executable
  # What follows on standard input is this script.
  "$folder/opspilot" agent install --server "$server" "$@" </dev/null
}

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "opspilot: $*"
  exit 1
}

# What would be found only after the download.
check_host() {
  [ "$(uname -s)" = Linux ] || fail "the agent is for Linux, and this is $(uname -s)"
  has curl || has wget || fail "neither curl nor wget is on this host"
  has sha256sum || has shasum || has openssl || fail "none of sha256sum, shasum and openssl is on this host"
  [ -z "$root$is_only_shown" ] || return 0
  [ "$(id -u)" = 0 ] || fail "this changes the system: run it as root (… | sudo sh -s -- …)"
  [ -d /run/systemd/system ] || fail "this host was not started by systemd, so there is nothing to install a service into"
}

choose_platform() {
  case $(uname -m) in
    x86_64 | amd64)
      platform=linux-x64 loader=/lib64/ld-linux-x86-64.so.2
      grep -qw avx2 /proc/cpuinfo || platform=linux-x64-baseline
      ;;
    aarch64 | arm64) platform=linux-arm64 loader=/lib/ld-linux-aarch64.so.1 ;;
    *) fail "there is no executable for this machine ($(uname -m)), only for x86_64 and aarch64" ;;
  esac
  [ -e "$loader" ] || fail "this system has no glibc for $platform ($loader is not there), which the executable needs"
}

get_executable() {
  url=$server/download/opspilot-$platform
  fetch "$url.sha256" "$folder/sha256" ||
    fail "$url.sha256 cannot be had: has the server an executable for $platform? What it answers there says more"
  say "Downloading $url"
  fetch "$url" "$folder/opspilot" || fail "$url cannot be had, or $folder is full"
  read -r expected _ <"$folder/sha256" || fail "$url.sha256 is empty"
  [ "$(digest_of "$folder/opspilot")" = "$expected" ] || fail "what came from $url is damaged: its checksum is another"
  chmod 700 "$folder/opspilot"
  version=$("$folder/opspilot" version) ||
    fail "the executable does not run in $folder (if that is mounted noexec, set TMPDIR to another folder)"
  say "Installing OpsPilot $version"
}

fetch() {
  if has curl; then
    curl -fsS --retry 5 --connect-timeout 30 ${ca:+--cacert "$ca"} -o "$2" "$1"
  else
    wget -q ${ca:+"--ca-certificate=$ca"} -O "$2" "$1"
  fi
}

digest_of() {
  if has sha256sum; then
    sha256sum "$1" | cut -d ' ' -f 1
  elif has shasum; then
    shasum -a 256 "$1" | cut -d ' ' -f 1
  else
    openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1
  fi
}

has() { command -v "$1" >/dev/null 2>&1; }

# Only here anything is done: of a script that was cut off nothing is.
{ main "$@"; exit; }
