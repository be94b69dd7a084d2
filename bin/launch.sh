# Sourced by the launchers beside this file, which set self (their own resolved path) and entry.
# Finds a Node that is new enough and becomes it: same pid, same signals, same exit code.

program=${self##*/}
home=${self%/*/*}
oldest=24

stop() {
  printf '%s: %s\nhint: %s\n' "$program" "$1" "$2" >&2
  exit 2
}

# Sets version to what this executable says of itself, or to a word that is no version.
ask() {
  version=$("$1" --version 2>/dev/null | head -n 1) || version=
  version=${version:-nothing that runs}
}

is_new_enough() {
  major=${1#v}
  major=${major%%.*}
  case $major in
    '' | *[!0-9]*) return 1 ;;
  esac
  [ "$major" -ge "$oldest" ]
}

# The repository's own Node has a known version; any other is asked, which costs about 10 ms.
if [ -n "${FIM_NODEJS:-}" ]; then
  node=$FIM_NODEJS
  ask "$node"
  is_new_enough "$version" || stop \
    "Node $oldest or newer is needed, found $version at $node (FIM_NODEJS)" \
    "let FIM_NODEJS name the executable of Node $oldest, or unset it"
elif [ -x "$home/node_modules/node/bin/node" ]; then
  node=$home/node_modules/node/bin/node
elif node=$(command -v node); then
  ask "$node"
  is_new_enough "$version" || stop \
    "Node $oldest or newer is needed, found $version at $node" \
    "install Node $oldest, or name one with FIM_NODEJS=/path/to/node"
else
  stop "Node $oldest or newer is needed, found none on PATH" \
    "install Node $oldest, or name one with FIM_NODEJS=/path/to/node"
fi

# What was built is run, unless a source beside it is newer: then the sources, by type stripping.
built=$home/dist/$entry.js
source=$home/src/$entry.ts
if [ -f "$built" ] && { [ ! -f "$source" ] ||
  [ -z "$(find "$home/src" -name '*.ts' -newer "$built" -print | head -n 1)" ]; }; then
  main=$built
elif [ -f "$source" ]; then
  main=$source
else
  stop "neither $built nor $source is there" \
    "install the package again, or build it in its repository with: npm run build"
fi

export MALLOC_ARENA_MAX=1
# They would load other code into the program.
unset NODE_OPTIONS NODE_PATH NODE_REPL_EXTERNAL_MODULE
# A collector must be quick rather than small.
[ "$program" = fim-collector ] && exec "$node" --disable-warning=ExperimentalWarning "$main" "$@"
# Measured with bench/footprint.ts: without these a watch over 100,000 files is 60 MB larger. The heap begins small and
# grows slowly, and code is interpreted or optimised, with no stages between that keep it twice.
exec "$node" --max-semi-space-size=1 --initial-old-space-size=8 --optimize-for-size \
  --no-sparkplug --no-maglev --disable-warning=ExperimentalWarning "$main" "$@"
