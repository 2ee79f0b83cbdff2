# The C++ programs of demo/. What a library is missing for is left out, and the program says so.

find_package(OpenSSL QUIET COMPONENTS Crypto)
find_path(FORKFUL_GD_INCLUDE_DIR gd.h)
find_library(FORKFUL_GD_LIBRARY gd)
mark_as_advanced(FORKFUL_GD_INCLUDE_DIR FORKFUL_GD_LIBRARY)

add_custom_target(demo)
file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/demo/*.cpp")
foreach(source IN LISTS sources)
  cmake_path(GET source STEM name)
  add_executable(demo_${name} "${source}")
  target_link_libraries(demo_${name} PRIVATE forkful::forkful)
  add_dependencies(demo demo_${name})
  set_target_properties(demo_${name} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/demo")
endforeach()

if(OpenSSL_FOUND)
  target_link_libraries(demo_thumbnails PRIVATE OpenSSL::Crypto)
  target_compile_definitions(demo_thumbnails PRIVATE DEMO_HAS_OPENSSL)
endif()
if(FORKFUL_GD_INCLUDE_DIR AND FORKFUL_GD_LIBRARY)
  target_include_directories(demo_thumbnails SYSTEM PRIVATE "${FORKFUL_GD_INCLUDE_DIR}")
  target_link_libraries(demo_thumbnails PRIVATE "${FORKFUL_GD_LIBRARY}")
  target_compile_definitions(demo_thumbnails PRIVATE DEMO_HAS_GD)
endif()
