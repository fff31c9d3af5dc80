#!/usr/bin/env bash
# What the machine itself must have: finds it, installs it where that is possible, or says exactly what is missing.
#   require.sh python    prints the path of a Python of version 3.11 or newer that can make virtual environments
#   require.sh node      checks for Node.js 20.19 or newer with npm
#   require.sh postgres  checks for PostgreSQL's server programs, which the tests of profiles start
#   require.sh redis     checks for Redis' server
#   require.sh kafka     prints the folder of Kafka's jars for the cluster tests, from Maven Central; exit code 3 where that
#                        can't be reached
#   require.sh flink     prints a folder with Flink: venv/, the virtual environment of apache-flink, and streamgauge-flink.jar,
#                        our functions with the connectors; exit code 3 where one of their registries can't be reached
#   require.sh browser   prints the path of Chromium (or Chrome) for the browser tests
set -euo pipefail

missing() {
  printf '\nstreamgauge: %s\n' "$1" >&2
  shift
  printf '  %s\n' "$@" >&2
  exit 1
}

install_with_apt() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  echo "streamgauge: installing $* with apt-get" >&2
  { apt-get install -y -qq "$@" || { apt-get update -qq && apt-get install -y -qq "$@"; }; } >/dev/null 2>&1
}

python() {
  local name found
  for name in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
    found=$(command -v "$name" 2>/dev/null) || continue
    "$found" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$found"; return; }
  done
  missing 'Python 3.11 or newer, with the venv module, is missing.' \
    'Debian, Ubuntu:  apt-get install python3 python3-venv' \
    'macOS:           brew install python@3.13' \
    'or set PYTHON to the one to use:  make up PYTHON=/path/to/python3.12'
}

node() {
  local version major minor
  version=$(command node --version 2>/dev/null || true)
  command -v npm >/dev/null || version=''
  IFS=. read -r major minor _ <<<"${version#v}"
  if [ -n "$version" ] && { [ "$major" -gt 20 ] || { [ "$major" -eq 20 ] && [ "$minor" -ge 19 ]; }; }; then return; fi
  missing "Node.js 20.19 or newer, with npm, is missing (found: ${version:-none}); it builds the dashboard." \
    'Debian, Ubuntu:  see nodejs.org for packages of a current version' \
    'macOS:           brew install node'
}

postgres() {
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null && return
  install_with_apt postgresql && compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && return
  missing 'PostgreSQL is missing; the tests of user profiles start a server of their own.' \
    'Debian, Ubuntu:  apt-get install postgresql' \
    'macOS:           brew install postgresql'
}

redis() {
  command -v redis-server >/dev/null && return
  install_with_apt redis-server && command -v redis-server >/dev/null && return
  missing 'Redis is missing; the cluster keeps its cache there.' \
    'Debian, Ubuntu:  apt-get install redis-server' \
    'macOS:           brew install redis'
}

kafka() {
  local cache pom="$(dirname "$0")/kafka/pom.xml" tool
  for tool in java:default-jre-headless mvn:maven; do
    command -v "${tool%%:*}" >/dev/null || install_with_apt "${tool##*:}" || missing \
      "${tool%%:*} is missing; the cluster tests run Kafka's broker with it." "Debian, Ubuntu:  apt-get install ${tool##*:}"
  done
  cache="${XDG_CACHE_HOME:-$HOME/.cache}/streamgauge/kafka-$(sha256sum "$pom" | cut -c1-12)"
  if [ ! -e "$cache/complete" ]; then
    echo 'streamgauge: fetching Kafka (43 MB)' >&2
    mvn -q -B -f "$pom" dependency:copy-dependencies -DoutputDirectory="$cache" -DincludeScope=runtime >&2 || exit 3
    touch "$cache/complete"
  fi
  echo "$cache"
}

flink() {
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/streamgauge here python shared source version=2.3.0
  here="$(dirname "$0")"
  source="$here/../java/flink"
  for tool in javac:default-jdk-headless mvn:maven; do
    command -v "${tool%%:*}" >/dev/null || install_with_apt "${tool##*:}" || missing \
      "${tool%%:*} is missing; Flink and what it runs of ours need it." "Debian, Ubuntu:  apt-get install ${tool##*:}"
  done
  shared="$cache/flink-$version"
  if [ ! -e "$shared/complete" ]; then
    python="$(python_for_flink)"
    echo 'streamgauge: fetching Flink (850 MB)' >&2
    { "$python" -m venv "$shared/venv" && "$shared/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
      "apache-flink==$version"; } >&2 || exit 3
    touch "$shared/complete"
  fi
  cache="$shared-$(cd "$source" && find pom.xml src -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-12)"
  if [ ! -e "$cache/streamgauge-flink.jar" ]; then
    echo 'streamgauge: building the jar for Flink' >&2
    mvn -q -B -f "$source/pom.xml" -Dstreamgauge.target="$cache/build" -DskipTests package >&2 || unbuilt
    ln -sfn "../flink-$version/venv" "$cache/venv"
    mv "$cache/build/streamgauge-flink.jar" "$cache"
  fi
  echo "$cache"
}

python_for_flink() {
  local python
  for python in "${FLINK_PYTHON:-}" python3.12 python3.11 python3; do
    "$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null &&
      { echo "$python"; return; }
  done
  missing 'Python 3.11 or 3.12 is missing; PyFlink runs on no newer one.' 'or set FLINK_PYTHON to the path of one'
}

# Maven says the same code for all that goes wrong: where what it needs can be fetched, it is the build itself.
unbuilt() {
  mvn -q -B -f "$source/pom.xml" -Dstreamgauge.target="$cache/build" -DincludeScope=runtime \
    dependency:copy-dependencies -DoutputDirectory="$cache/build/dependencies" >/dev/null 2>&1 || exit 3
  missing 'the jar for Flink could not be built; Maven says why above.'
}

browser() {
  local name
  for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    command -v "$name" 2>/dev/null && return
  done
  install_with_apt chromium && command -v chromium && return
  missing 'Chromium is missing; the browser tests drive it.' \
    'Debian:  apt-get install chromium' \
    'or set CHROMIUM to the path of Chromium or Chrome:  make test CHROMIUM=/path/to/chrome'
}

"$1"
