# One program per file; each runs as a test, because an example that does not run misleads. What it
# says is compared with what the Python program of its name says, see tests/examples/compare.py.

find_package(OpenSSL QUIET COMPONENTS Crypto)
find_package(SQLite3 QUIET)
find_path(FORKFUL_GD_INCLUDE_DIR gd.h)
find_library(FORKFUL_GD_LIBRARY gd)
find_program(FORKFUL_PYTHON3 python3)
mark_as_advanced(FORKFUL_GD_INCLUDE_DIR FORKFUL_GD_LIBRARY FORKFUL_PYTHON3)
if(FORKFUL_GD_INCLUDE_DIR AND FORKFUL_GD_LIBRARY AND NOT TARGET forkful_gd)
  add_library(forkful_gd INTERFACE)
  target_include_directories(forkful_gd SYSTEM INTERFACE "${FORKFUL_GD_INCLUDE_DIR}")
  target_link_libraries(forkful_gd INTERFACE "${FORKFUL_GD_LIBRARY}")
endif()

# needs_<example>: a library beside forkful, and the Debian package that brings it.
set(needs_s1_image_hashes OpenSSL::Crypto libssl-dev)
set(needs_s2_sqlite_initializer SQLite::SQLite3 libsqlite3-dev)
set(needs_s2_thumbnails forkful_gd libgd-dev)

set(comparison "${PROJECT_SOURCE_DIR}/tests/examples")
set(make_pictures)
if(TARGET forkful_gd)
  add_executable(example_pictures "${comparison}/make_pictures.cpp")
  target_link_libraries(example_pictures PRIVATE forkful_gd)
  set_target_properties(example_pictures PROPERTIES
    OUTPUT_NAME make_pictures RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  set(make_pictures --pictures $<TARGET_FILE:example_pictures>)
endif()

add_custom_target(examples)
file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/examples/cpp/*.cpp")
foreach(source IN LISTS sources)
  cmake_path(GET source STEM name)
  list(POP_FRONT needs_${name} library package)
  if(library AND NOT TARGET ${library})
    message(STATUS "examples/cpp/${name}.cpp is left out; it needs ${package} (Debian's name)")
    continue()
  endif()
  add_executable(example_${name} "${source}")
  target_link_libraries(example_${name} PRIVATE forkful::forkful ${library})
  set_target_properties(example_${name} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/examples")
  add_dependencies(examples example_${name})

  if(FORKFUL_PYTHON3)
    add_test(NAME example.${name} COMMAND "${FORKFUL_PYTHON3}" "${comparison}/compare.py"
                                          ${make_pictures} $<TARGET_FILE:example_${name}>)
  elseif(NOT library)  # those with a library want files to work on
    add_test(NAME example.${name} COMMAND example_${name})
  endif()
  if(TEST example.${name})
    set_tests_properties(example.${name} PROPERTIES LABELS examples)
  endif()
endforeach()
