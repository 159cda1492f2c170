# The common set of images: docker buildx bake -f docker/bake.hcl [TARGET...]
#
# Each is a CUDA of NVIDIA's images with a torch that PyPI has for that CUDA; a wheel from it fits every torch of the same CUDA major.

variable "REGISTRY" {
  default = "" # such as "ghcr.io/OWNER/"
}
variable "VERSION" {
  default = "0.1.0"
}
variable "REVISION" {
  default = "unknown" # REVISION=$(git rev-parse HEAD)
}

group "default" {
  targets = ["cu128", "cu130"]
}

target "common" {
  dockerfile = "docker/Dockerfile"
  platforms  = ["linux/amd64"]
  args = {
    VERSION  = VERSION
    REVISION = REVISION
  }
}

# The guide's CUDA. PyPI's torch 2.8, 2.9 and 2.10 are built with it.
target "cu128" {
  inherits = ["common"]
  args = {
    CUDA_VERSION  = "12.8.1"
    TORCH_VERSION = "2.8.0"
  }
  tags = ["${REGISTRY}sagebuild:${VERSION}-cu128", "${REGISTRY}sagebuild:latest"]
}

target "cu130" {
  inherits = ["common"]
  args = {
    CUDA_VERSION  = "13.0.1"
    TORCH_VERSION = "2.11.0"
  }
  tags = ["${REGISTRY}sagebuild:${VERSION}-cu130"]
}

# No NVIDIA image: the compiler for CUDA 13 comes from PyPI in the first run and stays in the cache volume.
target "small" {
  inherits = ["common"]
  args = {
    BASE_IMAGE    = "debian:12"
    TORCH_VERSION = "2.11.0"
  }
  tags = ["${REGISTRY}sagebuild:${VERSION}-small"]
}
