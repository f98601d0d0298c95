# What `cmake --install` puts where, and the Debian package that `cpack` makes of it.
install(FILES packaging/kiln.service packaging/kiln-worker.service
    DESTINATION lib/systemd/system)
install(FILES README.md DESTINATION share/doc/kiln)
install(DIRECTORY docs examples DESTINATION share/doc/kiln)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr") # the preset "package"
    install(FILES packaging/kiln.toml DESTINATION /etc/kiln)
else()
    install(FILES packaging/kiln.toml DESTINATION share/doc/kiln)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_NAME kiln)
set(CPACK_PACKAGE_CONTACT "The Kiln founders <kiln@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "builds container images and volume templates from uploaded folders")
set(CPACK_PACKAGE_DESCRIPTION
"Kiln receives folders at presigned URLs, builds OCI images of them in a jail,
step by step, with buildah fetching the base images, and pushes these to a
private registry for each workspace. Volume templates become deduplicated,
hash-addressed block images from which volumes are made.
.
The service listens on 127.0.0.1:8080, and its registry on 127.0.0.1:5000: the
one of the package docker-registry is stopped while Kiln runs.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# What is run, as scripts/install-packages has it.
set(CPACK_DEBIAN_PACKAGE_DEPENDS
    "buildah, ca-certificates, docker-registry, e2fsprogs, runc, slirp4netns, uidmap")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "nbdkit")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${PROJECT_SOURCE_DIR}/packaging/postinst
    ${PROJECT_SOURCE_DIR}/packaging/prerm
    ${PROJECT_SOURCE_DIR}/packaging/postrm
    ${PROJECT_SOURCE_DIR}/packaging/conffiles)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
