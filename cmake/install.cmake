# For find_package(forkful) and for pkg-config. The Python wheel takes only component "python".

include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/forkful")

configure_package_config_file(cmake/forkfulConfig.cmake.in forkfulConfig.cmake
                              INSTALL_DESTINATION "${package_dir}")
# Why SameMinorVersion: before 1.0 a minor release may change the interface.
write_basic_package_version_file(forkfulConfigVersion.cmake COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH FORKFUL_PC_TO_PREFIX
     "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
configure_file(cmake/forkful.pc.in forkful.pc @ONLY)
configure_file(cmake/forkful-auto-main.pc.in forkful-auto-main.pc @ONLY)

install(TARGETS forkful forkful_auto_main forkful_host EXPORT forkful COMPONENT cpp
        RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" FILE_SET HEADERS)
install(EXPORT forkful NAMESPACE forkful:: FILE forkfulTargets.cmake
        DESTINATION "${package_dir}" COMPONENT cpp)
install(FILES "${PROJECT_BINARY_DIR}/forkfulConfig.cmake"
              "${PROJECT_BINARY_DIR}/forkfulConfigVersion.cmake"
        DESTINATION "${package_dir}" COMPONENT cpp)
install(FILES "${PROJECT_BINARY_DIR}/forkful.pc" "${PROJECT_BINARY_DIR}/forkful-auto-main.pc"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT cpp)
