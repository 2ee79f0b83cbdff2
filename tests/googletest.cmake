# GoogleTest for another machine, from the sources that Debian's package googletest has.

find_path(FORKFUL_GOOGLETEST googletest/CMakeLists.txt PATHS /usr/src/googletest
          NO_CMAKE_FIND_ROOT_PATH)
mark_as_advanced(FORKFUL_GOOGLETEST)
if(FORKFUL_GOOGLETEST)
  set(BUILD_GMOCK OFF CACHE BOOL "")
  set(INSTALL_GTEST OFF CACHE BOOL "")
  add_subdirectory("${FORKFUL_GOOGLETEST}" "${PROJECT_BINARY_DIR}/googletest" EXCLUDE_FROM_ALL)
  set(GTest_FOUND TRUE)
endif()
