# One program per file; each runs as a test, because an example that does not run misleads.

set(FORKFUL_EXAMPLES "${PROJECT_SOURCE_DIR}/examples/cpp")
if(EXISTS "${FORKFUL_EXAMPLES}/CMakeLists.txt")
  add_subdirectory("${FORKFUL_EXAMPLES}")
  return()
endif()

file(GLOB sources CONFIGURE_DEPENDS "${FORKFUL_EXAMPLES}/*.cpp")
foreach(source IN LISTS sources)
  cmake_path(GET source STEM name)
  add_executable(example_${name} "${source}")
  target_link_libraries(example_${name} PRIVATE forkful::forkful)
  set_target_properties(example_${name} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/examples")
  add_test(NAME example.${name} COMMAND example_${name})
  set_tests_properties(example.${name} PROPERTIES LABELS examples)
endforeach()
