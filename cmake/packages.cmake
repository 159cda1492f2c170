# `cpack` in the build folder: a .deb for this distribution, and a .tar.gz that runs from any folder on this one and newer ones.
# cmake/make-packages.sh runs it and makes the Python wheel.
set(os_release linux)
if(EXISTS /etc/os-release)
  file(STRINGS /etc/os-release os_release REGEX "^(ID|VERSION_ID)=")
endif()
string(REGEX REPLACE "[^;]*=\"?([^\";]*)\"?" "\\1" os_release "${os_release}")
list(SORT os_release ORDER DESCENDING)  # the name comes before the number, whatever their order in the file
list(JOIN os_release "" SAGEBUILD_DISTRIBUTION)  # debian12, ubuntu24.04

set(CPACK_GENERATOR "DEB;TGZ")
set(CPACK_PACKAGE_NAME sagebuild)
set(CPACK_PACKAGE_VENDOR "the sagebuild contributors")
set(CPACK_PACKAGE_CONTACT "the sagebuild contributors <sagebuild@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "CUDA wheels for many GPU architectures, without a GPU")
set(CPACK_PACKAGE_DESCRIPTION "sagebuild turns a git URL into a CUDA wheel for many GPU architectures, patches setup.py files\
 that drop architectures, caches every compile step, verifies the wheel and publishes it on the Hugging Face Hub.")
set(CPACK_PACKAGE_FILE_NAME "sagebuild-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR}")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)

# Library packages have other names on each distribution: dpkg-shlibdeps finds those of this one.
set(CPACK_DEBIAN_PACKAGE_RELEASE "1~${SAGEBUILD_DISTRIBUTION}")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "g++, git, python3-dev, python3-venv")
set(CPACK_DEBIAN_PACKAGE_SECTION devel)

# The libraries go into the archive alone.
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/cmake/bundle-archive.cmake)
set(CPACK_SAGEBUILD_BUNDLE ${CMAKE_SOURCE_DIR}/cmake/bundle.sh)
include(CPack)
