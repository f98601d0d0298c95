# push-image.sh: sourced by the bash scripts that make base images: packs layers, pushes images.
#
# No container tool is used: a layer is a tar file, and the registry takes blobs and manifests over
# HTTP (OCI distribution specification 1.1), so nothing is left behind on this machine except in
# the cache directory.
#
# Before: $REGISTRY (host:port), perhaps $PREFIX, $SCHEME; $1 is the cache directory or nothing.
# A script that sources it defines, for each layer NAME, `tree_NAME DIR`, which fills an empty
# directory, or `tar_NAME FILE`, and then says
#
#     image REPOSITORY TAG CONFIG LAYER...
#
# A layer is made once, and once more when the script has changed.

: "${REGISTRY:?set REGISTRY=host:port}"
program=$(basename "$0")
here=$(cd "$(dirname "$0")" && pwd)
base="${SCHEME:-http}://$REGISTRY/v2/${PREFIX:-}"
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cache=${1:-$work/cache}
mkdir -p "$cache"

fail() {
    echo "$program: $*" >&2
    exit 1
}

need() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null || fail "no $1: apt-get install $2"
}
need curl curl

architecture() { # as images call it
    case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) uname -m ;;
    esac
}

sum() {
    sha256sum "$1" | cut -d' ' -f1
}

size() {
    wc -c <"$1" | tr -d ' '
}

recipe=$(cat "$0" "$here/push-image.sh" | sha256sum | cut -c1-12)

# ---- layers ----

make_tar() { # NAME TAR: everything in a tree belongs to root
    if command -v "tar_$1" >/dev/null; then
        "tar_$1" "$2"
        return
    fi
    mkdir "$work/$1"
    "tree_$1" "$work/$1"
    tar -C "$work/$1" --sort=name --numeric-owner --owner=0 --group=0 --mtime=@0 -cf "$2" .
    rm -rf "${work:?}/$1"
}

# Makes CACHE/NAME-RECIPE.tar.gz and .diff (the digest of the tar), if they are not there.
layer() { # NAME
    [ -e "$cache/$1-$recipe.tar.gz" ] && return
    rm -f "$cache/$1"-????????????.*
    make_tar "$1" "$work/$1.tar"
    sum "$work/$1.tar" >"$cache/$1-$recipe.diff"
    gzip -1n <"$work/$1.tar" >"$cache/$1-$recipe.part"
    rm "$work/$1.tar"
    mv "$cache/$1-$recipe.part" "$cache/$1-$recipe.tar.gz" # last: says that the layer is whole
}

# ---- images ----

comma_list() { # the words of a list, one per argument
    local IFS=,
    echo "$*"
}

write_config() { # FILE CONFIG LAYER...
    local file=$1 config=$2 name diffs=() history=()
    shift 2
    for name; do
        diffs+=("\"sha256:$(<"$cache/$name-$recipe.diff")\"")
        history+=("{\"created\":\"1970-01-01T00:00:00Z\",\"created_by\":\"$program: $name\"}")
    done
    cat >"$file" <<END
{"architecture":"$(architecture)","os":"linux","created":"1970-01-01T00:00:00Z","config":$config,
"rootfs":{"type":"layers","diff_ids":[$(comma_list "${diffs[@]}")]},
"history":[$(comma_list "${history[@]}")]}
END
}

write_manifest() { # FILE CONFIG_FILE LAYER...
    local file=$1 config=$2 docker=application/vnd.docker name gz blobs=()
    shift 2
    for name; do
        gz=$cache/$name-$recipe.tar.gz
        blobs+=("{\"mediaType\":\"$docker.image.rootfs.diff.tar.gzip\",
\"size\":$(size "$gz"),\"digest\":\"sha256:$(sum "$gz")\"}")
    done
    cat >"$file" <<END
{"schemaVersion":2,"mediaType":"$docker.distribution.manifest.v2+json",
"config":{"mediaType":"$docker.container.image.v1+json","size":$(size "$config"),
"digest":"sha256:$(sum "$config")"},
"layers":[$(comma_list "${blobs[@]}")]}
END
}

# ---- the registry ----

push_blob() { # REPOSITORY FILE
    local url=$base$1/blobs digest location
    digest=sha256:$(sum "$2")
    [ "$(curl -sS --noproxy '*' -o /dev/null -w '%{http_code}' -I "$url/$digest")" = 200 ] && return
    location=$(curl -fsS --noproxy '*' -X POST -D - -o /dev/null "$url/uploads/" | tr -d '\r' |
        sed -n 's/^[Ll]ocation: //p')
    case $location in
    /*) location="${SCHEME:-http}://$REGISTRY$location" ;;
    *\?*) ;;
    *) location="$location?" ;;
    esac
    curl -fsS --noproxy '*' -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' \
        --upload-file "$2" "$location&digest=$digest"
}

image() { # REPOSITORY TAG CONFIG LAYER...
    local repository=$1 tag=$2 config=$3 name
    shift 3
    for name; do
        layer "$name"
        push_blob "$repository" "$cache/$name-$recipe.tar.gz"
    done
    write_config "$work/config" "$config" "$@"
    push_blob "$repository" "$work/config"
    write_manifest "$work/manifest" "$work/config" "$@"
    curl -fsS --noproxy '*' -o /dev/null -X PUT \
        -H 'Content-Type: application/vnd.docker.distribution.manifest.v2+json' \
        --data-binary "@$work/manifest" "$base$repository/manifests/$tag"
    echo "$REGISTRY/${PREFIX:-}$repository:$tag"
}
