#!/usr/bin/env bash
# Kiln builds a container image of Kiln, with packaging/Dockerfile; podman starts it, with the privileges
# that docs/operations.md names; and in there it builds examples/hello-sandbox, before and after it was
# started again on the same volume.
#
#   tests/package/kiln_builds_an_image_of_itself.sh [DIRECTORY]
#
# By hand, not by ./test: it takes root, podman, a registry of packages, and minutes, most of which go
# to compiling Kiln in a RUN.  $KILN is the Kiln that builds; without it, one is compiled.  The base
# images are stand-ins, kept in DIRECTORY: debian:bookworm-slim is a Debian of mmdebstrap's, and those of
# hello-sandbox are made of busybox (tests/bases).
set -euo pipefail
cd "$(dirname "$0")/../.."

place=$(realpath -m "${1:-build/image-test}")
mkdir -p "$place/volume" "$place/bases"
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1

say() {
    printf '\n== %s (%d s)\n' "$*" $SECONDS
}
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
pod() {
    podman --root "$place/podman" --runroot "$place/podman-run" "$@"
}
stop_all() {
    pod rm --force --ignore kiln-image-test >/dev/null 2>&1 || true
    [[ -z ${bases_pid-} ]] || kill "$bases_pid" || true
}
trap stop_all EXIT

bases=127.0.0.1:$(free_port)
api=127.0.0.1:$(free_port)
registry=127.0.0.1:$(free_port)

say "base images"
cat >"$place/bases.yml" <<YML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $place/bases}}
http: {addr: "$bases"}
YML
docker-registry serve "$place/bases.yml" >"$place/bases.log" 2>&1 </dev/null &
bases_pid=$!
curl -fsS --retry 30 --retry-connrefused --retry-delay 1 -o /dev/null "http://$bases/v2/"
ONLY=library/debian REGISTRY=$bases tests/bases/make-real-bases "$place/debian"
REGISTRY=$bases PREFIX=stand-in/ tests/bases/make-bases "$place/busybox"

say "an image of Kiln"
if [[ -z ${KILN-} ]]; then
    cmake --preset release >"$place/configure.log"
    cmake --build build/release --target kiln -- --quiet
    KILN=build/release/programs/kiln
fi
"$KILN" build . --data-dir "$place/kiln" --registry-url "http://$bases" \
    --mirrors "docker.io=$bases,insecure" | tee "$place/build.log" | tail -25
image=$(sed -n 's/^ *image *\([^ ]*\).*/\1/p' "$place/build.log")
digest=$(sed -n 's/^ *digest *//p' "$place/build.log")
pod pull --quiet --tls-verify=false "$image"

# podman would raise these limits by itself, for which root is not always enough.
limits=(--ulimit "nofile=$(ulimit -Hn):$(ulimit -Hn)" --ulimit nproc=4096:4096)
start() {
    pod run --name kiln-image-test --detach --rm --network host "${limits[@]}" \
        --cap-add SYS_ADMIN,NET_ADMIN --security-opt unmask=ALL --device /dev/net/tun \
        --volume /sys/fs/cgroup:/sys/fs/cgroup --volume "$place/volume:/var/lib/kiln" \
        --env KILN_LISTEN="$api" --env KILN_REGISTRY_LISTEN="$registry" \
        --env KILN_MIRRORS="docker.io=$bases/stand-in,insecure ghcr.io=$bases/stand-in,insecure" \
        "$image" >/dev/null
    curl -fsS --retry 60 --retry-connrefused --retry-delay 1 "http://$api/healthz"
    curl -fsS "http://$api/readyz"
}
call() { # METHOD PATH [CURL ARGUMENTS...]
    local method=$1 path=$2
    shift 2
    curl -fsS -X "$method" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \
        "http://$api/v0$path" "$@"
}
build_hello() { # NAME
    local url status
    url=$(call POST "/sandboxes?upload=true" -d "{\"metadata\":{\"name\":\"$1\"},\"spec\":{}}" \
        -o /dev/null -w '%header{x-blaxel-upload-url}')
    curl -fsS -T examples/hello-sandbox.zip -H 'Content-Type: application/zip' "$url"
    for _ in $(seq 300); do
        status=$(call GET "/sandboxes/$1" | jq -r .status)
        [[ $status != DEPLOYED && $status != FAILED ]] || break
        sleep 1
    done
    [[ $status = DEPLOYED ]] || { call GET "/sandboxes/$1/build-logs" && return 1; }
    pod pull --quiet --tls-verify=false --creds "user:$key" "$registry/default/sandbox/$1:latest"
}

say "what the container has and lacks"
rm -rf "$place/volume"
mkdir "$place/volume"
start
pod exec kiln-image-test kiln doctor | tee "$place/doctor.log"
grep -q 'This machine can build' "$place/doctor.log"
grep -q '^ok *memory limit' "$place/doctor.log"

say "hello-sandbox, built in it"
key=$(pod exec kiln-image-test kiln key create --workspace default)
build_hello hello

say "the same volume, started again"
pod stop --time 30 kiln-image-test >/dev/null
start
[[ $(call GET /sandboxes/hello | jq -r .status) = DEPLOYED ]]
build_hello again
# Its first process has nobody else's children left over.
[[ -z $(pod exec kiln-image-test sh -c 'grep -l "^State:.Z" /proc/[0-9]*/status' || true) ]]
pod stop --time 30 kiln-image-test >/dev/null

say "passed: $image, $digest"
