#!/bin/bash
# Runs COMMAND with a container engine in $ENGINE: docker where it works, else podman, which needs no service. podman is set up for
# machines where even root may not make cgroups or raise limits (other containers, CI): the network of the machine, limits as they
# are, and a mount namespace of its own in which cgroups have one hierarchy. What it keeps lies in $ENGINE_FOLDER.
#
# usage: ENGINE_FOLDER=FOLDER tests/docker/engine.sh COMMAND...
set -euo pipefail

if docker info > /dev/null 2>&1; then
  ENGINE=docker exec "$@"
fi
missing=()
for name in podman crun; do
  command -v $name > /dev/null || missing+=("$name")
done
[[ ${#missing[@]} -eq 0 ]] || apt-get install -q -y --no-install-recommends "${missing[@]}" > /dev/null

folder=$(mkdir -p "$ENGINE_FOLDER" && realpath "$ENGINE_FOLDER")
# overlay shares the layers of images between containers; where the kernel does not let us, vfs copies them.
driver=vfs
mkdir -p "$folder/try"/{lower,upper,work,merged}
options=lowerdir=$folder/try/lower,upperdir=$folder/try/upper,workdir=$folder/try/work
! unshare -m mount -t overlay overlay -o "$options" "$folder/try/merged" 2> /dev/null || driver=overlay
rm -rf "$folder/try"
cat > "$folder/storage.conf" << CONF
[storage]
driver = "${SAGEBUILD_TEST_STORAGE:-$driver}"
runroot = "$folder/run"
graphroot = "$folder/images"
CONF
cat > "$folder/containers.conf" << CONF
[containers]
cgroups = "disabled"
netns = "host"
default_ulimits = ["nofile=$(ulimit -Hn):$(ulimit -Hn)", "nproc=16384:16384"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
CONF
cat > "$folder/policy.json" << CONF
{"default": [{"type": "insecureAcceptAnything"}]}
CONF
mkdir -p "$folder/tmp"
export CONTAINERS_STORAGE_CONF=$folder/storage.conf CONTAINERS_CONF=$folder/containers.conf BUILDAH_ISOLATION=chroot TMPDIR=$folder/tmp
export ENGINE=podman
exec unshare -m bash -c '
  umount -R /sys/fs/cgroup 2> /dev/null && mount -t cgroup2 none /sys/fs/cgroup
  exec "$@"' engine "$@"
