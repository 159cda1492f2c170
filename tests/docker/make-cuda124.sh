#!/bin/bash
# Makes a CUDA 12.4.1 toolkit in FOLDER: the only compiler for CUDA 12 that package indexes have. NVIDIA's programs are those of Debian
# 13's nvidia-cuda-toolkit, unpacked and not installed; headers and runtime come from PyPI. Its nvcc takes g++ up to 13 and GPUs up to
# 9.0. Needs uv; the mirror is the one that apt is set up with.
#
# usage: tests/docker/make-cuda124.sh FOLDER
set -euo pipefail
target=$1
[[ ! -e $target/.complete ]] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$target"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$target"/{bin,nvvm/bin,nvvm/libdevice,include,lib}

mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie non-free" > "$work/sources.list"
apt=(-o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
  -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
apt-get -qq "${apt[@]}" update
(cd "$work" && apt-get -qq "${apt[@]}" download nvidia-cuda-toolkit=12.4.131~12.4.1-2 && dpkg -x nvidia-cuda-toolkit_*.deb unpacked)
uv pip install -q --python "$(command -v python3)" --no-deps --target "$work/wheels" nvidia-cuda-nvcc-cu12==12.4.131 \
  nvidia-cuda-runtime-cu12==12.4.127 nvidia-cuda-cccl-cu12==12.4.127.post1

programs=$work/unpacked/usr/bin own=$work/unpacked/usr/lib/nvidia-cuda-toolkit  # usr/bin/nvcc is a script with fixed paths
cp -a "$programs"/{cudafe++,ptxas,fatbinary,nvlink,bin2c,cuobjdump,nvdisasm} "$own"/bin/{nvcc,crt} "$target/bin/"
cp -a "$own/bin/cicc" "$target/nvvm/bin/"
cp "$own/libdevice/libdevice.10.bc" "$target/nvvm/libdevice/"
for part in cuda_runtime cuda_nvcc cuda_cccl; do
  cp -r "$work/wheels/nvidia/$part/include/." "$target/include/"
done
cp "$work/wheels/nvidia/cuda_runtime/lib/libcudart.so.12" "$target/lib/"
ln -s libcudart.so.12 "$target/lib/libcudart.so"
ln -s lib "$target/lib64"
# shellcheck disable=SC2016
printf '%s\n' 'TOP = $(_HERE_)/..' 'CICC_PATH = $(TOP)/nvvm/bin' 'NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice' \
  'LD_LIBRARY_PATH += $(TOP)/lib:' 'PATH += $(CICC_PATH):$(_HERE_):' 'INCLUDES += "-I$(TOP)/include" $(_SPACE_)' \
  'LIBRARIES =+ $(_SPACE_) "-L$(TOP)/lib"' 'CUDAFE_FLAGS +=' 'PTXAS_FLAGS +=' > "$target/bin/nvcc.profile"
touch "$target/.complete"
